"""The benchmarks of searches: the table is what runs measured, and a replay trains nothing twice and counts it all."""

import dataclasses
import itertools
from collections import defaultdict
from pathlib import Path

import pytest

from benchmarks import ask_overhead, search_compute, search_curves
from benchmarks.replayed_search import DEFAULT, ReplayExecutor, Spent, replay
from benchmarks.search_curves import Curve, Point, Table, read_table
from benchmarks.search_methods import DEFAULT as PAUSING
from benchmarks.search_methods import METHODS, PLUGIN, RANDOM, Method, Task, in_batches, search_of, search_once

RATES = ("0.01", "0.02", "0.04", "0.08", "0.16", "0.32")
MOMENTA = ("0.9", "0.95")
DECAYS = ("0.0001", "0.001")
N_EPOCHS = 9
EPOCH_S, BEGIN_S = 10.0, 2.0


def made_up(best_rate: str = "0.08") -> Table:
    """Return a table of 24 points; second momentum and decay are worse, and seeds differ by a point."""

    def curve(top: float) -> Curve:
        rising = tuple(top * epoch / N_EPOCHS for epoch in range(1, N_EPOCHS + 1))
        return Curve(rising, (EPOCH_S,) * N_EPOCHS, BEGIN_S, 1.0)

    points = []
    for rate, momentum, decay in itertools.product(RATES, MOMENTA, DECAYS):
        away = abs(RATES.index(rate) - RATES.index(best_rate)) + (momentum != "0.9") + (decay != "0.0001")
        changed = {"optimizer.lr": rate, "optimizer.momentum": momentum, "optimizer.weight_decay": decay}
        values = {**DEFAULT, **changed}
        points.append(Point(values, (curve(0.8 - 0.1 * away), curve(0.81 - 0.1 * away))))
    return Table(points)


def played(method: Method, width: int, n_trials: int) -> ReplayExecutor:
    table = made_up()
    return replay(search_of(method, table, 0, n_trials), table, width, 0, stops=False)


def test_a_job_that_rests_goes_on_where_it_was_and_no_epoch_is_trained_twice() -> None:
    executor = played(METHODS[PAUSING], width=3, n_trials=20)
    epochs = defaultdict(list)
    for job_id, epoch in executor.trained:
        epochs[job_id].append(epoch)
    assert len(epochs) == 20
    assert all(trained == list(range(1, len(trained) + 1)) for trained in epochs.values())
    assert {len(trained) for trained in epochs.values()} == {1, 3, N_EPOCHS}
    assert any(executor.n_starts[job_id] > 1 for job_id, *_ in executor.completed)
    assert executor.completed[0][0] == "0001"
    assert executor.n_starts["0001"] == 1


@pytest.mark.parametrize("width", [1, 3])
def test_where_everything_is_tried_the_best_is_the_tables_best(width: int) -> None:
    executor = played(Method("grid"), width, n_trials=24)
    tried = [tuple(point.values.values()) for _, point, _ in executor.completed]
    assert sorted(tried) == sorted(tuple(point.values.values()) for point in made_up().points)
    assert max(point.mean_ap50 for _, point, _ in executor.completed) == made_up().best


def test_what_was_spent_is_counted_to_the_moment_in_which_a_good_point_is_done() -> None:
    table = made_up(best_rate="0.02")  # where every search begins
    search = search_of(METHODS[RANDOM], table, 0, 50)
    alone, beside = (replay(search, table, width, 0).spent for width in (1, 4))
    whole_s = BEGIN_S + N_EPOCHS * EPOCH_S
    assert alone == Spent(is_found=True, epochs=N_EPOCHS, wall_s=whole_s, n_trials=1, is_best=True)
    assert dataclasses.replace(beside, epochs=N_EPOCHS, n_trials=1) == alone
    assert beside.epochs == pytest.approx(4 * N_EPOCHS)
    assert beside.n_trials == 4


def test_a_pruned_job_ends_within_its_epoch() -> None:
    executor = played(METHODS["tpe, median"], width=2, n_trials=16)
    n_pruned = 16 - len(executor.completed)
    assert n_pruned > 0
    assert executor.spent.is_found
    assert all(count == 1 for count in executor.n_starts.values())
    assert len(executor.trained) < 16 * N_EPOCHS


