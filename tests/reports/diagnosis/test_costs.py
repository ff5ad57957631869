"""Costs beside precision: the Pareto front, who dominates whom, and the price of a point."""

import numpy as np
import pytest

from reports.diagnosis.costs import Cost, CostPoint, arm_point, dominating, pareto_front, prices, run_costs
from runners.contract import metrics as names

HOURS = Cost.DEVICE_HOURS


def point(name: str, ap: float, hours: float | None) -> CostPoint:
    return CostPoint(name, ap, {} if hours is None else {HOURS: hours})


def test_costs_are_read_from_what_a_run_measured() -> None:
    metrics = {names.WALL_S: 1800.0, names.IMAGES_PER_S: 20.0, names.PEAK_MEMORY_GB: 4.2, names.PARAMETERS_M: 41.3}
    assert run_costs(metrics, n_devices=2) == {
        HOURS: 1.0,
        Cost.IMAGE_MS: 50.0,
        Cost.PEAK_MEMORY_GB: 4.2,
        Cost.PARAMETERS_M: 41.3,
    }
    assert HOURS not in run_costs(metrics, was_interrupted=True)
    assert run_costs({}) == {}


def test_an_arm_is_the_mean_of_its_runs() -> None:
    arm = arm_point("r50", [point("a", 0.4, 1.0), point("b", 0.5, 3.0), point("c", 0.6, None)])
    assert (arm.name, arm.n_runs, arm.costs) == ("r50", 3, {HOURS: 2.0})
    assert arm.ap == pytest.approx(0.5)


def test_the_front_holds_what_nobody_dominates() -> None:
    points = [
        point("dear", 0.60, 9.0),
        point("bad", 0.30, 2.0),
        point("cheap", 0.40, 1.0),
        point("middle", 0.55, 3.0),
        point("middle again", 0.55, 3.0),
        point("as good, dearer", 0.55, 4.0),
        point("unknown", 0.99, None),
    ]
    front = pareto_front(points, HOURS)
    assert [one.name for one in front] == ["cheap", "middle", "middle again", "dear"]
    assert [one.name for one in dominating(points[1], points, HOURS)] == ["cheap"]
    assert [one.name for one in dominating(points[5], points, HOURS)] == ["middle", "middle again"]
    assert dominating(points[6], points, HOURS) == []
    assert pareto_front(points, Cost.PARAMETERS_M) == []


def test_a_front_is_right_on_random_points() -> None:
    draw = np.random.default_rng(0)
    points = [point(str(number), *draw.integers(1, 8, 2).astype(float)) for number in range(60)]
    front = {one.name for one in pareto_front(points, HOURS)}
    for one in points:
        beaten = any(
            (other.ap, -other.costs[HOURS]) != (one.ap, -one.costs[HOURS])
            and other.ap >= one.ap
            and other.costs[HOURS] <= one.costs[HOURS]
            for other in points
        )
        assert (one.name in front) is not beaten


def test_each_step_of_the_front_has_its_price() -> None:
    front = [
        point("r50", 0.40, 1.0),
        point("r101", 0.42, 1.5),
        point("r101 again", 0.42, 1.5),
        point("x101", 0.43, 3.0),
    ]
    first, second = prices(front, HOURS)
    assert first.per_point == pytest.approx(0.25)
    assert second.per_point == pytest.approx(1.5)
    assert first.words == "r101 over r50: +2.0 points for +0.5 device-hours (0.25 a point)"
    assert prices(front[:1], HOURS) == []
