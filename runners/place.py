"""The place of a process among those that train one job together, one process for each device.

All of them take the same optimizer steps: each sees its share of every batch, and gradients are averaged. Only rank 0
validates, writes and decides; the others do nothing that outlives them.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import torch
from mmdet.models.detectors import BaseDetector
from mmengine.model import is_model_wrapper
from torch import distributed, nn
from torch.distributed import FileStore  # type: ignore[attr-defined]

# How long a process waits for the others: rank 0 validates and saves meanwhile. Nobody waits for one that has died:
# rank 0 watches the others, and the kernel ends them with it.
_PATIENCE = timedelta(days=7)
_LOOPBACK = "lo"


@dataclass(frozen=True)
class Place:
    """Which of the processes this is.

    Attributes:
        rank: 0 is the job's own process.
        n_ranks: processes; 1 trains alone.
        rendezvous: a folder of the attempt's own in which they find each other.
    """

    rank: int = 0
    n_ranks: int = 1
    rendezvous: Path | None = None

    def join(self, device: str) -> None:
        """Meet the others; returns when all are there. Data loaders are to be built before: mmengine would shard them.

        Everything goes over the loopback interface, and the meeting point is a file: what peers send is unpickled.
        """
        if self.n_ranks == 1:
            return
        os.environ["GLOO_SOCKET_IFNAME"] = os.environ["NCCL_SOCKET_IFNAME"] = _LOOPBACK
        if self.rendezvous is None:
            raise ValueError("rendezvous: wanted a folder where there are several processes")
        distributed.init_process_group(
            # On GPUs as well, processes that only wait do so on the CPU: NCCL's way of waiting keeps a GPU busy.
            backend="cpu:gloo,cuda:nccl" if device == "cuda" else "gloo",
            store=FileStore(str(self.rendezvous / "store"), self.n_ranks),
            rank=self.rank,
            world_size=self.n_ranks,
            timeout=_PATIENCE,
            # Each process sees one GPU only.
            device_id=torch.device("cuda", 0) if device == "cuda" else None,
        )

    def leave(self) -> None:
        """Part from the others, who do the same."""
        if self.n_ranks > 1:
            distributed.destroy_process_group()

    def share(self, batch: Sequence[int]) -> list[int]:
        """Return this process's part of a batch.

        Parts differ by one image at most, and only in an epoch's last batch; where that has fewer images than there are
        processes, some are trained on twice. The average over processes then weighs images differently by a little.
        """
        start, end = (len(batch) * rank // self.n_ranks for rank in (self.rank, self.rank + 1))
        return list(batch[start:end]) or [batch[self.rank % len(batch)]]


ALONE = Place()


def detector_of(model: nn.Module) -> BaseDetector:
    """Return the detector itself, without what exchanges its gradients."""
    return model.module if is_model_wrapper(model) else model


@contextmanager
def alone() -> Iterator[None]:
    """Have no library wait for the other processes, as some losses would: they are not computing the same."""
    is_initialized = distributed.is_initialized
    distributed.is_initialized = lambda: False
    try:
        yield
    finally:
        distributed.is_initialized = is_initialized