def test_a_batch_waits_for_its_slowest_trial() -> None:
    (quick,) = {point.curves[0] for point in made_up().points if point.values == {**DEFAULT, "optimizer.lr": "0.16"}}
    slow = dataclasses.replace(quick, ap50=(0.1,) * N_EPOCHS, epoch_s=(3 * EPOCH_S,) * N_EPOCHS)
    points = [Point({**DEFAULT, "optimizer.lr": "0.02"}, (slow,)), Point({**DEFAULT, "optimizer.lr": "0.16"}, (quick,))]
    table = Table(points)
    search = search_of(METHODS[PLUGIN], table, 1, 40)
    found = in_batches(search, table, 2, 1)
    assert found == Spent(True, N_EPOCHS + 3, BEGIN_S + N_EPOCHS * EPOCH_S, 2, True)
    hopeless = Table([Point(points[0].values, (slow,)), Point({**DEFAULT, "optimizer.lr": "0.16"}, (slow,))])
    hopeless.best = 1.0
    lost = in_batches(search_of(METHODS[PLUGIN], hopeless, 1, 2), hopeless, 1, 1)
    assert lost == Spent(False, 2 * N_EPOCHS, 2 * (BEGIN_S + 3 * N_EPOCHS * EPOCH_S), 2, False)


def test_every_method_is_told_with_its_aims(tmp_path: Path) -> None:
    methods = {name: METHODS[name] for name in (RANDOM, PLUGIN, PAUSING)}
    result = search_compute.measure(made_up(), methods, [1, 8], 3, 24)
    assert [(row["slots"], row["method"]) for row in result.rows] == list(itertools.product((1, 8), methods))
    assert all(row["found %"] == 100 for row in result.rows if row["method"] != PAUSING)
    assert [row["/ random"].partition(" ")[0] for row in result.rows if row["method"] == RANDOM] == ["1.00", "1.00"]
    assert result.aims is not None
    assert len(result.aims) == 3
    result.tell(tmp_path)
    again = search_once(Task(METHODS[PAUSING], made_up(), 8, 2, 24))
    assert dataclasses.asdict(again) == (result.details or {})[f"{PAUSING} on 8"][2]


def test_a_search_has_every_point_of_a_table_and_no_other() -> None:
    table = made_up()
    points = search_of(METHODS[RANDOM], table, 0, 1).grid()
    assert [table.searched(table.find(point).values) for point in points] == points
    assert len(points) == len(table.points)
    with pytest.raises(LookupError, match=r"0\.99"):
        table.find({**table.searched(DEFAULT), "optimizer.momentum": "0.99"})


def test_a_table_is_gathered_from_what_detsweep_has_trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    grid = {"sgd": {"optimizer.lr": ("0.01", "0.1"), "optimizer.momentum": ("0.9",)}}
    monkeypatch.setattr(search_curves, "GRID", grid)
    small = [f"dataset.shapes.n_{split}=4" for split in ("train", "val", "test")]
    search_curves.train(tmp_path / "runs", 2, [*small, "n_epochs=2", "entry=tests.quick_job"])
    rows = list(search_curves.gather(tmp_path / "runs"))
    search_curves.write_table(rows, tmp_path / "table.csv")
    table = read_table(tmp_path / "table.csv")
    assert [point.values["optimizer.lr"] for point in table.points] == ["0.01", "0.1"]
    assert all(len(point.curves) == 2 for point in table.points)
    assert table.n_epochs == 2
    assert all(0 < curve.ap50[-1] <= 1 for point in table.points for curve in point.curves)
    monkeypatch.setattr(search_curves, "SEEDS", (0, 1, 2))
    with pytest.raises(RuntimeError, match="2 of 6 runs are not trained"):
        list(search_curves.gather(tmp_path / "runs"))


def test_overhead_is_measured_for_every_sampler_and_size(tmp_path: Path) -> None:
    result = ask_overhead.measure(["tpe"], [4], 2)
    (row,) = result.rows
    assert (row["sampler"], row["told"]) == ("tpe", 4)
    assert row["job"] > 0
    assert row["composing"] > 0
    assert all(row[column] > 0 for column in ("Optuna alone", "study", "end", "rebuild s"))
    result.tell(tmp_path)
    assert len((result.details or {})["tpe 4"]["cpu_s"]["job"]) == 2
