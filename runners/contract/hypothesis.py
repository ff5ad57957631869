"""A hypothesis: a claim about one axis, what is measured, what would decide it; written down before the first run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from runners.contract.errors import UserError
from runners.contract.metrics import IMAGES_PER_S

# Average precisions are written in points in a hypothesis, as people speak of them, and kept in 0-1.
POINTS = 100.0
# The costs of error types after TIDE, in AP; lower is better.
ERROR_COST = "error_"
# Planned looks of a hypothesis that adds seeds until it is decided: how many seeds in each arm.
LOOKS = (3, 5, 8)
# On fewer objects, or images (groups of them) with one, a number is shown and not judged.
MIN_OBJECTS, MIN_IMAGES = 20, 12
UNTIL = "decided"
ERROR_TYPES = ("classification", "localisation", "both", "duplicate", "background", "missed")

_KEYS = (
    "name",
    "claim",
    "axis",
    "arms",
    "baseline",
    "blocks",
    "metrics",
    "seeds",
    "confidence",
    "until",
    "accepts",
)
_SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class Question:
    """One metric by which a claim is judged.

    Attributes:
        metric: its full name, ``val/bbox_mAP_50``.
        margin: the smallest effect that matters, at least 0: of AP and error costs in 0-1, else in the metric's unit.
    """

    metric: str
    margin: float

    @property
    def higher_is_better(self) -> bool:
        """Whether more is better."""
        return is_average_precision(self.metric) or self.metric == IMAGES_PER_S

    @property
    def scale(self) -> float:
        """What a value is multiplied by to be shown."""
        return POINTS if is_average_precision(self.metric) or is_error_cost(self.metric) else 1.0

    @property
    def split(self) -> str:
        """What it is measured on: train, val, test, or cost."""
        return self.metric.partition("/")[0]


def is_average_precision(metric: str) -> bool:
    """Whether a metric is an average precision."""
    return metric.partition("/")[2].startswith("bbox_mAP")


def is_error_cost(metric: str) -> bool:
    """Whether a metric is what an error type costs."""
    return metric.partition("/")[2].startswith(ERROR_COST)


@dataclass(frozen=True)
class Comparison:
    """One step of a claim.

    Attributes:
        treatment: the arm that is said to be better.
        baseline: than this one.
    """

    treatment: str
    baseline: str


@dataclass(frozen=True)
class Hypothesis:
    """A claim, and how it is judged.

    Attributes:
        name: the file's.
        claim: in words.
        axis: the key that the arms differ in; None of a noise floor, which compares nothing.
        arms: its values: in order, each said to be better than the one before; or, with a baseline, each than that.
            None of a noise floor.
        baseline: the arm that all others are held against; None for an ordered claim.
        blocks: other axes that the arms are crossed with, key to values.
        questions: what is measured.
        n_seeds: seeds in each arm and block.
        confidence: of the intervals, 0-1.
        until_decided: whether seeds are added at the planned looks until the claim is decided.
        accepts: what may differ between arms beside the axis, and why that is meant.
    """

    name: str
    claim: str
    axis: str | None
    arms: tuple[str, ...]
    baseline: str | None
    blocks: Mapping[str, tuple[str, ...]]
    questions: tuple[Question, ...]
    n_seeds: int
    confidence: float
    until_decided: bool
    accepts: Mapping[str, str]

    @property
    def is_floor(self) -> bool:
        """Whether it asks how much equal runs differ, and compares nothing."""
        return self.axis is None

    @property
    def is_ordered(self) -> bool:
        """Whether each arm is said to be better than the one before."""
        return self.baseline is None and not self.is_floor

    @property
    def comparisons(self) -> tuple[Comparison, ...]:
        """The steps of the claim."""
        if self.is_ordered:
            return tuple(Comparison(after, before) for before, after in zip(self.arms, self.arms[1:], strict=False))
        return tuple(Comparison(arm, self.baseline) for arm in self.arms if self.baseline not in (None, arm))

    @property
    def first_seeds(self) -> tuple[int, ...]:
        """The seeds with which a sweep begins: all of them, or those of the first look."""
        return tuple(range(LOOKS[0] if self.until_decided else self.n_seeds))

    @property
    def alpha(self) -> float:
        """The share of cases in which an interval may miss the truth."""
        return 1 - self.confidence


def read_hypothesis(node: Mapping[str, Any], where: str) -> Hypothesis:
    """Read a hypothesis.

    Args:
        node: as it stands in the config.
        where: the file, for messages.

    Raises:
        UserError: all that is wrong with it.
    """
    problems = [
        f"unknown key in {where}: {key}; a hypothesis has {', '.join(_KEYS)}" for key in node if key not in _KEYS
    ]
    arms, baseline = _texts(node.get("arms")), node.get("baseline")
    axis = node.get("axis")
    if (axis is None) != (not arms) or len(arms) == 1:
        problems.append(f"no comparison in {where}: axis {axis}, arms {', '.join(arms)}; name an axis and its values")
    if len(set(arms)) < len(arms):
        problems.append(f"arm named twice in {where}: {', '.join(arms)}; each stands once")
    if baseline is not None and str(baseline) not in arms:
        problems.append(f"unknown baseline in {where}: {baseline}; one of the arms {', '.join(arms)}")
    blocks = {str(key): _texts(values) for key, values in (node.get("blocks") or {}).items()}
    problems += [
        f"no values in {where}: block {key}; name at least one" for key, values in blocks.items() if not values
    ]
    questions = _questions(node.get("metrics"), where, problems)
    n_seeds, confidence = node.get("seeds"), node.get("confidence")
    if not isinstance(n_seeds, int) or isinstance(n_seeds, bool) or not 1 <= n_seeds <= 100:
        problems.append(f"number out of range in {where}: seeds {n_seeds}; a whole number from 1 to 100")
    if not isinstance(confidence, float) or not 0.5 <= confidence < 1:
        problems.append(f"number out of range in {where}: confidence {confidence}; from 0.5, below 1")
    until = node.get("until")
    if until not in (None, UNTIL):
        problems.append(f"unknown value in {where}: until {until}; {UNTIL}, or leave it out")
    if until == UNTIL and axis is None:
        problems.append(
            f"nothing to decide in {where}: until {until} without arms; leave it out, and say how many seeds"
        )
    accepts = node.get("accepts") or {}
    problems += [
        f"no reason in {where}: accepts {what}; say why it may differ" for what, reason in accepts.items() if not reason
    ]
    if problems:
        raise UserError(*problems)
    return Hypothesis(
        name=str(node["name"]),
        claim=str(node["claim"]),
        axis=None if axis is None else str(axis),
        arms=arms,
        baseline=None if baseline is None else str(baseline),
        blocks=blocks,
        questions=questions,
        n_seeds=int(n_seeds),  # type: ignore[arg-type]
        confidence=float(confidence),  # type: ignore[arg-type]
        until_decided=until == UNTIL,
        accepts={str(what): str(reason) for what, reason in accepts.items()},
    )


def _texts(values: Sequence[Any] | None) -> tuple[str, ...]:
    return tuple(str(value) for value in values or ())


def _questions(metrics: Mapping[str, Any] | None, where: str, problems: list[str]) -> tuple[Question, ...]:
    """Read ``{val/bbox_mAP_50: {margin: 1.0}}``; what is wrong is added to `problems`."""
    questions = []
    for metric, told in (metrics or {}).items():
        split, _, name = str(metric).partition("/")
        if not name or split not in (*_SPLITS, "cost"):
            problems.append(f"unknown metric in {where}: {metric}; such as val/bbox_mAP_50, train/loss, cost/wall_s")
            continue
        if name.startswith(ERROR_COST) and name.removeprefix(ERROR_COST) not in ERROR_TYPES:
            known = ", ".join(f"{split}/{ERROR_COST}{error}" for error in ERROR_TYPES)
            problems.append(f"unknown metric in {where}: {metric}; the costs of errors are {known}")
            continue
        margin = (told or {}).get("margin")
        if not isinstance(margin, int | float) or isinstance(margin, bool) or margin < 0:
            problems.append(f"no margin in {where}: {metric} {margin}; the smallest effect that matters, at least 0")
            continue
        question = Question(str(metric), float(margin))
        questions.append(Question(question.metric, question.margin / question.scale))
    if not questions and not problems:
        problems.append(f"no metrics in {where}: nothing to judge by; metrics: {{val/bbox_mAP_50: {{margin: 1.0}}}}")
    return tuple(questions)
