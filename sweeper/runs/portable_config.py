"""A run's ``config.py`` for other places: where its data lies stands at the top, once, to be edited."""

import ast
import io
import keyword
import tokenize
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

ROOT = "data_root"
_HEAD = """\
# {title}, exported by detsweep; a config of plain MMDetection 3.x.
# Edit these where the data lies elsewhere.
"""


@dataclass(frozen=True)
class PortableConfig:
    """The text, and what it needs beside it.

    Attributes:
        text: of the file.
        paths: name to path of everything at its top.
        modules: that it imports.
    """

    text: str
    paths: Mapping[str, str]
    modules: tuple[str, ...]


@dataclass
class _Names:
    """Gives each absolute path a name, after the key that it stood under."""

    root: str
    paths: dict[str, str] = field(default_factory=dict)

    def expression(self, path: str, key: str) -> str:
        """Return Python for a path: the root's name, one below it, or a name of its own."""
        below = _below(path, self.root)
        if below is not None:
            self.paths.setdefault(ROOT, self.root)
            return f"{ROOT} + {f'/{below}'!r}" if below else ROOT
        known = next((name for name, value in self.paths.items() if value == path), None)
        return known or self._new(path, key)

    def _new(self, path: str, key: str) -> str:
        stem = PurePosixPath(path).name.partition(".")[0] if key == "ann_file" else ""
        base = "".join(letter if letter.isalnum() else "_" for letter in f"{stem}_{key}".strip("_"))
        base = base if base.isidentifier() and not keyword.iskeyword(base) else f"path_{key}"
        name, number = f"{base}_path" if base == key else base, 2
        while name in self.paths:
            name, number = f"{base}_{number}", number + 1
        self.paths[name] = path
        return name


def portable_config(
    text: str, root: str, title: str, modules: Mapping[str, str], moved: Mapping[str, str] | None = None
) -> PortableConfig:
    """Return a config whose paths can be edited in one place, and which starts from no checkpoint of another's.

    Args:
        text: of a job's ``config.py``: assignments of plain data.
        root: the data set's folder.
        title: of the run, for its first line.
        modules: module names that are other ones there.
        moved: paths that are other ones by now.

    Raises:
        SyntaxError: the text is no Python.
    """
    imported = [modules.get(name, name) for name in _imports(text)]
    names = _Names(root.rstrip("/") or "/")
    body = "".join(_rewritten(text, names, modules))
    paths = {name: (moved or {}).get(path, path) for name, path in names.paths.items()}
    lines = _HEAD.format(title=" ".join(title.split()))
    lines += "".join(f"{name} = {path!r}\n" for name, path in sorted(paths.items(), key=lambda item: item[0] != ROOT))
    return PortableConfig(f"{lines}\n{body}", paths, tuple(imported))


def _rewritten(text: str, names: _Names, modules: Mapping[str, str]) -> Iterator[str]:
    """Yield the text's pieces, strings that are absolute paths or other modules replaced."""
    starts = [0]
    for line in text.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    behind, before = 0, ["", ""]
    statement: list[str] = []
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        start, end = (starts[row - 1] + column for row, column in (token.start, token.end))
        if token.type == tokenize.STRING:
            value = ast.literal_eval(token.string)
            if isinstance(value, str) and PurePosixPath(value).is_absolute():
                is_start = statement[:2] == ["load_from", "="] and len(statement) == 2
                replaced = "None" if is_start else names.expression(value, _key(before))
                yield text[behind:start] + replaced
                behind = end
            elif isinstance(value, str) and value in modules:
                yield text[behind:start] + repr(modules[value])
                behind = end
        if token.type in (tokenize.NEWLINE, tokenize.ENDMARKER):
            statement = []
        elif token.type not in (tokenize.NL, tokenize.COMMENT):
            statement.append(token.string)
            before = [before[1], token.string]
    yield text[behind:]


def _key(before: list[str]) -> str:
    """Return the key that a value stands under, by the two tokens before it: a name and ``=``, a string and ``:``."""
    key, sign = before
    if sign == "=" and key.isidentifier():
        return key
    return str(ast.literal_eval(key)) if sign == ":" and key[:1] in "'\"" else "file"


def _imports(text: str) -> list[str]:
    """Return the modules in `custom_imports`."""
    for node in ast.parse(text).body:
        if isinstance(node, ast.Assign) and any(
            isinstance(target, ast.Name) and target.id == "custom_imports" for target in node.targets
        ):
            words = [leaf.value for leaf in ast.walk(node.value) if isinstance(leaf, ast.Constant)]
            return [word for word in words if isinstance(word, str) and word not in ("imports", "allow_failed_imports")]
    return []


def _below(path: str, root: str) -> str | None:
    if path.rstrip("/") == root:
        return ""
    return path[len(root) :].lstrip("/") if path.startswith(f"{root}/") else None
