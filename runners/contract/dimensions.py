"""The dimensions of a search: what trials differ in, in Optuna's terms; read from YAML and written to it."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal["float", "int", "categorical"]
Value = float | int | str

_KEYS = ("choices", "low", "high", "type", "step", "log", "when")
# How far a value may lie from a multiple of the step, in steps: sums of steps are not exact.
_STEP_TOLERANCE = 1e-6


@dataclass(frozen=True)
class Dimension:
    """One config group or value that trials differ in.

    Attributes:
        key: as in an override, ``optimizer.lr``.
        name: what the study calls it: the key, or of alternatives ``optimizer.lr (sgd)``; unique in a search.
        kind: of its values.
        low: the smallest value; None of a categorical one.
        high: the largest value, itself among them; None of a categorical one.
        step: values are `low` and multiples of it above; None: all between.
        log: whether it is searched on a logarithmic scale.
        choices: of a categorical one, as they stand in an override.
        when: earlier dimensions' keys, and the choices of each with which this dimension is there at all.
    """

    key: str
    name: str
    kind: Kind
    low: float | None = None
    high: float | None = None
    step: float | None = None
    log: bool = False
    choices: tuple[str, ...] = ()
    when: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def applies(self, point: Mapping[str, str]) -> bool:
        """Whether a point has this dimension.

        Args:
            point: values of (at least) the dimensions before this one, by key.
        """
        return all(point.get(key) in values for key, values in self.when.items())

    def value(self, text: str) -> Value:
        """Return the value that stands in an override.

        Raises:
            ValueError: it is no number, and this dimension's values are.
        """
        if self.kind == "categorical":
            return text
        number = float(text)
        if self.kind == "int" and number != int(number):
            raise ValueError(f"{text} is no whole number")
        return int(number) if self.kind == "int" else number

    def written(self, value: Value) -> str:
        """Return a value as it stands in an override, to the last digit."""
        if self.kind == "categorical":
            return str(value)
        return repr(int(value) if self.kind == "int" else float(value))

    def holds(self, text: str) -> bool:
        """Whether a value, as it stands in an override, is one of this dimension's."""
        if self.kind == "categorical":
            return text in self.choices
        try:
            value = float(self.value(text))
        except ValueError:
            return False
        low, high = self.span
        if not low <= value <= high:
            return False
        n_steps = 0.0 if self.step is None else (value - low) / self.step
        return abs(n_steps - round(n_steps)) < _STEP_TOLERANCE

    @property
    def span(self) -> tuple[float, float]:
        """The smallest and the largest value.

        Raises:
            ValueError: it has choices and no range.
        """
        if self.low is None or self.high is None:
            raise ValueError(f"{self.name} has choices and no range")
        return self.low, self.high

    @property
    def is_finite(self) -> bool:
        """Whether its values can be gone through one by one."""
        return self.kind != "float" or self.step is not None

    def values(self) -> tuple[str, ...]:
        """Return all values of a finite dimension in order, as they stand in an override.

        Raises:
            ValueError: it has no end of values.
        """
        if self.kind == "categorical":
            return self.choices
        if not self.is_finite:
            raise ValueError(f"{self.name} is continuous")
        low, high = self.span
        step = self.step or 1
        n_steps = math.floor((high - low) / step + _STEP_TOLERANCE)
        return tuple(self.written(low if number == 0 else _tidy(low + number * step)) for number in range(n_steps + 1))

    def ends(self) -> str:
        """Return the dimension in words: ``0.002 to 0.2 (log)``, ``sgd, adamw``."""
        if self.kind == "categorical":
            return ", ".join(self.choices)
        low, high = self.span
        more = [f"step {self.step:g}"] if self.step is not None else []
        more += ["log"] if self.log else []
        return f"{low:g} to {high:g}" + (f" ({', '.join(more)})" if more else "")

    def describe(self) -> dict[str, Any]:
        """Return what `read_space` reads."""
        node: dict[str, Any] = {}
        if self.kind == "categorical":
            node["choices"] = list(self.choices)
        else:
            node |= {"low": self.low, "high": self.high}
            node |= {"type": "int"} if self.kind == "int" else {}
            node |= {"step": self.step} if self.step is not None else {}
            node |= {"log": True} if self.log else {}
        if self.when:
            node["when"] = {key: list(values) for key, values in self.when.items()}
        return node


