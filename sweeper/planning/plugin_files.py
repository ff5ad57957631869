"""Where the files of a plug-in are, in the project's folder or in the installation, and what they hold."""

import importlib.util
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from runners.contract.errors import UserError
from runners.contract.plugin_sources import is_source
from sweeper.planning.overrides import nearest

# Code, and little else: weights and images do not belong into every sweep's folder.
MAX_BYTES = 50_000_000

# What the warm server has imported, or is, long before a job could import something else of that name.
_STACK = frozenset(
    [
        *("conf", "hydra_plugins", "reports", "runners", "sweeper"),
        *("cv2", "mmcv", "mmdet", "mmengine", "numpy", "torch", "torchvision"),
        *("hydra", "mlflow", "omegaconf", "yaml", "PIL", "pycocotools", "faster_coco_eval"),
    ]
)


@dataclass(frozen=True)
class PluginSource:
    """A package or module that can be copied.

    Attributes:
        name: by which it is imported.
        path: the folder of the package, or the module's file.
        is_local: whether it is part of the project's folder, and not installed.
        base: no link in it may lead out of this folder.
    """

    name: str
    path: Path
    is_local: bool
    base: Path


def find_source(name: str, root: Path) -> PluginSource:
    """Find a package or module by its top-level name.

    Raises:
        UserError: there is none, or Python would take another one of that name.
    """
    local, installed = _local(name, root), _installed(name)
    if local is not None and installed is not None and installed.resolve() == local.resolve():
        installed = None  # the project itself is installed, or on the path
    if name in sys.stdlib_module_names or name in _STACK:
        whose = "Python's own" if name in sys.stdlib_module_names else "part of what detsweep runs on"
        told = f"rename {local}" if local else f"name a package of yours{_among(name, root)}"
        raise UserError(f"name taken in plugins: {name} is {whose}; {told}")
    if local is not None and installed is not None:
        raise UserError(
            f"name taken in plugins: {name} is installed in {installed.parent}, and {local} would hide it; rename yours"
        )
    path = local or installed
    if path is None:
        raise UserError(f"no plugin {name}: neither {name}/ nor {name}.py in {root}{_among(name, root)}")
    return PluginSource(name, path, local is not None, (root if local else path.parent).resolve())


def local_modules(root: Path) -> list[str]:
    """Return the names by which modules and packages of the project's folder could be imported."""
    return sorted(
        entry.stem if entry.suffix == ".py" else entry.name
        for entry in root.iterdir()
        if is_source(entry.name)
        and (entry.suffix == ".py" or (entry.is_dir() and any(entry.glob("*.py"))))
        and entry.stem.isidentifier()
    )


def read_source(source: PluginSource) -> dict[str, bytes]:
    """Read all files of a package or module, data files among them.

    Returns:
        Content by the path relative to the folder that the package lies in.

    Raises:
        UserError: a link leads out of the project, a file cannot be read, or they are too large to be copied.
    """
    sources: dict[str, bytes] = {}
    n_bytes = 0
    for path in _files(source.path, source, ()):
        try:
            n_bytes += path.stat().st_size
            if n_bytes > MAX_BYTES:
                raise UserError(
                    f"plugin too large in {source.path}: more than {MAX_BYTES // 1_000_000} MB, and sweeps keep a "
                    f"copy; keep data out of it (met at {path})"
                )
            sources[path.relative_to(source.path.parent).as_posix()] = path.read_bytes()
        except OSError as error:
            raise UserError(f"unreadable file of a plugin in {path}: {error.strerror}; make it readable") from None
    return sources


def _local(name: str, root: Path) -> Path | None:
    """Return the project's package or module, as Python would choose between them."""
    package, module = root / name, root / f"{name}.py"
    if package.is_dir() and ((package / "__init__.py").is_file() or not module.is_file()):
        return package
    return module if module.is_file() else None


def _installed(name: str) -> Path | None:
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return None
    if spec is None or spec.origin is None or not Path(spec.origin).is_file():
        return None  # a folder without __init__.py that happens to be on the path hides nothing
    return Path(spec.origin).parent if spec.submodule_search_locations else Path(spec.origin)


def _among(name: str, root: Path) -> str:
    modules = local_modules(root)
    if not modules:
        return "; there is no Python code in it"
    return nearest(name, modules) or f"; it has {', '.join(modules[:10])}"


def _files(path: Path, source: PluginSource, above: tuple[Path, ...]) -> Iterator[Path]:
    """Yield the files of a package; links are followed, and may neither leave the project nor lead back.

    Raises:
        UserError: one does.
    """
    real = path.resolve()
    if not real.is_relative_to(source.base):
        where = "the project" if source.is_local else "its place"
        raise UserError(f"link out of {where} in plugin {source.name}: {path} -> {real}; copy what it leads to")
    if not path.exists() or real in above:
        raise UserError(f"broken link in plugin {source.name}: {path} -> {real}; remove it")
    if path.is_dir():
        for entry in sorted(path.iterdir()):
            if is_source(entry.name):
                yield from _files(entry, source, (*above, real))
    elif path.is_file():
        yield path
