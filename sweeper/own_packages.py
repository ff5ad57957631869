"""Our packages have plain names, and a project's folder may have others of the same: ours are found beside this one."""

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType

OURS = ("conf", "reports", "runners")
_ROOT = str(Path(__file__).parents[1])


class OwnPackages:
    """A meta path finder of our packages: they are where this one lies, whatever ``PYTHONPATH`` has before it."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """See `importlib.abc.MetaPathFinder`, which is not imported for it takes as long as all else of this."""
        return PathFinder.find_spec(fullname, [_ROOT], target) if fullname in OURS else None


def stand_first() -> None:
    """Let our packages be found before others of their names; calling it again changes nothing."""
    if not any(isinstance(finder, OwnPackages) for finder in sys.meta_path):
        sys.meta_path.insert(0, OwnPackages())
