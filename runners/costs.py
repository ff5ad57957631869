"""What an attempt costs its machine: memory on the GPU and in the host, and its pace."""

import resource
from collections import deque
from collections.abc import Collection, Mapping

import torch

from runners.contract import metrics as names

# Enough for a median that a pause or a slow start does not move; what is older says nothing new.
N_DURATIONS = 500

# What CUDA itself takes of a GPU for one process (context, kernels, cuBLAS' workspace): assumed where it cannot be
# measured, and what a measured value must lie between to be believed; beyond, another process came or went meanwhile.
_CONTEXT_BYTES = 600_000_000
_BELIEVABLE_CONTEXT_BYTES = (100_000_000, 2_000_000_000)


def recent_durations(values: Collection[float] = ()) -> deque[float]:
    """Return a queue of seconds that forgets the oldest."""
    return deque(values, maxlen=N_DURATIONS)


class PeakMemory:
    """Peaks over this process and the attempts that it goes on from; made before anything touches CUDA.

    Args:
        device: ``cpu`` or ``cuda``.
    """

    def __init__(self, device: str) -> None:
        self._is_cuda = device == "cuda"
        self._used_before = _used_bytes() if self._is_cuda else None
        self._earlier: dict[str, int] = {}

    def values(self) -> dict[str, float]:
        """Return the peaks in 1e9 bytes under the names of `runners.contract.metrics`; a CPU has none of a GPU's."""
        return {name: number / 1e9 for name, number in self.state().items()}

    def state(self) -> dict[str, int]:
        """Return the peaks in bytes, for `restore`."""
        # Pages that are shared with the warm server that forked this process are resident too. Linux counts in KiB.
        peaks = {names.PEAK_HOST_GB: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}
        if self._is_cuda and torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
            peaks[names.PEAK_MEMORY_GB] = torch.cuda.max_memory_allocated()
            # The allocator gives nothing back while it trains, so it takes more of the GPU than tensors ever needed.
            peaks[names.PEAK_DEVICE_GB] = torch.cuda.max_memory_reserved() + self._context_bytes()
        return {name: max(peaks.get(name, 0), self._earlier.get(name, 0)) for name in {**self._earlier, **peaks}}

    def restore(self, peaks: Mapping[str, int]) -> None:
        """Count an earlier attempt's peaks as well."""
        self._earlier = dict(peaks)

    def _context_bytes(self) -> int:
        """Return how much fuller the GPU is than before CUDA was touched, less what is reserved for tensors now."""
        used = _used_bytes()
        if used is None or self._used_before is None:
            return _CONTEXT_BYTES
        context = used - self._used_before - torch.cuda.memory_reserved()
        least, most = _BELIEVABLE_CONTEXT_BYTES
        return context if least <= context <= most else _CONTEXT_BYTES


def _used_bytes() -> int | None:
    """Return what all processes use of the first visible GPU, without touching CUDA; None where NVML does not tell."""
    try:
        return torch.cuda.device_memory_used(0)
    except Exception:  # NVML's own kinds of errors: no library, no driver, a GPU that is a part of one (MIG)
        return None
