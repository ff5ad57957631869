"""A sweep that others ran becomes one of this output folder: copied in one piece, and told to this project's store."""

import contextlib
import os
import secrets
import shutil
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runners.contract.errors import UserError
from runners.contract.folder import SweepFolder
from sweeper.stored.ownership import is_owned
from sweeper.stored.sweep_file import read_sweep_file, tell_store
from sweeper.stored.sweep_folder import UMASKS, set_umask

ARCHIVES = (".tar", ".tar.gz", ".tgz", ".tar.xz", ".tar.bz2")
# Locks and requests are of the processes that worked on the sweep; what is half written is nobody's.
LEFT_BEHIND = ("*.lock", "requests", ".*.tmp")


@dataclass(frozen=True)
class StoreWish:
    """Which tracking store an imported sweep is to belong to.

    Attributes:
        uri: its address; None: the database in the output folder.
        experiment: None: the one of the sweep.
        is_off: none at all.
        is_said: the command line or the machine's settings name it; a sweep that lies in the output folder already
            stays with its own otherwise.
    """

    uri: str | None = None
    experiment: str | None = None
    is_off: bool = False
    is_said: bool = False


def is_archive(path: Path) -> bool:
    """Whether a path is that of a file which may hold a packed sweep."""
    return path.is_file() and path.name.lower().endswith(ARCHIVES)


@contextmanager
def unpacked(path: Path, output_dir: Path) -> Iterator[SweepFolder]:
    """Unpack a sweep into a folder that is gone afterwards.

    Raises:
        UserError: it holds no sweep, or more than one, or members that no sweep has.
    """
    output_dir.mkdir(parents=True, exist_ok=True)
    place = output_dir / f".unpacked-{secrets.token_hex(4)}"
    try:
        with tarfile.open(path) as archive:
            # Refuses members outside the folder, devices, and links that lead away.
            archive.extractall(place / "content", filter="data")
    except (tarfile.TarError, OSError, EOFError) as error:
        shutil.rmtree(place, ignore_errors=True)
        said = " ".join(str(error).split())
        raise UserError(
            f"archive in {path}: cannot be unpacked ({said}); give a tar file of a sweep's folder"
        ) from None
    try:
        found = [found.parent for found in place.rglob("sweep.yaml")]
        if len(found) != 1:
            raise UserError(f"archive in {path}: it holds {len(found)} sweeps; pack the folder of one")
        yield SweepFolder(found[0])
    finally:
        shutil.rmtree(place, ignore_errors=True)


def take_in(source: SweepFolder, output_dir: Path, wish: StoreWish) -> tuple[SweepFolder, bool]:
    """Have a sweep in an output folder, as one that belongs to this project's store.

    Args:
        source: its folder, anywhere; where it is in the output folder already, it stays as it is.
        output_dir: where it shall be.
        wish: the store.

    Returns:
        The sweep, and whether it had to be copied.

    Raises:
        UserError: it is no whole sweep, somebody works on it, or the output folder has another state of it.
    """
    content = read_sweep_file(source)
    if not source.journal.is_file():
        raise UserError(f"sweep in {source.path}: no file {source.journal.name}; nothing of it was ever started")
    name = str(content.get("id") or source.sweep_id)
    if Path(name).name != name:
        raise UserError(f"sweep in {source.sweep}: id {name!r} is no name of a folder; restore the file")
    # One that is here stays what it is called, whatever it was called elsewhere.
    is_here = source.path.parent.resolve() == output_dir.resolve()
    target = source if is_here else SweepFolder(output_dir / name)
    if is_owned(source.journal, is_elsewhere=True):
        raise UserError(f"sweep in {source.path}: a process works on it; import it when it has ended (detsweep stop)")
    if target.sweep.is_file() and not is_here:
        _check_same(source, target)
        is_here = True
    if is_here:
        if wish.is_said:
            tell_store(target, _store(content, wish))
        return target, False
    _copy(source, target, str(content["settings"].get("share", "private")), _store(content, wish))
    return target, True


def _store(content: Mapping[str, Any], wish: StoreWish) -> dict[str, Any]:
    """Return the setting `tracking` of a sweep that belongs to this project's store."""
    before = content["settings"].get("tracking") or {}
    kind = "off" if wish.is_off else "server" if wish.uri and wish.uri.startswith("http") else "sqlite"
    return {
        "log_checkpoints": False,
        **before,
        "name": kind,
        "uri": None if wish.is_off else wish.uri,
        "experiment": wish.experiment or before.get("experiment") or "detsweep",
        # Whoever ran it may have insisted on a store that is not here.
        "required": False,
    }


def _check_same(source: SweepFolder, target: SweepFolder) -> None:
    """Refuse a sweep that is here, and has not got as far as the one that is brought."""
    brought, here = source.journal.read_bytes(), target.journal.read_bytes() if target.journal.is_file() else b""
    if not here.startswith(brought.rpartition(b"\n")[0]):
        raise UserError(
            f"sweep in {source.path}: {target.path} is another state of it; move one of the two away, then import again"
        )


def _copy(source: SweepFolder, target: SweepFolder, share: str, tracking: Mapping[str, Any]) -> None:
    """Copy a sweep under another name and rename it, so that half of one is never taken for a sweep.

    Raises:
        UserError: it cannot be read, or not be written.
    """
    set_umask(UMASKS["group" if share == "group" else "private"])
    making = target.path.with_name(f".{target.path.name}.{os.getpid()}.importing")
    try:
        target.path.parent.mkdir(parents=True, exist_ok=True)
        # Contents alone: modes and owners are those of whoever imports.
        _copy_tree(source.path, making)
        making_folder = SweepFolder(making)
        making_folder.requests.mkdir(exist_ok=True)
        tell_store(making_folder, tracking)
        making.rename(target.path)
    except OSError as error:
        raise UserError(
            f"sweep in {source.path}: cannot be copied to {target.path} ({error.strerror}: {error.filename}); make "
            "room, or choose another output_dir"
        ) from None
    finally:
        with contextlib.suppress(OSError):
            shutil.rmtree(making)


def _copy_tree(source: Path, target: Path) -> None:
    target.mkdir()
    ignored = shutil.ignore_patterns(*LEFT_BEHIND)(str(source), [entry.name for entry in source.iterdir()])
    for entry in source.iterdir():
        if entry.name in ignored or entry.is_symlink():
            continue
        if entry.is_dir():
            _copy_tree(entry, target / entry.name)
        elif entry.is_file():
            shutil.copyfile(entry, target / entry.name)
