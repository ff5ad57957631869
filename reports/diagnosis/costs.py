"""What precision costs: time, memory, size beside AP, who is on the Pareto front, and the price of a point."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import pairwise

from runners.contract import metrics as names


class Cost(str, Enum):
    """What is paid, in words with its unit; of each, less is better."""

    DEVICE_HOURS = "device-hours"  # of the whole training, summed over the devices that it occupied
    PEAK_MEMORY_GB = "GB of device memory"  # 1e9 bytes, PyTorch's allocator, at the batch that was trained with
    IMAGE_MS = "ms per training image"  # validation not counted
    PARAMETERS_M = "million parameters"
    MULTIPLY_ADDS_G = "billion multiply-adds per image"  # of a forward pass at the test size


def run_costs(metrics: Mapping[str, float], n_devices: int = 1, was_interrupted: bool = False) -> dict[Cost, float]:
    """Return what one run cost, as far as it was measured.

    Args:
        metrics: the run's final values under their full names.
        n_devices: that it occupied; one that jobs shared counts as whole for each.
        was_interrupted: whether it was resumed or tried again; its time is then that of a part, and is left out.
    """
    costs: dict[Cost, float] = {}
    if names.WALL_S in metrics and not was_interrupted:
        costs[Cost.DEVICE_HOURS] = metrics[names.WALL_S] * n_devices / 3600
    if metrics.get(names.IMAGES_PER_S, 0.0) > 0:
        costs[Cost.IMAGE_MS] = 1000 / metrics[names.IMAGES_PER_S]
    same = {
        Cost.PEAK_MEMORY_GB: names.PEAK_MEMORY_GB,
        Cost.PARAMETERS_M: names.PARAMETERS_M,
        Cost.MULTIPLY_ADDS_G: names.MULTIPLY_ADDS_G,
    }
    return costs | {cost: metrics[name] for cost, name in same.items() if name in metrics}


@dataclass(frozen=True)
class CostPoint:
    """A run or an arm as a point of AP against costs.

    Attributes:
        name: the run's or the arm's.
        ap: 0-1, higher is better; of an arm the mean of its runs.
        costs: of an arm the means of the runs that have one.
        n_runs: that it stands for.
    """

    name: str
    ap: float
    costs: Mapping[Cost, float]
    n_runs: int = 1


def arm_point(name: str, runs: Sequence[CostPoint]) -> CostPoint:
    """Return the mean of the runs of an arm.

    Args:
        name: the arm's.
        runs: at least one.
    """
    costs = {}
    for cost in Cost:
        known = [run.costs[cost] for run in runs if cost in run.costs]
        if known:
            costs[cost] = sum(known) / len(known)
    return CostPoint(name, sum(run.ap for run in runs) / len(runs), costs, len(runs))


def dominating(point: CostPoint, points: Sequence[CostPoint], cost: Cost) -> list[CostPoint]:
    """Return those that are at least as good at no more cost, and better in one of the two; the best first.

    A point whose cost is not known neither dominates nor is dominated.
    """
    if cost not in point.costs:
        return []
    better = [
        other
        for other in points
        if cost in other.costs
        and other.ap >= point.ap
        and other.costs[cost] <= point.costs[cost]
        and (other.ap > point.ap or other.costs[cost] < point.costs[cost])
    ]
    return sorted(better, key=lambda other: (-other.ap, other.costs[cost]))


def pareto_front(points: Sequence[CostPoint], cost: Cost) -> list[CostPoint]:
    """Return those that nobody dominates, the cheapest first; what has no such cost is left out.

    The front knows nothing of noise: whether a point on it is better than the one before is a verdict's business.
    """
    front = [point for point in points if cost in point.costs and not dominating(point, points, cost)]
    return sorted(front, key=lambda point: (point.costs[cost], point.ap, point.name))


@dataclass(frozen=True)
class Price:
    """One step along the Pareto front, from a point to the next dearer one.

    Attributes:
        cost: what is paid.
        cheaper: where the step starts.
        dearer: where it ends.
    """

    cost: Cost
    cheaper: CostPoint
    dearer: CostPoint

    @property
    def extra_ap(self) -> float:
        """AP that the step adds, 0-1, above 0."""
        return self.dearer.ap - self.cheaper.ap

    @property
    def extra_cost(self) -> float:
        """What the step adds to the cost, in its unit, above 0."""
        return self.dearer.costs[self.cost] - self.cheaper.costs[self.cost]

    @property
    def per_point(self) -> float:
        """What one point of AP (0.01) costs on this step, in the cost's unit."""
        return self.extra_cost / (100 * self.extra_ap)

    @property
    def words(self) -> str:
        """The step in a sentence: b over a: +1.6 points for +0.42 device-hours (0.26 a point)."""
        return (
            f"{self.dearer.name} over {self.cheaper.name}: +{100 * self.extra_ap:.1f} points for "
            f"+{self.extra_cost:.3g} {self.cost.value} ({self.per_point:.3g} a point)"
        )


def prices(front: Sequence[CostPoint], cost: Cost) -> list[Price]:
    """Return what each step along a front costs.

    Args:
        front: as `pareto_front` gives it for this cost.
        cost: what is paid.
    """
    # Points that are equal in both stand side by side on the front, and there is no step between them.
    steps = [Price(cost, cheaper, dearer) for cheaper, dearer in pairwise(front)]
    return [step for step in steps if step.extra_ap > 0 and step.extra_cost > 0]
