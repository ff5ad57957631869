"""JSON that keeps tuples apart from lists: configs of MMDetection mean different things by them."""

import json
from collections.abc import Mapping
from typing import Any

# No key of a config looks like this one.
_TUPLE = "()"


def dump_with_tuples(value: Any) -> str:
    """Return plain data as JSON text.

    Raises:
        TypeError: it is not plain.
    """
    return json.dumps(_marked(value), ensure_ascii=False)


def load_with_tuples(text: str) -> Any:
    """Return what `dump_with_tuples` was given.

    Raises:
        ValueError: the text is no JSON.
    """
    return json.loads(text, object_hook=_unmarked)


def _marked(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _marked(entry) for key, entry in value.items()}
    if isinstance(value, tuple):
        return {_TUPLE: [_marked(entry) for entry in value]}
    return [_marked(entry) for entry in value] if isinstance(value, list) else value


def _unmarked(node: dict[str, Any]) -> Any:
    return tuple(node[_TUPLE]) if node.keys() == {_TUPLE} else node
