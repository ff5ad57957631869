"""What can end an attempt early, and how an exception becomes the failure that the controller reads."""

import errno
import os
import traceback
from collections.abc import Collection

from runners.contract.errors import UserError
from runners.contract.records import Failure
from runners.contract.states import FailureKind

_DISK_ERRNOS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)

# What PyTorch's messages contain, by what went wrong. Libraries below PyTorch run out of memory in words of their own.
_GPU_OOM = ("CUDA error: out of memory", "CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED")
_HOST_OOM = ("can't allocate memory", "Cannot allocate memory")
_DEVICE = ("CUDA", "cuDNN", "CUDNN_STATUS", "cuBLAS", "CUBLAS_STATUS", "CUSOLVER_STATUS", "NCCL", "NVML")
# The device says so, but any other would too: a program that asks the impossible of it, or was built for another one.
_NOT_THE_DEVICE = (
    "device-side assert",
    "invalid argument",
    "invalid configuration",
    "invalid device ordinal",
    "no kernel image",
    "NOT_SUPPORTED",
    "BAD_PARAM",
    "INVALID_VALUE",
    "Torch not compiled with CUDA",
    "Cannot re-initialize CUDA",
)
# By the words of strsignal(3).
_WORKER_SIGNALS = {
    "Bus error": ("bus error", "raise the shared memory (/dev/shm) or set n_workers=0"),
    "Killed": ("killed", "probably out of host memory; lower n_workers or free memory"),
}


class DivergedError(Exception):
    """A loss is not a number or infinite, or negative where that cannot be."""


class DataError(Exception):
    """An image or annotation cannot be used; the message names the file."""


class DiskError(Exception):
    """A file could not be written because the device is full or a quota reached."""


def describe_failure(error: Exception, situation: str) -> Failure:
    """Return the failure that an exception amounts to.

    Args:
        error: what ended the attempt.
        situation: what matters when memory runs out, such as batch and device.
    """
    kind, message = _kind_and_message(error, situation)
    return Failure(kind=kind, message=message, traceback="".join(traceback.format_exception(error)))


def _kind_and_message(error: Exception, situation: str) -> tuple[FailureKind, str]:
    import torch

    first_line = str(error).strip().splitlines()[0] if str(error).strip() else ""
    if isinstance(error, UserError):
        return FailureKind.USER, "; ".join(error.problems)
    if isinstance(error, DivergedError):
        return FailureKind.DIVERGED, str(error)
    if isinstance(error, DataError):
        return FailureKind.DATA, _without_worker_frame(error)
    is_runtime_error = isinstance(error, RuntimeError)
    if isinstance(error, torch.OutOfMemoryError) or (is_runtime_error and _names(first_line, _GPU_OOM)):
        return FailureKind.OOM, f"out of memory with {situation}{_gpu_size()}"
    if isinstance(error, MemoryError) or _names(first_line, _HOST_OOM):
        return FailureKind.OOM, f"out of host memory with {situation}"
    if isinstance(error, DiskError):
        return FailureKind.DISK, str(error)
    if isinstance(error, OSError) and error.errno in _DISK_ERRNOS:
        return FailureKind.DISK, f"cannot write {error.filename or 'a file'}: {os.strerror(error.errno or 0)}"
    if is_runtime_error and first_line.startswith("DataLoader worker"):
        return FailureKind.LOST, _dead_worker(error)
    if is_runtime_error and _names(first_line, _DEVICE) and not _names(first_line, _NOT_THE_DEVICE):
        return FailureKind.DEVICE, f"{first_line} ({situation})"
    return FailureKind.BUG, f"{type(error).__name__}: {first_line}" if first_line else type(error).__name__


def _gpu_size() -> str:
    """Return what a message says of the GPU's memory, `` (85.0 GB)``; nothing where there is no GPU to ask."""
    import torch

    if not torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        return ""
    try:
        return f" ({torch.cuda.get_device_properties().total_memory / 1e9:.1f} GB)"
    except RuntimeError:  # CUDA is past answering
        return ""


def _names(message: str, parts: Collection[str]) -> bool:
    return any(part in message for part in parts)


def _dead_worker(error: Exception) -> str:
    """Return what a data loader's worker died of; the signal stands in the error, or in what it was raised from."""
    told = [str(each) for each in (error, error.__cause__, error.__context__) if each is not None]
    for signal, (short, hint) in _WORKER_SIGNALS.items():
        if any(f"killed by signal: {signal}" in message for message in told):
            return f"DataLoader worker died ({short}): {hint}"
    return told[0].strip().splitlines()[0].rstrip(".")


def _without_worker_frame(error: DataError) -> str:
    """Return the message alone: a data loader worker hands on its whole traceback as one, the message last."""
    message = str(error)
    if message.startswith("Caught "):
        return message.strip().splitlines()[-1].partition(f"{DataError.__name__}: ")[2] or message
    return message
