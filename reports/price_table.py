"""What a point costs: who is on the Pareto front of AP against each cost, and the price of each step along it."""

from collections.abc import Sequence

from reports.diagnosis.costs import Cost, CostPoint, Price, arm_point, pareto_front, prices, run_costs
from reports.ranking import VAL_AP_50, with_width
from reports.records import RunRecord
from reports.same_recipe import Arm
from reports.table import Cell, Column, Row, Table, ap_cell, missing_cell, text_cell
from runners.contract.folder import JobFolder
from runners.contract.records import AttemptSpec
from runners.contract.remarks import RemarkKind

NAME = "prices"
# What people pay for, in the order in which they ask.
COSTS = (Cost.DEVICE_HOURS, Cost.PEAK_MEMORY_GB, Cost.PARAMETERS_M)
_PART_OF_TIME = (RemarkKind.RESUMED, RemarkKind.OUT_OF_MEMORY, RemarkKind.OTHER_SPLIT)


def cost_points(arms: Sequence[Arm]) -> list[CostPoint]:
    """Return each arm as a point of val mAP50 against costs; one that was not scored is left out."""
    points = []
    for arm in arms:
        scored = [point for run in arm.runs if (point := _point(run)) is not None]
        if scored:
            points.append(arm_point(arm.name, scored))
    return points


def _point(run: RunRecord) -> CostPoint | None:
    ap = run.at_best(VAL_AP_50)
    was_interrupted = any(remark.kind in _PART_OF_TIME for remark in run.remarks)
    return None if ap is None else CostPoint(run.title, ap, run_costs(run.metrics, _n_devices(run), was_interrupted))


def _n_devices(run: RunRecord) -> int:
    """Return how many devices a run occupied; one where its folder is not here to tell."""
    attempt = None if run.folder is None else JobFolder(run.folder).newest_attempt()
    try:
        return 1 if attempt is None else AttemptSpec.read(attempt).n_devices
    except (OSError, ValueError, TypeError):
        return 1


def price_table(points: Sequence[CostPoint], runs: Sequence[RunRecord]) -> Table:
    """Return a row for each arm on a front: what it adds to the one before, and what a point costs there.

    Args:
        points: the arms.
        runs: of the data set.
    """
    rows: list[Row] = []
    for cost in COSTS:
        known = [point for point in points if cost in point.costs]
        if len({point.costs[cost] for point in known}) < 2:
            continue
        front = pareto_front(points, cost)
        steps = {step.dearer.name: step for step in prices(front, cost)}
        rows += [_row(point, cost, steps.get(point.name)) for point in front]
    return Table(
        name=NAME,
        title=with_width("What a point costs", runs),
        columns=(
            *(Column("paid in", is_number=False), Column("arm", is_number=False)),
            *(Column("val mAP50"), Column("cost"), Column("more points"), Column("more cost"), Column("for a point")),
        ),
        rows=rows,
        notes=(
            "Only arms on the Pareto front: of all others one is at least as good at no more cost. Each row against the"
            " row above; means over the runs of an arm.",
            "The front knows nothing of noise: whether a step is a gain at all, verdicts tell.",
        ),
    )


def _row(point: CostPoint, cost: Cost, step: Price | None) -> Row:
    cells = [text_cell(cost.value), text_cell(point.name), ap_cell(point.ap), _number(point.costs[cost])]
    if step is None:
        return Row("", [*cells, *[missing_cell()] * 3])
    return Row("", [*cells, ap_cell(step.extra_ap), _number(step.extra_cost), _number(step.per_point)])


def _number(value: float) -> Cell:
    return Cell(f"{value:.3g}", value)
