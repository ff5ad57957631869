"""The committed table of what our detectors cost is whole, and known numbers stand in it."""

import itertools
from pathlib import Path

import pytest

from runners.contract.naming import READ_DETECTORS
from sweeper.forecast.complexity import GROUPS, find_complexity, read_table

CONF = Path(__file__).parents[3] / "conf"


def test_every_combination_of_the_groups_is_in_the_table() -> None:
    """Fails when an option was added and ``python -m benchmarks.complexity_table`` not run again."""
    options = [
        # Of a config that is read nobody knows what it costs before it is.
        sorted(path.stem for path in (CONF / group).glob("*.yaml") if path.stem not in READ_DETECTORS)
        for group in GROUPS
    ]
    assert set(read_table()) == set(itertools.product(*options))


@pytest.mark.parametrize(
    ("detector", "backbone", "parameters_m", "adds_g"),
    [
        # mmdet counts 208 G at 1280 x 800 with 1,000 proposals ("Benchmark and Model Zoo"), and says 41.53 M without
        # the 0.23 M that are frozen.
        ("faster_rcnn", "resnet50", 41.75, 206.3),
        ("faster_rcnn", "resnet101", 60.75, 285.0),
    ],
)
def test_known_numbers(detector: str, backbone: str, parameters_m: float, adds_g: float) -> None:
    known = find_complexity({"detector": detector, "backbone": backbone, "neck": "fpn", "width": "standard"})
    assert known is not None
    assert known.parameters_m == pytest.approx(parameters_m, rel=0.01)
    assert known.adds_g_per_mpx * 1.280 * 0.8 + known.adds_m_per_proposal == pytest.approx(adds_g, rel=0.03)


def test_a_backbone_of_ones_own_is_unknown() -> None:
    assert find_complexity({"detector": "faster_rcnn", "backbone": "ours", "neck": "fpn", "width": "narrow"}) is None
