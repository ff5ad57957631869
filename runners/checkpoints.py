"""Checkpoints: written so that a crash leaves the old file or the new one, read without executing anything."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import torch

from runners.failures import DiskError


def save_checkpoint(path: Path, content: Mapping[str, Any]) -> None:
    """Write a checkpoint under a temporary name, sync it, and rename it.

    Raises:
        DiskError: the device is full; an older file of that name is untouched, and nothing is left of the new one.
    """
    path.parent.mkdir(exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            _save(content, file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        raise DiskError(f"checkpoint {path.name} not written: {error.strerror}") from error
    finally:
        temporary.unlink(missing_ok=True)


def load_checkpoint(path: Path, device: str) -> dict[str, Any]:
    """Read a checkpoint; only tensors and plain values are accepted.

    Raises:
        pickle.UnpicklingError: the file holds anything that could execute code.
    """
    content = torch.load(path, map_location=device, weights_only=True)
    if not isinstance(content, dict):
        raise ValueError(f"{path}: wanted a checkpoint, found {type(content).__name__}")
    return content


def remove_checkpoints(folder: Path, *, keep: Path | None) -> None:
    """Remove what earlier epochs and attempts left, complete or not, except one file."""
    for path in folder.iterdir():
        if path != keep and path.suffix in (".pth", ".tmp"):
            path.unlink(missing_ok=True)


class _ErrorKeepingFile:
    """A file that remembers why a write failed: PyTorch's zip writer turns it into a RuntimeError that does not say."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.error: OSError | None = None

    def write(self, data: bytes) -> int:
        try:
            return self._file.write(data)
        except OSError as error:
            self.error = error
            raise

    def flush(self) -> None:
        self._file.flush()


def _save(content: Mapping[str, Any], file: IO[bytes]) -> None:
    target = _ErrorKeepingFile(file)
    try:
        torch.save(dict(content), target)  # type: ignore[arg-type]
    except RuntimeError as error:
        if target.error is None:
            raise
        raise target.error from error


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
