"""How charts are laid out."""

import itertools

import pytest

from reports.chart import (
    BOTTOM,
    HEIGHT,
    LABEL_GAP,
    LEFT,
    RIGHT,
    TOP,
    WIDTH,
    Line,
    Span,
    draw_chart,
    epoch_ticks,
    nice_ticks,
    span_of,
    tick_digits,
)
from reports.records import Point


def line(*values: float, key: str = "a", label: str = "", **more: object) -> Line:
    return Line(key, key, label, [Point(epoch, value) for epoch, value in enumerate(values, start=1)], **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0, 72.3, [0, 20, 40, 60, 80]),
        (0, 100, [0, 20, 40, 60, 80, 100]),
        (0.31, 0.58, [0.3, 0.4, 0.5, 0.6]),
        (-0.4, 1.1, [-0.5, 0, 0.5, 1, 1.5]),
    ],
)
def test_ticks_are_round_and_enclose_the_values(low: float, high: float, ticks: list[float]) -> None:
    found = nice_ticks(Span(low, high))
    assert found[0] <= low
    assert found[-1] >= high
    assert found == pytest.approx(ticks)


@pytest.mark.parametrize("high", [1e-6, 0.013, 0.9999, 7.0, 123.0, 8.1e7])
def test_there_are_always_a_few_ticks(high: float) -> None:
    assert 4 <= len(nice_ticks(Span(0, high))) <= 8


@pytest.mark.parametrize(
    ("last", "ticks"), [(1, [1]), (4, [1, 2, 3, 4]), (12, [1, 4, 6, 8, 10, 12]), (24, [1, 5, 10, 15, 20, 24])]
)
def test_epochs_are_labelled_in_whole_numbers(last: int, ticks: list[int]) -> None:
    assert epoch_ticks(last) == ticks


def test_points_are_placed_inside_the_frame() -> None:
    chart = draw_chart("AP", [line(0, 50, 100)], Span(0, 100), digits=1)
    (drawn,) = chart.lines
    middle = f"{(LEFT + WIDTH - RIGHT) / 2},{(TOP + HEIGHT - BOTTOM) / 2}"
    assert drawn.path.split() == [f"{LEFT}.0,{HEIGHT - BOTTOM}.0", middle, f"{WIDTH - RIGHT}.0,{TOP}.0"]
    assert (drawn.epochs, drawn.values) == ("1,2,3", "0.0,50.0,100.0")
    assert chart.n_leaving == 0


def test_what_leaves_the_scale_is_cut_off_and_counted() -> None:
    chart = draw_chart("loss", [line(1, 2, 3), line(1, 1e6)], Span(1, 3), digits=3)
    assert chart.n_leaving == 1
    assert chart.lines[1].end.y == TOP
    assert chart.lines[1].values == "1.000,1000000.000"


def test_a_single_epoch_stands_in_the_middle() -> None:
    (drawn,) = draw_chart("AP", [line(50)], Span(0, 100), digits=1).lines
    assert drawn.end.x == (LEFT + WIDTH - RIGHT) / 2


def test_labels_at_the_end_do_not_cover_each_other() -> None:
    lines = [line(0, value, key=str(value), label=str(number)) for number, value in enumerate((1.0, 0.5, 0.0, 50.0))]
    heights = sorted(drawn.label_at.y for drawn in draw_chart("AP", lines, Span(0, 100), digits=1).lines)
    assert all(below - above >= LABEL_GAP - 1e-9 for above, below in itertools.pairwise(heights))
    assert heights[-1] <= HEIGHT - BOTTOM + LABEL_GAP / 2


def test_the_chosen_epoch_is_marked() -> None:
    (drawn,) = draw_chart("AP", [line(10, 30, 20, chosen_epoch=2)], Span(0, 40), digits=1).lines
    assert drawn.chosen is not None
    assert drawn.path.split()[1] == f"{drawn.chosen.x},{drawn.chosen.y}"


def test_a_constant_still_has_a_range() -> None:
    assert span_of([line(0.0, 0.0)], from_zero=True) == Span(0.0, 1.0)
    assert span_of([line(2.5, 2.5)], from_zero=False).high > 2.5
    assert span_of([line(30, 60)], from_zero=True) == Span(0.0, 60)


@pytest.mark.parametrize(("step", "n_digits"), [(2.5, 1), (0.25, 2), (0.5, 1), (10.0, 0), (2.0, 0), (0.002, 3)])
def test_ticks_have_the_digits_that_tell_them_exactly(step: float, n_digits: int) -> None:
    assert tick_digits([-step, 0.0, step]) == n_digits
