"""Checkpoints: written so that a crash leaves the old file or the new one, read without executing anything."""

import hashlib
import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from runners.contract.checkpoint_files import DIGEST_SUFFIX
from runners.contract.failpoints import failpoint
from runners.failures import DiskError


def save_checkpoint(path: Path, content: Mapping[str, Any]) -> str:
    """Write a checkpoint under a temporary name, sync it, and rename it.

    Returns:
        The hex SHA-256 of what was meant to be written, so that a torn file shows.

    Raises:
        DiskError: the device is full; an older file of that name is untouched, and nothing is left of the new one.
    """
    path.parent.mkdir(exist_ok=True)
    with replacing_file(path) as file:
        return _save(content, file)


@contextmanager
def replacing_file(path: Path) -> Iterator[IO[bytes]]:
    """Open a temporary file that takes the place of `path` when the block ends well, and leaves nothing when not.

    Raises:
        DiskError: a write failed.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        failpoint("checkpoint.rename.before")
        temporary.replace(path)
        failpoint("checkpoint.rename.after")
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
    import torch

    content = torch.load(path, map_location=device, weights_only=True)
    if not isinstance(content, dict):
        raise ValueError(f"{path}: wanted a checkpoint, found {type(content).__name__}")
    return content


def remove_checkpoints(folder: Path, *, keep: Collection[Path]) -> None:
    """Remove what earlier epochs and attempts left, complete or not, except some files."""
    for path in folder.iterdir():
        if path not in keep and path.suffix in (".pth", ".tmp", DIGEST_SUFFIX):
            path.unlink(missing_ok=True)


class _DigestingFile:
    """A file that knows the digest of what was written, in sequence, and why a write failed.

    PyTorch's zip writer turns a failed write into a RuntimeError that does not say why.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.digest = hashlib.sha256()
        self.error: OSError | None = None

    def write(self, data: bytes) -> int:
        self.digest.update(data)
        try:
            return self._file.write(data)
        except OSError as error:
            self.error = error
            raise

    def flush(self) -> None:
        self._file.flush()


def _save(content: Mapping[str, Any], file: IO[bytes]) -> str:
    # Not at the top: what only places files must not wait for PyTorch.
    import torch

    target = _DigestingFile(file)
    try:
        torch.save(dict(content), target)  # type: ignore[arg-type]
    except RuntimeError as error:
        if target.error is None:
            raise
        raise target.error from error
    return target.digest.hexdigest()


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
