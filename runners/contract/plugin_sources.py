"""The sources of the project's own code as a sweep keeps them: what a digest is made of, and where the copy lies."""

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from runners.contract.errors import UserError

# In a job's config: the names, as they were given, and the digest of everything that they brought along.
NAMES, DIGEST = "plugins", "plugin_digest"

# The folder of a sweep that holds the copies, each under the beginning of its digest.
FOLDER = "plugins"
N_DIGITS = 12

# A job's folder lies two below its sweep's, that of a probe or of an evaluation three.
_N_LEVELS = 4


def digest_of(names: Sequence[str], sources: Mapping[str, bytes]) -> str:
    """Return the SHA-256, in hex, of plug-ins.

    Args:
        names: what is imported, in this order.
        sources: each file's content by its path relative to the folder that the names are looked up in, ``a/b.py``.
    """
    digest = hashlib.sha256()
    for part in (str(len(names)), *names):
        digest.update(f"{part}\n".encode())
    for path in sorted(sources):
        digest.update(f"{len(path.encode())} {len(sources[path])} {path}\n".encode())
        digest.update(sources[path])
    return digest.hexdigest()


def is_source(name: str) -> bool:
    """Whether a file or folder of this name belongs to a package: what Python or an editor left there does not."""
    return not (name.startswith(".") or name == "__pycache__" or name.endswith((".pyc", ".pyo", "~")))


def find_copy(start: Path, digest: str) -> Path:
    """Return the folder of a sweep's copy; names are looked up in it.

    Args:
        start: the sweep's folder, a job's, or one in a job's.
        digest: of the plug-ins.

    Raises:
        UserError: there is none.
    """
    folders = [folder / FOLDER / digest[:N_DIGITS] for folder in (start, *start.parents[:_N_LEVELS])]
    found = next((folder for folder in folders if folder.is_dir()), None)
    if found is None:
        raise UserError(
            f"plugin sources of {start}: no folder {FOLDER}/{digest[:N_DIGITS]} in it or above it; a job's folder "
            "needs that of its sweep: put the folder back"
        )
    return found


def refuse_changed_copy(copy: Path, names: Sequence[str], digest: str) -> None:
    """Check that a copy is what was copied.

    Raises:
        UserError: a file has changed, came or went, or is a link.
    """
    sources = {}
    for path in _files(copy):
        if path.is_symlink() or not path.is_file():
            raise UserError(f"plugin sources in {path}: no plain file; nothing of them is imported; put the file back")
        try:
            sources[path.relative_to(copy).as_posix()] = path.read_bytes()
        except OSError as error:
            raise UserError(f"plugin sources in {path}: {error.strerror}; nothing of them is imported") from None
    found = digest_of(names, sources)
    if found != digest:
        raise UserError(
            f"plugin sources changed in {copy}: SHA-256 {found[:N_DIGITS]}, planned were {digest[:N_DIGITS]}; nothing "
            "of them is imported; put them back, or start a sweep with the new ones"
        )


def _files(folder: Path) -> Iterator[Path]:
    """Yield everything in a folder that could be imported and is no folder; links among it, which no copy has."""
    for parent, folders, names in os.walk(folder):
        entries = [Path(parent, name) for name in (*folders, *names) if is_source(name)]
        folders[:] = [entry.name for entry in entries if entry.is_dir() and not entry.is_symlink()]
        yield from (entry for entry in entries if entry.is_symlink() or not entry.is_dir())
