"""Learning curves of a grid of narrow detectors, for searches to be replayed on.

``python -m benchmarks.search_curves --into FOLDER`` trains them anew with `detsweep train` and writes
``search_curves.csv``; about half an hour on two cores, and called again it trains nothing twice. 64 points (two
optimizers, eight rates, two weight decays, two momenta or betas), each with two seeds: a row for each run, with val
AP50 (0-1) and seconds of every epoch, the seconds before the first, and the most resident memory.
"""

import argparse
import csv
import itertools
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runners.contract.folder import AttemptFolder, JobFolder, SweepFolder
from runners.contract.metrics import PEAK_HOST_GB
from runners.contract.records import AttemptResult, AttemptSpec, read_metrics
from runners.contract.states import AttemptOutcome
from runners.contract.yamlfile import YamlParts

TABLE = Path(__file__).with_name("search_curves.csv")
VAL_AP50 = "val/bbox_mAP_50"
# What a search varies in the place of `optimizer.lr`: the number of a rate among its optimizer's, from 0, so that rates
# keep their order and lie evenly, as on the logarithmic scale of a real search.
RATE = "rate"
SEEDS = (0, 1)
N_EPOCHS = 9

# What is varied, as it stands in overrides; rates are for a batch of 16.
GRID: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "sgd": {
        "optimizer.lr": ("0.005", "0.01", "0.02", "0.05", "0.1", "0.2", "0.5", "1.0"),
        "optimizer.weight_decay": ("0.0001", "0.03"),
        "optimizer.momentum": ("0.9", "0.98"),
    },
    "adamw": {
        "optimizer.lr": ("0.0002", "0.0005", "0.001", "0.002", "0.005", "0.01", "0.02", "0.05"),
        "optimizer.weight_decay": ("0.05", "0.5"),
        "optimizer.betas": ("[0.9,0.999]", "[0.95,0.98]"),
    },
}
# A narrow net learns these from scratch in half a minute of one core: how well depends on the optimizer above all.
TASK = (
    *("dataset=shapes", "dataset.shapes.image_px=64", "dataset.shapes.n_train=56", "dataset.shapes.n_val=24"),
    *("dataset.shapes.n_test=2", "dataset.shapes.difficulty=0.4", "image_size=96px", "image_size.scale=[64,64]"),
    *("width=narrow", "weights=none", "backbone=resnet18", "batch_size=4", f"n_epochs={N_EPOCHS}"),
    *("evaluation.n_train_images=1", "evaluation.val_loss=false"),
)


@dataclass(frozen=True)
class Curve:
    """One run.

    Attributes:
        ap50: on val after every epoch, 0-1.
        epoch_s: how long each epoch took, validation among it.
        begin_s: from the dispatch of the job to its first iteration.
        memory_gb: the most resident memory.
    """

    ap50: tuple[float, ...]
    epoch_s: tuple[float, ...]
    begin_s: float
    memory_gb: float


@dataclass(frozen=True)
class Point:
    """A point of the grid.

    Attributes:
        values: as they stand in overrides, by key.
        curves: of its seeds.
    """

    values: Mapping[str, str]
    curves: tuple[Curve, ...]

    @property
    def mean_ap50(self) -> float:
        """Mean over the seeds after the last epoch, 0-1: what the point is worth."""
        return sum(curve.ap50[-1] for curve in self.curves) / len(self.curves)


