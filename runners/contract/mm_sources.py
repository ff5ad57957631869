"""Which files a Python config of MMDetection consists of, told from their text alone: nothing of them is executed.

Such a file runs code when it is read, and so do its bases. Where all of them lie is therefore known before.
"""

import ast
import importlib.util
from collections.abc import Iterator, Sequence
from pathlib import Path

from runners.contract.errors import UserError

BASE = "_base_"
READ_BASE = "read_base"
# Where an OpenMMLab package keeps the configs that `_base_ = "mmdet::..."` and `from mmdet.configs...` mean.
SHIPPED = Path(".mim", "configs")
# Packages that configs of the newer kind take types from.
_NOTED = ("mmcv", "mmdet", "mmengine", "torch")


def find_sources(path: Path, trusted: Sequence[Path]) -> list[Path]:
    """Return a config and all that it is based on, each once, bases behind what names them.

    Args:
        path: the config.
        trusted: folders whose Python files may be executed.

    Raises:
        UserError: a file is missing, is no Python, has a base that cannot be told without executing it, or lies outside
            the trusted folders; all such problems together.
    """
    found: dict[Path, None] = {}
    problems: dict[str, None] = {}
    folders = [folder.resolve() for folder in trusted]
    waiting = [(path.absolute(), "detector.config")]
    while waiting:
        file, named_by = waiting.pop(0)
        real = file.resolve()
        if real in found:
            continue
        found[real] = None
        try:
            _refuse_place(file, real, folders, named_by)
            waiting += [(base, str(file)) for base in _bases(file)]
        except UserError as error:
            problems |= dict.fromkeys(error.problems)
    if problems:
        raise UserError(*problems)
    return list(found)


def parse_config(path: Path) -> ast.Module:
    """Return the syntax tree of a config.

    Raises:
        UserError: it cannot be read, or is no Python; with its line.
    """
    try:
        return ast.parse(path.read_text(encoding="utf-8"), str(path))
    except SyntaxError as error:
        where = f"line {error.lineno}" + (f", column {error.offset}" if error.offset else "")
        raise UserError(f"broken Python in {path}: {error.msg} at {where}; mend the config") from None
    except (OSError, ValueError) as error:
        raise UserError(f"unreadable config in {path}: {' '.join(str(error).split())}; give a Python file") from None


def is_repeatable(tree: ast.Module, text: str) -> bool:
    """Whether reading a config again gives the same, for its text asks nothing of the world around it."""
    asks = {"open", "__import__", "eval", "exec"}
    return "$" not in text and not any(
        (isinstance(node, ast.Name) and node.id in asks)
        or (isinstance(node, ast.Import | ast.ImportFrom) and not _is_of_the_newer_kind(node))
        for node in ast.walk(tree)
    )


def package_of(name: str) -> Path | None:
    """Return the folder of an installed package without importing it; None if it is not there."""
    spec = importlib.util.find_spec(name)
    return Path(spec.origin).parent if spec is not None and spec.origin else None


def _refuse_place(file: Path, real: Path, folders: Sequence[Path], named_by: str) -> None:
    if not file.is_file():
        found = "a folder" if file.is_dir() else "no such file"
        raise UserError(
            f"config missing in {named_by}: {file} ({found}); give the path of a Python config of mmdet 3.x"
        )
    if file.suffix != ".py":
        raise UserError(f"no Python config in {named_by}: {file}; a config of mmdet 3.x is a .py file")
    if not any(real.is_relative_to(folder) for folder in folders):
        raise UserError(
            f"config outside the trusted folders in {named_by}: {real}; reading it executes it: if you trust "
            f"{real.parent}, write it into trusted_folders in detsweep.yaml (made by detsweep init)"
        )


def _bases(file: Path) -> Iterator[Path]:
    tree = parse_config(file)
    for node in tree.body:
        if isinstance(node, ast.Assign) and any(
            isinstance(name, ast.Name) and name.id == BASE for name in node.targets
        ):
            yield from (_named_base(file, name) for name in _texts(file, node))
        elif _reads_base(node):
            assert isinstance(node, ast.With)
            yield from (_imported_base(file, entry) for entry in node.body)


def _texts(file: Path, node: ast.Assign) -> list[str]:
    try:
        value = ast.literal_eval(node.value)
    except ValueError:
        value = None
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list | tuple) or not all(isinstance(name, str) and "{{" not in name for name in names):
        raise UserError(
            f"base not plain in {file}: {BASE} at line {node.lineno}; write the paths out, for what it executes is to "
            "be known before"
        )
    return list(names)


def _named_base(file: Path, name: str) -> Path:
    package, separator, rest = name.partition("::")
    if not separator:
        return file.parent / name
    folder = package_of(package)
    if folder is None:
        raise UserError(f"base missing in {file}: {BASE} names {name}; package {package} is not installed")
    return folder / SHIPPED / rest


def _imported_base(file: Path, node: ast.stmt) -> Path:
    if not isinstance(node, ast.ImportFrom) or node.module is None:
        raise UserError(f"base not plain in {file}: line {node.lineno}; with read_base(): from ...MODULE import *")
    parts = node.module.split(".")
    if node.level:
        return file.parent.joinpath(*[".."] * (node.level - 1), *parts).with_suffix(".py")
    folder = package_of(parts[0])
    if folder is None:
        raise UserError(f"base missing in {file}: line {node.lineno}, package {parts[0]} is not installed")
    return folder.joinpath(*parts[1:]).with_suffix(".py")


def _reads_base(node: ast.stmt) -> bool:
    if not isinstance(node, ast.With):
        return False
    called = [item.context_expr.func for item in node.items if isinstance(item.context_expr, ast.Call)]
    return any(isinstance(name, ast.Name) and name.id == READ_BASE for name in called)


def _is_of_the_newer_kind(node: ast.Import | ast.ImportFrom) -> bool:
    """Whether an import names a base or a part of MMDetection, which mmengine notes without importing it."""
    if isinstance(node, ast.Import):
        return False
    return node.level > 0 or (node.module or "").partition(".")[0] in _NOTED
