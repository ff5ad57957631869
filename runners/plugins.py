"""Importing the project's own code into a process that trains, from the sweep's copy and from nowhere else.

The copy's folder carries the digest of its content, so what was imported is what the job was planned with, whatever
has become of the project since. It is imported in the process of each attempt, after the fork: the warm server knows
nothing of it, and need not start anew when it changes.
"""

import importlib
import logging
import sys
import traceback
from collections.abc import Mapping
from importlib.machinery import (
    EXTENSION_SUFFIXES,
    SOURCE_SUFFIXES,
    ExtensionFileLoader,
    FileFinder,
    SourceFileLoader,
)
from pathlib import Path
from typing import Any, NoReturn

from runners.contract.errors import UserError
from runners.contract.plugin_sources import DIGEST, NAMES, find_copy, refuse_changed_copy

_PROJECT_HINT = "if it is a module of the project, name it too"


class _SourceLoader(SourceFileLoader):
    """Compiles what was digested; bytecode beside it was not, and is neither read nor written."""

    def path_stats(self, path: str) -> NoReturn:
        """Say that there is no bytecode.

        Raises:
            OSError: always.
        """
        raise OSError("only sources count")


def import_plugins(config: Mapping[str, Any], folder: Path) -> None:
    """Import what a job's config names as its plug-ins; what they register is known by name from then on.

    Args:
        config: the job's config.
        folder: the sweep's folder, the job's, or one in the job's.

    Raises:
        UserError: the copy is missing or not what was planned with, or a plug-in cannot be imported.
    """
    names = config.get(NAMES) or []
    if not names:
        return
    digest = config.get(DIGEST)
    if not digest:
        raise UserError(f"plugins without their digest in the config of {folder}: {', '.join(names)}; plan them again")
    copy = find_copy(folder, digest).resolve()
    refuse_changed_copy(copy, names, digest)
    _open(copy)
    for name in names:
        _import(name, names, copy)


def _open(copy: Path) -> None:
    """Have Python look for modules in a copy, before anywhere else."""
    if str(copy) in sys.path:
        return
    loaders = (ExtensionFileLoader, EXTENSION_SUFFIXES), (_SourceLoader, SOURCE_SUFFIXES)

    def find_in_copy(path: str) -> FileFinder:
        if not Path(path).is_relative_to(copy):
            raise ImportError(f"{path}: not in {copy}")
        return FileFinder(path, *loaders)

    sys.path_hooks.insert(0, find_in_copy)
    sys.path.insert(0, str(copy))
    importlib.invalidate_caches()


def _import(name: str, names: list[str], copy: Path) -> None:
    known = sys.modules.get(name.partition(".")[0])
    if known is not None and not Path(known.__file__ or "").is_relative_to(copy):
        raise UserError(
            f"name taken in plugins: {name} is a module that training has imported from {known.__file__}; rename yours"
        )
    try:
        importlib.import_module(name)
    except (Exception, SystemExit) as error:
        logging.getLogger(__name__).exception("plugin %s cannot be imported", name)
        place, told = _place(error, copy), f"{type(error).__name__}: {str(error).strip() or 'no message'}"
        told = told.splitlines()[0]
        hint = "mend it"
        if isinstance(error, ModuleNotFoundError) and error.name is not None:
            hint = f"install it, or {_PROJECT_HINT}: plugins=[{','.join([*names, error.name.partition('.')[0]])}]"
        raise UserError(f"plugin {name} cannot be imported: {told} in {place}; {hint}") from error


def _place(error: BaseException, copy: Path) -> str:
    """Return the file and line of the plug-ins that an exception came from, relative to the project."""
    if isinstance(error, SyntaxError) and error.filename and Path(error.filename).is_relative_to(copy):
        return f"{Path(error.filename).relative_to(copy)}:{error.lineno}"
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename).is_relative_to(copy)]
    if not frames:
        return f"the copy {copy}"
    return f"{Path(frames[-1].filename).relative_to(copy)}:{frames[-1].lineno}"