class Table:
    """Points and their curves.

    Args:
        points: all of the same number of epochs.
        within: the share of the best within which a point is good.
    """

    def __init__(self, points: Sequence[Point], within: float = 0.01) -> None:
        self.points = tuple(points)
        self.n_epochs = len(points[0].curves[0].ap50)
        if any(len(curve.ap50) != self.n_epochs for point in points for curve in point.curves):
            raise ValueError("curves of different lengths in one table")
        self.within = within
        self.best = max(point.mean_ap50 for point in points)

    def is_good(self, point: Point) -> bool:
        """Whether a point is all but the best."""
        return point.mean_ap50 >= (1 - self.within) * self.best

    def rates(self, optimizer: str) -> list[str]:
        """Return an optimizer's rates, the lowest first."""
        mine = {point.values["optimizer.lr"] for point in self.points if point.values["optimizer"] == optimizer}
        return sorted(mine, key=float)

    def find(self, searched: Mapping[str, str]) -> Point:
        """Return the point that a search's values mean.

        Raises:
            LookupError: there is none.
        """
        values = {key: value for key, value in searched.items() if key != RATE}
        values["optimizer.lr"] = self.rates(searched["optimizer"])[int(searched[RATE])]
        found = [point for point in self.points if point.values == values]
        if not found:
            raise LookupError(f"no such point in the table: {values}")
        return found[0]

    def searched(self, values: Mapping[str, str]) -> dict[str, str]:
        """Return a point of the table as a search has it."""
        number = self.rates(values["optimizer"]).index(values["optimizer.lr"])
        return {RATE if key == "optimizer.lr" else key: value for key, value in values.items()} | {RATE: str(number)}

    def space(self) -> dict[str, Any]:
        """Return the node of a search's space: all points of the table, and no others."""
        keys = list(dict.fromkeys(key for point in self.points for key in point.values if key != "optimizer"))
        names = list(dict.fromkeys(point.values["optimizer"] for point in self.points))
        space: dict[str, Any] = {"optimizer": {"choices": names}}
        for key in keys:
            found = {name: self._choices(name, key) for name in names}
            shapes: dict[str, dict[str, Any]] = {name: {"choices": values} for name, values in found.items() if values}
            if key == "optimizer.lr":
                shapes = {name: {"type": "int", "low": 0, "high": len(found[name]) - 1} for name in names}
            alternatives = [{"when": {"optimizer": name}, **shape} for name, shape in shapes.items()]
            space[RATE if key == "optimizer.lr" else key] = alternatives
        return space

    def _choices(self, optimizer: str, key: str) -> list[str]:
        mine = [point.values for point in self.points if point.values["optimizer"] == optimizer]
        return list(dict.fromkeys(values[key] for values in mine if key in values))


def read_table(path: Path = TABLE, within: float = 0.01) -> Table:
    """Return the recorded table; `within`: the share of the best within which a point is good.

    Raises:
        SystemExit: there is none yet.
    """
    if not path.exists():
        sys.exit(
            f"no table in {path}: no curves are recorded; python -m benchmarks.search_curves trains and writes them"
        )
    found: dict[tuple[tuple[str, str], ...], list[Curve]] = {}
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            values = tuple((key, row[key]) for key in _keys() if row[key])
            numbers = [tuple(map(float, row[column].split())) for column in ("val_ap50", "epoch_s")]
            curve = Curve(numbers[0], numbers[1], float(row["begin_s"]), float(row["peak_host_gb"]))
            found.setdefault(values, []).append(curve)
    return Table([Point(dict(values), tuple(curves)) for values, curves in found.items()], within)


def train(folder: Path, n_side_by_side: int, more: Sequence[str] = ()) -> None:
    """Train what is missing of the grid; a later call goes on from what is there.

    Args:
        folder: the output folder.
        n_side_by_side: jobs at a time.
        more: further words of the command lines.

    Raises:
        RuntimeError: a command failed, or a job did.
    """
    program = str(Path(sys.executable).with_name("detsweep"))
    folder.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    for optimizer, axes in GRID.items():
        words = [f"{key}={','.join(values)}" for key, values in axes.items()]
        words = [*TASK, f"optimizer={optimizer}", *words, f"seed={','.join(map(str, SEEDS))}", *more]
        words += [f"name=curves_{optimizer}", f"output_dir={folder.resolve()}", "reuse=true", "gpus=none"]
        with (folder / f"{optimizer}.txt").open("ab") as log:
            code = subprocess.run(
                [program, "train", *words, f"jobs_per_gpu={n_side_by_side}"],
                **{"stdout": log, "stderr": log, "stdin": subprocess.DEVNULL, "env": environment},
            ).returncode
        if code:
            raise RuntimeError(f"detsweep ended with {code}; its words are in {log.name}")


