"""The project's own code, ``plugins=[trash_augs]``: found, read and checked without being imported.

A name is a package or a module at the root of the project's folder, or of an installation (a package of the team's own
that is installed with pip). Either way its files are copied into the sweep's folder, and jobs import the copy: code
that is edited while a sweep runs is that of the jobs that are added later.
"""

import ast
import keyword
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runners.contract.errors import UserError
from runners.contract.plugin_sources import DIGEST, NAMES, digest_of
from sweeper.planning.overrides import nearest
from sweeper.planning.plugin_files import PluginSource, find_source, local_modules, read_source


@dataclass(frozen=True)
class Plugins:
    """What a job imports beside detsweep.

    Attributes:
        names: of packages and modules, in the order in which they are imported.
        digest: of everything below; empty without any.
        sources: each file's content by the path under which it is copied, ``trash_augs/flips.py``.
    """

    names: Sequence[str] = ()
    digest: str = ""
    sources: Mapping[str, bytes] = field(default_factory=dict)

    def placed_in(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """Return a job's config that says which code it is trained with."""
        return {**config, NAMES: list(self.names), **({DIGEST: self.digest} if self.digest else {})}


class PluginFinder:
    """Finds the plug-ins of all jobs of a plan, each set once.

    Args:
        root: the project's folder.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._found: dict[tuple[str, ...], Plugins] = {}

    def find(self, value: Any) -> Plugins:
        """Return what a config's ``plugins`` names.

        Args:
            value: a list of names; one name stands for a list of it.

        Raises:
            UserError: as `find_plugins`.
        """
        names = tuple(dict.fromkeys([value] if isinstance(value, str) else value or ()))
        if names not in self._found:
            self._found[names] = find_plugins(names, self._root)
        return self._found[names]


def find_plugins(names: Sequence[str], root: Path) -> Plugins:
    """Find packages and modules, and read all of their files.

    Args:
        names: as they would be imported, ``trash_augs`` or ``trash_augs.flips``.
        root: the project's folder.

    Raises:
        UserError: all that is wrong with them, a line each.
    """
    problems: list[str] = []
    sources: dict[str, bytes] = {}
    found: dict[str, PluginSource] = {}
    for name in names:
        top = str(name).partition(".")[0]
        try:
            _check_name(name, root)
            if top not in found:
                found[top] = find_source(top, root)
                sources |= read_source(found[top])
            _check_module(name, found[top], sources)
        except UserError as error:
            problems += [problem for problem in error.problems if problem not in problems]
    if not problems:
        problems = _code_problems(names, found, sources, root)
    if problems:
        raise UserError(*problems)
    return Plugins(tuple(names), digest_of(names, sources), sources) if names else Plugins()


def _check_name(name: Any, root: Path) -> None:
    """Refuse what could not stand behind ``import``.

    Raises:
        UserError: it could not.
    """
    parts = str(name).split(".") if isinstance(name, str) else [""]
    if all(part.isidentifier() and not keyword.iskeyword(part) for part in parts) and parts[-1] != "py":
        return
    guess = nearest(Path(str(name)).name.removesuffix(".py").replace("-", "_"), local_modules(root))
    wanted = guess or "; name a package or module as it is imported, plugins=[trash_augs]"
    raise UserError(f"no name of a module in plugins: {name!r}{wanted}")


def _check_module(name: str, source: PluginSource, sources: Mapping[str, bytes]) -> None:
    """Refuse a name that importing would not find, or that would import nothing.

    Raises:
        UserError: there is no such module in the package, or it has no ``__init__.py``.
    """
    path = name.replace(".", "/")
    modules = sorted(
        other.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        for other in sources
        if other.endswith(".py") and other.startswith((f"{source.name}/", f"{source.name}."))
    )
    if {f"{path}.py", f"{path}/__init__.py"} & sources.keys():
        return
    if name == source.name:
        raise UserError(
            f"no package in plugins: {source.path} has no __init__.py; make one that imports its modules, or name "
            f"these: plugins=[{','.join(modules[:3]) or f'{name}.MODULE'}]"
        )
    raise UserError(f"no module {name} in plugins: {source.path} has {', '.join(modules) or 'none'}")


def _code_problems(
    names: Sequence[str], found: Mapping[str, PluginSource], sources: Mapping[str, bytes], root: Path
) -> list[str]:
    """Return a line for each file that does not compile, and for each module of the project that is not named too."""
    problems = []
    missing: dict[str, str] = {}
    others = local_modules(root)
    for path, content in sources.items():
        if not path.endswith(".py"):
            continue
        source = found[path.partition("/")[0].removesuffix(".py")]
        shown = source.path.parent / path
        try:
            tree = ast.parse(content, filename=str(shown))
        except (SyntaxError, ValueError) as error:
            line = getattr(error, "lineno", None) or 1
            problems.append(f"syntax error in plugin {shown}:{line}: {getattr(error, 'msg', error)}; mend it")
            continue
        for module, line in _imported(tree):
            if source.is_local and module not in found and module in others and module not in missing:
                missing[module] = f"{shown}:{line}"
    named = ",".join([*names, *missing])
    return problems + [
        f"module of the project that is not among the plugins in {place}: imports {module}, and jobs have only what is "
        f"named; write plugins=[{named}]"
        for module, place in missing.items()
    ]


def _imported(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Yield (top-level module, line) of everything that a module imports by its full name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name.partition(".")[0], node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module.partition(".")[0], node.lineno
