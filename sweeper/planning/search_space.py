"""The search of a command line: a file's space, what overrides replace, add and fix of it, and the default's point."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from hydra.core.override_parser.types import IntervalSweep, Override, RangeSweep
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from runners.contract.dimensions import Dimension, named, read_space, text
from runners.contract.errors import UserError
from runners.contract.naming import REPLICATE_KEYS
from runners.contract.search import Exclusion, Search, read_search, search_problems
from sweeper.planning.axes import SWEEP_SETTINGS
from sweeper.planning.overrides import parse_override

_KEY = "search"


def has_search(config: DictConfig) -> bool:
    """Whether a config asks for a search."""
    return config.get(_KEY) is not None


def file_of(config: DictConfig) -> str:
    """Return the file that a config's search comes from, for messages."""
    chosen = OmegaConf.select(config, f"hydra.runtime.choices.{_KEY}")
    return f"{_KEY}/{chosen}.yaml" if chosen else _KEY


def search_of(config: DictConfig, overrides: Sequence[Override]) -> tuple[Search, list[Override]]:
    """Return the search of a command line, and the overrides that all of its trials share.

    What the command line varies becomes a dimension: of a key that the file searches over it takes the place of the
    values, and conditions stay; others come last. One value for a key fixes it.

    Args:
        config: composed without what is varied; has a search.
        overrides: the command line's; a later one of a key replaces an earlier one.

    Raises:
        UserError: all that is wrong with the search.
    """
    where = file_of(config)
    node = OmegaConf.to_container(config[_KEY], resolve=True)
    if not isinstance(node, dict):
        raise UserError(f"no search in {where}: {text(node)}; a file of conf/search sets name, space and objectives")
    problems = _clashes(config, overrides)
    try:
        search = read_search({str(key): value for key, value in node.items()}, where, is_open=True)
    except UserError as error:
        raise UserError(*error.problems, *problems) from None
    last = {override.key_or_group: override for override in overrides}
    varied = [override for override in last.values() if override.is_sweep_override() and not _is_told(override)]
    shared = [override for override in last.values() if not override.is_sweep_override()]
    search = _with_varied(search, varied, problems)
    search = _with_fixed(search, shared)
    if {} in search.exclude:
        problems.append(f"nothing left in {where}: what the command line fixes is excluded; fix something else")
    problems = problems or search_problems(search, where)
    if problems:
        raise UserError(*problems)
    return search, [override for override in overrides if override in shared]


def quoted(dimension: Dimension) -> str:
    """Return the override that makes this dimension of a command line, quoted for a shell."""
    return shlex.quote(f"{dimension.key}={_in_grammar(dimension)}")


def default_point(search: Search, config: DictConfig) -> dict[str, str]:
    """Return where a config lies that was composed without the dimensions; what it has no value of is left out.

    Args:
        search: its dimensions.
        config: composed, with Hydra's node.

    Raises:
        UserError: a value that is known only once the data set has been read.
    """
    chosen = config.hydra.runtime.choices
    point: dict[str, str] = {}
    for dimension in search.active(point):
        key = dimension.key.lstrip("+")
        try:
            value = chosen[key] if key in chosen else OmegaConf.select(config, key, throw_on_missing=True)
        except OmegaConfBaseException as error:
            raise UserError(f"no default in {file_of(config)}: space {key} follows the data; fix it") from error
        value = OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value
        if value is not None or "null" in dimension.choices:
            point[dimension.key] = _as_in(dimension, text(value))
    return point


def inside(search: Search, point: Mapping[str, str]) -> list[str]:
    """Return a line for each value of a point that lies outside of the space."""
    lines = []
    for dimension in search.active(point):
        if dimension.key not in point:
            lines.append(f"{dimension.key} has no value; it is searched in {dimension.ends()}")
        elif not dimension.holds(point[dimension.key]):
            lines.append(f"{dimension.key}={point[dimension.key]} lies outside of {dimension.ends()}")
    if search.is_excluded(point):
        lines.append(f"{', '.join(f'{key}={value}' for key, value in point.items())} is excluded")
    return lines


def same_value(one: str, other: str) -> bool:
    """Whether two values of overrides mean the same: ``1e-4`` and ``0.0001``, ``'sgd'`` and ``sgd``."""
    if one == other:
        return True
    try:
        first, second = parse_override(f"x={one}").value(), parse_override(f"x={other}").value()
    except UserError:
        return False
    return bool(first == second) and isinstance(first, bool) == isinstance(second, bool)


def _clashes(config: DictConfig, overrides: Sequence[Override]) -> list[str]:
    """Return a line for each override that a search cannot have beside it."""
    if config.get("hypothesis") is not None:
        chosen = OmegaConf.select(config, "hydra.runtime.choices.hypothesis")
        return [
            f"search of a hypothesis in hypothesis={chosen}: its arms are compared as they are, never searched or "
            "pruned; leave one of them out"
        ]
    problems = []
    for override in overrides:
        line, name = override.input_line, override.key_or_group
        if not override.is_sweep_override():
            continue
        if name in REPLICATE_KEYS:
            problems.append(
                f"{name}s beside a search in {line}: a trial is trained once; give one value, and search.confirm=3 "
                "trains the best again with seeds of their own"
            )
        elif name == "recipe":
            problems.append(f"two recipes in {line}: a search has one at most; start one search per recipe")
        elif name.partition(".")[0] in SWEEP_SETTINGS:
            problems.append(
                f"no dimension in {line}: '{name}' is a setting of the whole sweep; give it one value, or start one "
                "search per value"
            )
    return problems


