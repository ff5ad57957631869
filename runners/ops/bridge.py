"""A module named ``mmcv._ext`` in place of mmcv's compiled one, which the pure-Python wheel ``mmcv-lite`` lacks."""

import importlib.util
import sys
from collections.abc import Callable
from importlib.machinery import EXTENSION_SUFFIXES, ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

EXTENSION = "mmcv._ext"


class UnservedOpError(RuntimeError):
    """An operator of mmcv was called that neither a compiled mmcv nor this bridge provides."""


class _Bridge(ModuleType):
    """Serves a few operators; other names exist, because mmcv asks for them at import, and raise when called."""

    def __getattr__(self, name: str) -> Callable[..., NoReturn]:
        if name.startswith("__"):
            raise AttributeError(name)

        def refuse(*_args: Any, **_kwargs: Any) -> NoReturn:
            raise UnservedOpError(
                f"mmcv operator '{name}' is not served: mmcv-lite has no compiled operators, and of them detsweep "
                f"provides {', '.join(sorted(vars(self)['served']))}; install a compiled mmcv 2.1.0 to use it"
            )

        return refuse


def install() -> bool:
    """Put the bridge into `sys.modules` unless a compiled mmcv is installed; call it before mmcv is imported.

    Returns:
        Whether the bridge serves the operators (False: a compiled mmcv does).

    Raises:
        ImportError: mmcv is not installed at all.
    """
    if EXTENSION in sys.modules:
        return isinstance(sys.modules[EXTENSION], _Bridge)
    if _has_compiled_extension():
        return False
    # Only here: a compiled mmcv needs none of them.
    from runners.ops.served import SERVED

    bridge = _Bridge(EXTENSION, __doc__)
    # Without a loader: mmengine takes that for "mmcv has no binary", which is the truth.
    bridge.__spec__ = ModuleSpec(EXTENSION, loader=None)
    vars(bridge)["served"] = tuple(SERVED)
    vars(bridge).update(SERVED)
    sys.modules[EXTENSION] = bridge
    return True


def _has_compiled_extension() -> bool:
    # Asking for the spec of `mmcv._ext` itself would import mmcv, and with it initialise CUDA's fork guard.
    spec = importlib.util.find_spec("mmcv")
    if spec is None or not spec.submodule_search_locations:
        raise ImportError("mmcv is not installed; detsweep needs mmcv-lite or mmcv 2.1.0")
    folder = Path(next(iter(spec.submodule_search_locations)))
    return any((folder / f"_ext{suffix}").exists() for suffix in EXTENSION_SUFFIXES)
