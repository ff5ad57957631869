"""Beginning a project in a folder: decided as a whole, then all of it is made, or nothing."""

import contextlib
from collections.abc import Sequence
from pathlib import Path

from runners.contract.errors import UserError
from sweeper.project.project import CONF, LOCAL
from sweeper.project.starter_texts import StarterFile

OTHER_CONF = "detsweep_conf"


def choose_conf(root: Path) -> str:
    """Return the name of the folder of groups: ``conf``, unless that is another program's already.

    A folder of folders may be a person's own groups; files of their own in it are somebody else's.
    """
    folder = root / CONF
    if not folder.is_dir():
        return CONF
    foreign = [path for path in folder.iterdir() if path.is_file() and path.name not in (LOCAL, ".gitignore")]
    return OTHER_CONF if foreign else CONF


def make_files(root: Path, files: Sequence[StarterFile]) -> None:
    """Make files in a folder, which is made too; nothing is left of them if one cannot be made.

    Raises:
        UserError: something of that name exists, or cannot be written.
    """
    existing = [file.name for file in files if (root / file.name).exists() or (root / file.name).is_symlink()]
    if existing:
        raise UserError(
            f"in the way in {root}: {', '.join(existing)}; nothing is overwritten: move them, or choose another folder"
        )
    made: list[Path] = []
    try:
        for file in files:
            path = root / file.name
            made += _make_folders(path.parent)
            with path.open("x", encoding="utf-8") as stream:
                made.append(path)
                stream.write(file.text)
    except OSError as error:
        _take_back(made)
        raise UserError(
            f"cannot write in {root}: {error.strerror}: {error.filename}; choose another folder, or see to its rights"
        ) from None


def _make_folders(folder: Path) -> list[Path]:
    """Make a folder and those above it, and return the ones that were not there."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    for path in reversed(missing):
        path.mkdir()
    return list(reversed(missing))


def _take_back(made: Sequence[Path]) -> None:
    for path in reversed(made):
        with contextlib.suppress(OSError):
            path.rmdir() if path.is_dir() else path.unlink()