def gather(folder: Path) -> Iterator[dict[str, str]]:
    """Yield the row of every run of the grid that has been trained to its end, in the order of the grid.

    Args:
        folder: with the sweeps that trained them.

    Raises:
        RuntimeError: some runs are missing.
    """
    found: dict[tuple[str, ...], dict[str, str]] = {}
    for sweep in sorted(folder.glob("*/sweep.yaml")):
        for job in SweepFolder(sweep.parent).all_jobs():
            row = _row(job)
            if row is not None:
                found[tuple(row[key] for key in (*_keys(), "seed"))] = row
    wanted = [(*(values.get(key, "") for key in _keys()), str(seed)) for values in _grid() for seed in SEEDS]
    missing = [run for run in wanted if run not in found]
    if missing:
        raise RuntimeError(f"{len(missing)} of {len(wanted)} runs are not trained, the first {missing[0]}")
    yield from (found[run] for run in wanted)


def write_table(rows: Sequence[Mapping[str, str]], path: Path = TABLE) -> None:
    """Write rows as `gather` yields them."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _keys() -> list[str]:
    return ["optimizer", *dict.fromkeys(key for axes in GRID.values() for key in axes)]


def _grid() -> Iterator[dict[str, str]]:
    for optimizer, axes in GRID.items():
        for values in itertools.product(*axes.values()):
            yield {"optimizer": optimizer, **dict(zip(axes, values, strict=True))}


def _row(job: JobFolder) -> dict[str, str] | None:
    """Return the row of a run; None of one that has not come to its end."""
    attempts = job.all_attempts()
    result = AttemptResult.read(attempts[-1]) if attempts else None
    if result is None or result.outcome is not AttemptOutcome.COMPLETED:
        return None
    config = YamlParts().load(job.config.read_text(encoding="utf-8"))
    trained = {key: _written(config["optimizer"].get(key.partition(".")[2])) for key in _keys()[1:]}
    ap50: dict[int, float] = {}
    took_s: dict[int, float] = {}
    for attempt in attempts:
        for epoch, value, seconds in _epochs(attempt):
            ap50[epoch], took_s[epoch] = value, seconds
    began = next(record.at for record, _ in read_metrics(attempts[0]) if record.progress["phase"] == "train")
    return {
        "optimizer": config["optimizer"]["name"],
        **trained,
        "seed": str(config["seed"]),
        "begin_s": f"{began - AttemptSpec.read(attempts[0]).requested_at:.1f}",
        "peak_host_gb": f"{result.metrics[PEAK_HOST_GB]:.2f}",
        "val_ap50": " ".join(f"{ap50[epoch]:.4f}" for epoch in sorted(ap50)),
        "epoch_s": " ".join(f"{took_s[epoch]:.2f}" for epoch in sorted(took_s)),
    }


def _epochs(attempt: AttemptFolder) -> Iterator[tuple[int, float, float]]:
    """Yield (epoch, val AP50, seconds) of what an attempt has trained."""
    since = None
    for record, _ in read_metrics(attempt):
        since = record.at if since is None else since
        if VAL_AP50 in record.values:
            yield record.step, record.values[VAL_AP50], record.at - since
            since = record.at


def _written(value: Any) -> str:
    if isinstance(value, list):
        return f"[{','.join(map(str, value))}]"
    return "" if value is None else str(value)


def main() -> None:
    """Train the grid, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--into", type=Path, required=True, help="output folder; a later call goes on from there")
    parser.add_argument("--side-by-side", type=int, default=len(os.sched_getaffinity(0)), help="jobs at a time")
    parser.add_argument("--table", type=Path, default=TABLE)
    arguments = parser.parse_args()
    train(arguments.into, arguments.side_by_side)
    write_table(list(gather(arguments.into)), arguments.table)


if __name__ == "__main__":
    main()
