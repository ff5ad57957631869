"""Every way an attempt can fail gets a kind and one line."""

import errno
import os
import signal
from types import SimpleNamespace

import pytest
import torch
from torch.utils.data import DataLoader, Dataset

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
            f"out of host memory with {SITUATION}",
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
        (MemoryError(), FailureKind.OOM, f"out of host memory with {SITUATION}"),
        (
            RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed. "),
            FailureKind.LOST,
            "DataLoader worker died (killed): probably out of host memory; lower n_workers or free memory",
        ),
        (
            RuntimeError("DataLoader worker (pid(s) 7) exited unexpectedly"),
            FailureKind.LOST,
            "DataLoader worker (pid(s) 7) exited unexpectedly",
        ),
        (
            torch.AcceleratorError("CUDA error: an illegal memory access was encountered\nmore"),
            FailureKind.DEVICE,
            f"CUDA error: an illegal memory access was encountered ({SITUATION})",
        ),
        (
            RuntimeError("CUDA error: uncorrectable ECC error encountered"),
            FailureKind.DEVICE,
            f"CUDA error: uncorrectable ECC error encountered ({SITUATION})",
        ),
        (
            RuntimeError("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR"),
            FailureKind.DEVICE,
            f"cuDNN error: CUDNN_STATUS_INTERNAL_ERROR ({SITUATION})",
        ),
        (
            RuntimeError("CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling `cublasSgemm`"),
            FailureKind.DEVICE,
            f"CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling `cublasSgemm` ({SITUATION})",
        ),
        (
            torch.distributed.DistBackendError("NCCL error in: ProcessGroupNCCL.cpp:2006, unhandled cuda error"),
            FailureKind.DEVICE,
            f"NCCL error in: ProcessGroupNCCL.cpp:2006, unhandled cuda error ({SITUATION})",
        ),
        (RuntimeError("CUDA error: out of memory"), FailureKind.OOM, f"out of memory with {SITUATION}"),
        (
            RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
            FailureKind.OOM,
            f"out of memory with {SITUATION}",
        ),
        (
            torch.AcceleratorError("CUDA error: device-side assert triggered"),
            FailureKind.BUG,
            "AcceleratorError: CUDA error: device-side assert triggered",
        ),
        (
            RuntimeError("CUDA error: no kernel image is available for execution on the device"),
            FailureKind.BUG,
            "RuntimeError: CUDA error: no kernel image is available for execution on the device",
        ),
        (KeyError("img"), FailureKind.BUG, "KeyError: 'img'"),
        (ZeroDivisionError(), FailureKind.BUG, "ZeroDivisionError"),
    ],
)
def test_exception_becomes_kind_and_message(error: Exception, kind: FailureKind, message: str) -> None:
    failure = describe_failure(error, SITUATION)
    assert (failure.kind, failure.message) == (kind, message)
    assert type(error).__name__ in failure.traceback


def test_gpu_memory_is_named_where_it_ran_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda: SimpleNamespace(total_memory=84_987_740_160))
    failure = describe_failure(torch.OutOfMemoryError("CUDA out of memory."), SITUATION)
    assert failure.message == "out of memory with 16 images per step at 512px on cuda (85.0 GB)"


class OneBusError(Dataset[int]):
    """Its first item kills the worker that loads it, as writing into a full /dev/shm does."""

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> int:
        os.kill(os.getpid(), signal.SIGBUS)
        raise AssertionError("survived SIGBUS")


def test_worker_that_dies_of_a_bus_error_is_named_with_the_remedy() -> None:
    loader = DataLoader(OneBusError(), num_workers=1)
    with pytest.raises(RuntimeError, match="DataLoader worker") as caught:
        next(iter(loader))
    failure = describe_failure(caught.value, SITUATION)
    assert failure.kind is FailureKind.LOST
    assert (
        failure.message == "DataLoader worker died (bus error): raise the shared memory (/dev/shm) or set n_workers=0"
    )