def _is_told(override: Override) -> bool:
    name = override.key_or_group
    return name in (*REPLICATE_KEYS, "recipe") or name.partition(".")[0] in SWEEP_SETTINGS


def _with_varied(search: Search, varied: Sequence[Override], problems: list[str]) -> Search:
    """Return the search with what a command line varies; what is wrong is added to `problems`."""
    dimensions, exclude = list(search.dimensions), search.exclude
    for override in varied:
        line = override.input_line or ""
        key = override.get_key_element()
        told: list[str] = []
        node = _node_of(override, told)
        read = read_space({key: node}, f"override '{line}'", told) if node else ()
        problems += told
        if not read:
            continue
        if not any(dimension.key == key for dimension in dimensions):
            dimensions.append(read[0])
            continue
        exclude = _narrowed(exclude, [entry for entry in dimensions if entry.key == key], read[0])
        dimensions = [replace(read[0], when=entry.when) if entry.key == key else entry for entry in dimensions]
        dimensions = _settled(dimensions, key, read[0].choices)
    return replace(search, dimensions=named(dimensions), exclude=exclude)


def _with_fixed(search: Search, shared: Sequence[Override]) -> Search:
    """Return the search without the keys that a command line fixes, what depends on them settled.

    Of an exclusion whose keys are all fixed to its values nothing is left: it excludes all.
    """
    dimensions, exclude = list(search.dimensions), list(search.exclude)
    for override in shared:
        key = override.key_or_group
        if not any(dimension.key.lstrip("+") == key for dimension in dimensions):
            continue
        value = "" if override.is_delete() else override.get_value_element_as_str()
        dimensions = [entry for entry in dimensions if entry.key.lstrip("+") != key]
        # A condition that is met goes, and a dimension whose condition is not met goes with it.
        dimensions = [
            replace(entry, when={on: values for on, values in entry.when.items() if on != key})
            for entry in _settled(dimensions, key, (value,))
        ]
        exclude = [pair for pair in exclude if key not in pair or any(same_value(one, value) for one in pair[key])]
        exclude = [{on: values for on, values in pair.items() if on != key} for pair in exclude]
    return replace(search, dimensions=named(dimensions), exclude=tuple(exclude))


def _narrowed(exclude: Sequence[Exclusion], before: Sequence[Dimension], now: Dimension) -> tuple[Exclusion, ...]:
    """Return exclusions without the values that a command line took out of the space; misspelt ones stay."""
    left = []
    for pair in exclude:
        values = tuple(
            value
            for value in pair.get(now.key, ())
            if now.holds(value) or not any(dimension.holds(value) for dimension in before)
        )
        if values or now.key not in pair:
            left.append({**pair, now.key: values} if values else pair)
    return tuple(left)


def _settled(dimensions: Sequence[Dimension], key: str, choices: Sequence[str]) -> list[Dimension]:
    """Return the dimensions that are there with some of a key's choices, their conditions narrowed to these."""
    kept = []
    for dimension in dimensions:
        if key not in dimension.when:
            kept.append(dimension)
            continue
        values = tuple(choice for choice in choices if any(same_value(choice, one) for one in dimension.when[key]))
        if values:
            kept.append(replace(dimension, when={**dimension.when, key: values}))
    return kept


def _node_of(override: Override, problems: list[str]) -> dict[str, Any]:
    """Return what a space would say of an override that varies a key; empty where nothing can be said."""
    line, value = override.input_line, override.value()
    tags = value.tags if isinstance(value, IntervalSweep | RangeSweep) else set()
    unknown = sorted(tags - {"log"})
    if unknown:
        problems.append(
            f"unknown tag in override '{line}': {', '.join(unknown)}; tag(log,...) is the one that is known"
        )
    log = {"log": True} if "log" in tags else {}
    if isinstance(value, IntervalSweep):
        is_whole = isinstance(value.start, int) and isinstance(value.end, int)
        return {"low": value.start, "high": value.end, **({"type": "int"} if is_whole else {}), **log}
    listed = list(override.sweep_string_iterator())
    if not listed or "" in listed:
        problems.append(
            f"no value in override '{line}': one of its values is empty; {override.key_or_group}=VALUE,VALUE"
        )
        return {}
    if not isinstance(value, RangeSweep) or len(listed) == 1:
        return {"choices": listed}
    ends = sorted(float(f"{float(entry):.12g}") for entry in (listed[0], listed[-1]))
    is_whole = all(isinstance(entry, int) for entry in (value.start, value.stop, value.step))
    return {"low": ends[0], "high": ends[1], "step": abs(value.step), **({"type": "int"} if is_whole else {}), **log}


def _in_grammar(dimension: Dimension) -> str:
    if dimension.kind == "categorical":
        listed = ",".join(dimension.choices)
        return listed if len(dimension.choices) > 1 else f"choice({listed})"
    low, high = dimension.span
    if dimension.step is not None:
        # The end of Hydra's range is not among its values.
        stop = high + 1 if dimension.kind == "int" else high + dimension.step / 2
        ends = (dimension.written(low), dimension.written(stop), dimension.written(dimension.step))
        return f"range({','.join(ends)})"
    interval = f"interval({dimension.written(low)},{dimension.written(high)})"
    interval = f"int({interval})" if dimension.kind == "int" else interval
    return f"tag(log,{interval})" if dimension.log else interval


def _as_in(dimension: Dimension, value: str) -> str:
    """Return a value as this dimension writes it; one that it cannot hold as it is."""
    if dimension.kind == "categorical":
        return next((choice for choice in dimension.choices if same_value(choice, value)), value)
    try:
        return dimension.written(dimension.value(value))
    except ValueError:
        return value
