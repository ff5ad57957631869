"""Our packages have plain names, and a project's folder may have others of the same: ours are found beside this one."""

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType

OURS = ("conf", "reports", "runners")
_ROOT = str(Path(__file__).parents[1])


class OwnPackages(MetaPathFinder):
    """Finds our packages where this one lies, whatever ``PYTHONPATH`` has before it."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """See `MetaPathFinder.find_spec`."""
        return PathFinder.find_spec(fullname, [_ROOT], target) if fullname in OURS else None


def stand_first() -> None:
    """Let our packages be found before others of their names; calling it again changes nothing."""
    if not any(isinstance(finder, OwnPackages) for finder in sys.meta_path):
        sys.meta_path.insert(0, OwnPackages())
