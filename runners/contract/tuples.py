"""Tuples in a job's config, which YAML can only write as lists: by their keys' names, and what departs from that.

The shipped groups follow the names. A config that somebody else wrote may have a list where the name says tuple, or the
other way round; those places stand in the job's config beside it, under `KEY`. A value that an override puts there
follows the place, and one under a key that the file has not follows the name.
"""

from collections.abc import Iterator, Mapping
from typing import Any

# Of a job's config: {"are": places of tuples, "are_not": places of lists}; absent where the names say everything.
KEY = "tuples"

# Where YAML can only give a list and mmcv or mmdet insist on a tuple.
TUPLE_KEYS = (
    "betas",
    "border",
    "crop_size",
    "img_scale",
    "meta_keys",
    "min_gt_bbox_wh",
    "out_indices",
    "scale",
    "scaling_ratio_range",
)
LIST_OF_TUPLES_KEYS = ("img_scales", "scales")

_EVERY = "*"


def with_tuples(value: Any, place: str = "", departures: Mapping[str, list[str]] | None = None) -> Any:
    """Return a part of a config with its tuples restored.

    Args:
        value: the part; it is not changed.
        place: its dotted key in the config.
        departures: what the config holds under `KEY`.
    """
    told = departures or {}
    return _restored(value, place, "", False, frozenset(told.get("are", ())), frozenset(told.get("are_not", ())))


def tuples_in(config: Mapping[str, Any], part: str) -> Any:
    """Return what stands under a top-level key of a job's config, or under a dotted one, with its tuples restored."""
    value: Any = config
    for name in part.split("."):
        value = value[name]
    return with_tuples(value, part, config.get(KEY))


def find_departures(value: Any, place: str) -> dict[str, list[str]]:
    """Return where lists and tuples of a part differ from what the names of their keys say.

    Args:
        value: plain data with tuples.
        place: its dotted key in the config.
    """
    tuples: dict[str, bool] = {}
    lists: dict[str, bool] = {}
    for where, is_tuple, by_name in _lists(value, place, "", False):
        (tuples if is_tuple else lists)[where] = by_name
    # Of two entries of a list that differ, the tuple counts: what takes a list mostly takes a tuple too.
    are = [where for where, by_name in tuples.items() if not by_name]
    are_not = [where for where, by_name in lists.items() if by_name and where not in tuples]
    return {kind: places for kind, places in (("are", are), ("are_not", are_not)) if places}


def without_tuples(value: Any) -> Any:
    """Return plain data with lists in the place of tuples."""
    if isinstance(value, Mapping):
        return {key: without_tuples(entry) for key, entry in value.items()}
    return [without_tuples(entry) for entry in value] if isinstance(value, list | tuple) else value


def _restored(value: Any, place: str, name: str, is_named: bool, are: frozenset[str], are_not: frozenset[str]) -> Any:
    if isinstance(value, Mapping):
        return {
            key: _restored(entry, _below(place, key), str(key), _is_tuple_key(key), are, are_not)
            for key, entry in value.items()
        }
    if not isinstance(value, list | tuple):
        return value
    is_within = _holds_tuples(name, value)
    entries = [_restored(entry, f"{place}.{_EVERY}", "", is_within, are, are_not) for entry in value]
    if isinstance(value, tuple) or place in are or (is_named and place not in are_not):
        return tuple(entries)
    return entries


def _lists(value: Any, place: str, name: str, is_named: bool) -> Iterator[tuple[str, bool, bool]]:
    """Yield, for each list or tuple: its place, whether it is a tuple, and whether its name says so."""
    if isinstance(value, Mapping):
        for key, entry in value.items():
            yield from _lists(entry, _below(place, key), str(key), _is_tuple_key(key))
    elif isinstance(value, list | tuple):
        yield place, isinstance(value, tuple), is_named
        for entry in value:
            yield from _lists(entry, f"{place}.{_EVERY}", "", _holds_tuples(name, value))


def _below(place: str, key: object) -> str:
    return f"{place}.{key}" if place else str(key)


def _is_tuple_key(key: object) -> bool:
    return key in TUPLE_KEYS


def _holds_tuples(name: str, value: list[Any] | tuple[Any, ...]) -> bool:
    """Whether a list's own entries are tuples by its name; an anchor generator's ``scales`` are plain numbers."""
    return name in LIST_OF_TUPLES_KEYS and all(isinstance(entry, list | tuple) for entry in value)
