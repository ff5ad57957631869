"""A small YAML file of a project, read as a mapping; what is wrong with it is one line with the place."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from runners.contract.errors import UserError


class _Loader(yaml.SafeLoader):
    """Refuses a key that stands twice, of which YAML would silently take the second."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Return a mapping; a doubled key is an error at its place."""
        seen = set()
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.constructor.ConstructorError(None, None, f"key '{key.value}' stands twice", key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def read_mapping(path: Path, keys: Sequence[str] | None = None) -> dict[str, Any]:
    """Return what a file holds; an empty one, or one of comments only, is an empty mapping.

    Args:
        path: the file.
        keys: what it may hold; anything by default.

    Raises:
        UserError: it cannot be read, is broken, no mapping, or holds something else.
    """
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}; see to its rights") from None
    except UnicodeDecodeError as error:
        raise UserError(f"broken text in {path}: no UTF-8 at byte {error.start}; save it as UTF-8") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        at = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise UserError(f"broken YAML in {path}: {error.problem}{at}; mend it") from None
    except yaml.YAMLError as error:
        raise UserError(f"broken YAML in {path}: {' '.join(str(error).split())}; mend it") from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise UserError(f"no mapping in {path}: {type(content).__name__}; write lines of the form key: value")
    unknown = [str(key) for key in content if keys is not None and key not in keys]
    if unknown:
        raise UserError(f"unknown key in {path}: {', '.join(unknown)}; keys are {', '.join(keys or ())}")
    return {str(key): value for key, value in content.items()}
