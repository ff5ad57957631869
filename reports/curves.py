"""Chooses the charts of a report: validation AP, and losses side by side where they are comparable."""

from collections.abc import Callable, Sequence

from reports.chart import Chart, Line, Span, draw_chart, span_of
from reports.ranking import display_titles, loss_title, ranked, row_key
from reports.records import Point, RunRecord
from runners.contract import metrics as names
from runners.contract.states import JobState

# As many colours as the page's style sheet has; lines beyond them are drawn in the background.
N_COLOURS = 8
AP_CHARTS = {"bbox_mAP_50": "val mAP50 (AP points)", "bbox_mAP": "val mAP, IoU 0.50 to 0.95 (AP points)"}


def labels(runs: Sequence[RunRecord]) -> dict[str, str]:
    """Return the numbers under which the best jobs appear in charts and tables, by row key."""
    drawn = [run for run in ranked(runs) if run.curves]
    return {row_key(run): str(number) for number, run in enumerate(drawn[:N_COLOURS], start=1)}


def draw_curves(runs: Sequence[RunRecord]) -> list[Chart]:
    """Return the charts of one data set's jobs: AP first, then losses, one pair for each kind of loss."""
    marks = labels(runs)
    # The best are drawn last, over the others.
    order = list(reversed(ranked(runs)))
    titles = display_titles(runs)

    def lines(members: Sequence[RunRecord], name: str, scale: float) -> list[Line]:
        return [
            Line(
                key=row_key(run),
                title=titles[row_key(run)],
                label=marks.get(row_key(run), ""),
                points=[Point(point.epoch, point.value * scale) for point in run.curves[name]],
                ended_badly=run.state is JobState.FAILED,
                chosen_epoch=run.best_epoch if run.has_result else None,
            )
            for run in members
            if run.curves.get(name)
        ]

    charts = []
    for name, title in AP_CHARTS.items():
        found = lines(order, names.metric("val", name), 100)
        if found:
            charts.append(draw_chart(title, found, span_of(found, from_zero=True), digits=1))
    for terms in dict.fromkeys(run.loss_terms for run in ranked(runs)):
        charts += _loss_charts([run for run in order if run.loss_terms == terms], loss_title(terms), lines)
    return charts


def _loss_charts(
    runs: Sequence[RunRecord], detector: str, lines: Callable[[Sequence[RunRecord], str, float], list[Line]]
) -> list[Chart]:
    """Return train and val loss on one scale, so that the gap between them can be seen."""
    found = {name: lines(runs, name, 1.0) for name in (names.TRAIN_LOSS, names.VAL_LOSS)}
    every = [line for members in found.values() for line in members]
    if not every:
        return []
    # A job that diverged must not flatten the others: it leaves the scale, which the chart says.
    sound = [line for line in every if not line.ended_badly]
    span: Span = span_of(sound or every, from_zero=False)
    return [
        draw_chart(f"{name.replace('/', ' ')}, {detector}", members, span, digits=3)
        for name, members in found.items()
        if members
    ]
