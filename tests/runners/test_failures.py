"""Every way an attempt can fail gets a kind and one line."""

import errno

import pytest
import torch

from runners.contract.errors import UserError
from runners.contract.states import FailureKind
from runners.failures import DataError, DiskError, DivergedError, describe_failure

SITUATION = "16 images per step at 512px on cuda"
# As PyTorch re-raises what a data loader worker raised.
FROM_WORKER = """Caught DataError in DataLoader worker process 0.
Original Traceback (most recent call last):
  File "dataset.py", line 29, in prepare_data
runners.failures.DataError: image a.jpg: cannot be decoded
"""


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (UserError("a in b: c", "d in e: f"), FailureKind.USER, "a in b: c; d in e: f"),
        (DivergedError("loss is NaN at iteration 7"), FailureKind.DIVERGED, "loss is NaN at iteration 7"),
        (DataError("image a.jpg: the file is empty"), FailureKind.DATA, "image a.jpg: the file is empty"),
        (
            DataError(FROM_WORKER),
            FailureKind.DATA,
            "image a.jpg: cannot be decoded",
        ),
        (torch.OutOfMemoryError("CUDA out of memory. Tried"), FailureKind.OOM, f"out of memory with {SITUATION}"),
        (
            RuntimeError("[enforce fail at alloc_cpu.cpp:121] . DefaultCPUAllocator: can't allocate memory: you tried"),
            FailureKind.OOM,
            f"out of memory with {SITUATION}",
        ),
        (
            DiskError("checkpoint a1_best.pth not written: no"),
            FailureKind.DISK,
            "checkpoint a1_best.pth not written: no",
        ),
        (
            OSError(errno.ENOSPC, "No space left on device", "/out/metrics.jsonl"),
            FailureKind.DISK,
            "cannot write /out/metrics.jsonl: No space left on device",
        ),
        (
            RuntimeError("DataLoader worker (pid 7) is killed by signal: Bus error. It is possible\nmore"),
            FailureKind.LOST,
            "DataLoader worker (pid 7) is killed by signal: Bus error. It is possible; "
            "raise the shared memory (/dev/shm) or set n_workers=0",
        ),
        (KeyError("img"), FailureKind.BUG, "KeyError: 'img'"),
        (ZeroDivisionError(), FailureKind.BUG, "ZeroDivisionError"),
    ],
)
def test_exception_becomes_kind_and_message(error: Exception, kind: FailureKind, message: str) -> None:
    failure = describe_failure(error, SITUATION)
    assert (failure.kind, failure.message) == (kind, message)
    assert type(error).__name__ in failure.traceback
