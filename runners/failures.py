"""What can end an attempt early, and how an exception becomes the failure that the controller reads."""

import errno
import os
import traceback

from runners.contract.errors import UserError
from runners.contract.records import Failure
from runners.contract.states import FailureKind

_DISK_ERRNOS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)


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
    if isinstance(error, torch.OutOfMemoryError | MemoryError) or "can't allocate memory" in first_line:
        return FailureKind.OOM, f"out of memory with {situation}"
    if isinstance(error, DiskError):
        return FailureKind.DISK, str(error)
    if isinstance(error, OSError) and error.errno in _DISK_ERRNOS:
        return FailureKind.DISK, f"cannot write {error.filename or 'a file'}: {os.strerror(error.errno or 0)}"
    if isinstance(error, RuntimeError) and first_line.startswith("DataLoader worker"):
        hint = "; raise the shared memory (/dev/shm) or set n_workers=0" if "Bus error" in str(error) else ""
        return FailureKind.LOST, f"{first_line.rstrip('.')}{hint}"
    return FailureKind.BUG, f"{type(error).__name__}: {first_line}" if first_line else type(error).__name__


def _without_worker_frame(error: DataError) -> str:
    """Return the message alone: a data loader worker hands on its whole traceback as one, the message last."""
    message = str(error)
    if message.startswith("Caught "):
        return message.strip().splitlines()[-1].partition(f"{DataError.__name__}: ")[2] or message
    return message
