"""The benchmark of confirmations measures what it says: luck on the images that chose, and none on others."""

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.search_confirmation import N_SEEDS, Outcome, build_result, measure, rows_of


def test_what_was_chosen_is_ahead_where_it_was_chosen() -> None:
    outcomes = measure(50, range(3))
    assert all(outcome.searched > 0 for outcome in outcomes)
    assert all(set(outcome.same) == set(outcome.unseen) == set(N_SEEDS) for outcome in outcomes)
    assert measure(50, range(1))[0] == outcomes[0]
    searched, same = (
        np.mean(values) for values in zip(*((one.searched, one.same[5][0]) for one in outcomes), strict=True)
    )
    assert same < searched


def test_rates_and_differences_are_those_of_the_cases(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    outcomes = [
        Outcome(0.04, dict.fromkeys(N_SEEDS, (0.02, True)), dict.fromkeys(N_SEEDS, (0.01, True))),
        Outcome(0.02, dict.fromkeys(N_SEEDS, (0.0, True)), dict.fromkeys(N_SEEDS, (-0.01, False))),
    ]
    (first, _) = rows = rows_of(outcomes, 50)
    assert first["ahead in the search, points"] == pytest.approx(3)
    assert first["fresh seeds, same images"] == pytest.approx(1)
    assert first["unseen images"] == pytest.approx(0)
    assert (first["false better, same images %"], first["false better, unseen images %"]) == (100, 50)
    build_result(rows).tell(tmp_path)
    assert "aim MISSED" in capsys.readouterr().out
    content = json.loads((tmp_path / "search_confirmation.json").read_text(encoding="utf-8"))
    assert content["rows"][0]["cases"] == 2