def named(dimensions: Sequence[Dimension]) -> tuple[Dimension, ...]:
    """Return dimensions with their names in the study; alternatives of a key are told apart by their conditions."""
    keys = [dimension.key for dimension in dimensions]
    taken: set[str] = set()
    result = []
    for dimension in dimensions:
        conditions = "; ".join(",".join(values) for values in dimension.when.values())
        name = f"{dimension.key} ({conditions})" if keys.count(dimension.key) > 1 and conditions else dimension.key
        while name in taken:
            name += "'"  # only where conditions on different keys read alike
        taken.add(name)
        result.append(_renamed(dimension, name))
    return tuple(result)


def describe_space(dimensions: Sequence[Dimension]) -> dict[str, Any]:
    """Return the node that `read_space` reads to these dimensions."""
    space: dict[str, Any] = {}
    for dimension in dimensions:
        space.setdefault(dimension.key, []).append(dimension.describe())
    return {key: nodes[0] if len(nodes) == 1 else nodes for key, nodes in space.items()}


def read_space(space: Any, where: str, problems: list[str]) -> tuple[Dimension, ...]:
    """Read the dimensions of a search, in order.

    Args:
        space: ``{optimizer: {choices: [sgd, adamw]}, optimizer.lr: {low: 1.0e-5, high: 0.1, log: true}}``; a list under
            a key holds alternatives under conditions.
        where: the file, for messages.
        problems: what is wrong is added.
    """
    if not isinstance(space, Mapping):
        problems.append(f"no space in {where}: {space}; space: {{optimizer.lr: {{low: 0.001, high: 0.1, log: true}}}}")
        return ()
    found: list[Dimension] = []
    for key, told in space.items():
        entries = told if isinstance(told, list | tuple) else [told]
        alternatives = [_read_dimension(str(key), entry, where, found, problems) for entry in entries]
        if not entries:
            problems.append(f"no values in {where}: space {key}; give choices, or low and high")
        sound = [dimension for dimension in alternatives if dimension is not None]
        problems += _overlaps(sound, where)
        found += sound
    return named(found)


def texts(values: Any) -> tuple[str, ...]:
    """Return one value or several of a YAML file as they stand in an override."""
    return tuple(map(text, values if isinstance(values, list | tuple) else [values]))


