"""Digests of files, read in pieces."""

import hashlib
from pathlib import Path

from runners.contract.errors import UserError

_CHUNK_BYTES = 1 << 20


def sha256_of(path: Path) -> str:
    """Return the hex digest of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def refuse_changed_checkpoint(path: Path, digest: str) -> None:
    """Check that a file of weights is the one that was meant.

    Args:
        path: the file.
        digest: SHA-256 that it has to have, in hex.

    Raises:
        UserError: it is not there, or another one.
    """
    if not path.is_file():
        raise UserError(f"checkpoint missing in {path}: no such file; was it cleaned away?")
    found = sha256_of(path)
    if found != digest:
        raise UserError(f"checkpoint changed in {path}: SHA-256 {found[:12]}, wanted {digest[:12]}; restore the file")
