"""What is changed of Optuna's drawings, on matplotlib's own axes."""

import matplotlib as mpl
import pytest
from matplotlib.figure import Figure

from reports.search.restyling import with_plain_ticks

mpl.use("Agg")


@pytest.mark.parametrize(
    ("low", "high", "labels"),
    [
        (0.0033, 0.0088, ["0.005", "0.007"]),
        (0.002, 0.04, ["0.003", "0.01", "0.03"]),
        (2e-5, 0.2, ["0.0001", "0.001", "0.01", "0.1"]),
    ],
)
def test_a_logarithmic_scale_has_a_few_round_numbers(low: float, high: float, labels: list[str]) -> None:
    figure = Figure()
    axes = figure.add_subplot()
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    with_plain_ticks(figure)
    figure.canvas.draw()
    within = [label.get_text() for label in axes.get_xticklabels() if low <= label.get_position()[0] <= high]
    assert within == labels