def text(value: Any) -> str:
    """Return a value of a YAML file as it stands in an override; text is taken as it is."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return f"[{','.join(map(text, value))}]"
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{key}:{text(entry)}" for key, entry in value.items()) + "}"
    return value if isinstance(value, str) else repr(value)


def _read_dimension(
    key: str, node: Any, where: str, before: Sequence[Dimension], problems: list[str]
) -> Dimension | None:
    """Read one entry of a space; None where it is not sound."""
    if not isinstance(node, Mapping):
        problems.append(
            f"no range in {where}: space {key} {text(node)}; give {{choices: [...]}} or {{low: ., high: .}}"
        )
        return None
    told = [
        f"unknown key in {where}: space {key} {name}; a dimension has {', '.join(_KEYS)}"
        for name in node
        if name not in _KEYS
    ]
    when = {str(on): texts(values) for on, values in (node.get("when") or {}).items()}
    told += _condition_problems(key, when, where, before)
    if "choices" in node:
        choices = texts(node["choices"]) if node["choices"] not in (None, [], ()) else ()
        told += _choice_problems(key, node, choices, where)
        dimension = Dimension(key, key, "categorical", choices=choices, when=when)
    else:
        told += list(_range_problems(key, node, where))
        kind: Kind = "int" if node.get("type") == "int" else "float"
        if not told:
            low, high = _number(node["low"], kind), _number(node["high"], kind)
            step = None if node.get("step") is None else _number(node["step"], kind)
            # All whole numbers between is what a range of whole numbers means.
            step = None if kind == "int" and step == 1 else step
            dimension = Dimension(key, key, kind, low, high, step, bool(node.get("log", False)), when=when)
    problems += told
    return None if told else dimension


def _choice_problems(key: str, node: Mapping[str, Any], choices: tuple[str, ...], where: str) -> list[str]:
    problems = []
    if not choices:
        problems.append(f"no choices in {where}: space {key}; name at least one")
    if len(set(choices)) < len(choices):
        problems.append(f"choice named twice in {where}: space {key} {', '.join(choices)}; each stands once")
    beside = [name for name in ("low", "high", "type", "step", "log") if node.get(name) is not None]
    if beside:
        problems.append(f"two kinds in {where}: space {key} has choices beside {', '.join(beside)}; leave one out")
    return problems


def _range_problems(key: str, node: Mapping[str, Any], where: str) -> Iterator[str]:
    kind, log = node.get("type", "float"), node.get("log", False)
    if kind not in ("float", "int"):
        yield f"unknown type in {where}: space {key} type {kind}; float or int"
        return
    if not isinstance(log, bool):
        yield f"unknown value in {where}: space {key} log {log}; true or false"
    wanted = "a whole number" if kind == "int" else "a number"
    ends = {name: node.get(name) for name in ("low", "high", "step") if name != "step" or node.get(name) is not None}
    wrong = [name for name, value in ends.items() if not _is_number(value, kind)]
    for name in wrong:
        yield f"no number in {where}: space {key} {name} {text(ends[name])}; {wanted}, such as {_example(kind)}"
    if wrong:
        return
    low, high = node["low"], node["high"]
    step = node.get("step")
    if low >= high:
        yield f"empty range in {where}: space {key} low {low}, high {high}; low has to be below high"
    if log is True and low <= 0:
        yield f"no logarithm in {where}: space {key} low {low}; log wants a low above 0"
    if step is not None and step <= 0:
        yield f"number out of range in {where}: space {key} step {step}; above 0"
    elif step is not None and log is True and not (kind == "int" and step == 1):
        yield f"step on a logarithmic scale in {where}: space {key} step {step}; leave step or log out, or give choices"
    elif step is not None and low < high and step > (high - low) * (1 + _STEP_TOLERANCE):
        yield f"number out of range in {where}: space {key} step {step}; at most high - low = {high - low:g}"


def _condition_problems(
    key: str, when: Mapping[str, tuple[str, ...]], where: str, before: Sequence[Dimension]
) -> Iterator[str]:
    for on, values in when.items():
        earlier = [dimension for dimension in before if dimension.key == on]
        known = {choice: None for dimension in earlier for choice in dimension.choices}
        if not earlier:
            keys = ", ".join(dict.fromkeys(dimension.key for dimension in before)) or "none"
            yield f"unknown condition in {where}: space {key} when {on}; one of the dimensions before it: {keys}"
        elif not known:
            yield f"unknown condition in {where}: space {key} when {on}; a dimension with choices, and {on} is a range"
        for value in [value for value in values if known and value not in known]:
            yield f"unknown condition in {where}: space {key} when {on} {value}; {on} has {', '.join(known)}"


def _overlaps(alternatives: Sequence[Dimension], where: str) -> list[str]:
    """Return a line for each two alternatives that a point could have both."""
    return [
        f"overlapping alternatives in {where}: space {one.key} when {_conditions(one)} and when {_conditions(other)}; "
        "at most one may apply to a trial"
        for number, one in enumerate(alternatives)
        for other in alternatives[number + 1 :]
        if not any(set(values).isdisjoint(other.when[key]) for key, values in one.when.items() if key in other.when)
    ]


def _conditions(dimension: Dimension) -> str:
    return "; ".join(f"{key}={','.join(values)}" for key, values in dimension.when.items()) or "always"


def _renamed(dimension: Dimension, name: str) -> Dimension:
    return Dimension(**{**vars(dimension), "name": name})


def _is_number(value: Any, kind: str) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return False
    return kind == "float" or value == int(value)


def _number(value: float, kind: Kind) -> float:
    return int(value) if kind == "int" else float(value)


def _example(kind: str) -> str:
    return "4" if kind == "int" else "1.0e-4"


def _tidy(value: float) -> float:
    """Return a sum of steps without the digits that only its rounding made: 0.3, not 0.30000000000000004."""
    return float(f"{value:.12g}")
