"""How long a free slot waits: from the dispatch of a job to its training loop, under detsweep and under others.

``python -m benchmarks.turn_around [--n-runs 3]``; every way trains the same small job on the CPU, in turns, so that
whatever else the machine does slows all of them alike. Minutes. The launchers of Hydra are measured where they are
installed (``uv pip install '.[bench]'``).
"""

import argparse
import importlib.util
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from benchmarks.results import RESULTS, Result
from runners.contract.folder import AttemptFolder, JobFolder
from runners.contract.metrics import FIRST_ITERATION_S, ITERATION_S
from runners.contract.records import AttemptResult, AttemptSpec, read_metrics
from sweeper.executors.base import Exited
from sweeper.executors.local import LocalExecutor
from sweeper.planning.axes import Axes
from sweeper.planning.compose import Composer
from sweeper.planning.plan import make_plan
from sweeper.planning.resolvers import register
from sweeper.planning.settings import sweep_settings
from sweeper.stored.sweep_folder import make_sweep_folder, write_sweep

ROOT = Path(__file__).parents[1]
OVERRIDES = [
    *("dataset=shapes", "dataset.shapes.n_train=8", "dataset.shapes.n_val=2", "dataset.shapes.n_test=2"),
    *("dataset.shapes.image_px=96", "image_size=96px", "backbone=resnet18", "width=narrow", "weights=none"),
    *("batch_size=4", "n_epochs=1"),
]
AIM = 20.0
WARM, FRESH = "detsweep (warm)", "a fresh process per job"
JOBLIB_FIRST, JOBLIB_NEXT = "Hydra joblib, first job of a process", "Hydra joblib, later job of the same process"
SUBMITIT = "Hydra submitit (local)"
PLUGINS = ("hydra_plugins.hydra_joblib_launcher", "hydra_plugins.hydra_submitit_launcher")


@dataclass(frozen=True)
class Turn:
    """One job's start.

    Attributes:
        overhead_s: from dispatch to the beginning of the training loop, in seconds.
        first_iteration_s: from dispatch to the end of the first iteration.
        iteration_s: what a later iteration takes.
    """

    overhead_s: float
    first_iteration_s: float
    iteration_s: float


def main() -> None:
    """Measure all ways in turns, and tell the medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n-runs", type=int, default=3, help="jobs of each kind")
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    turns = measure(arguments.n_runs)
    build_result(turns).tell(arguments.out)


def measure(n_runs: int) -> dict[str, list[Turn]]:
    """Run the same job `n_runs` times each way, in turns."""
    register()
    turns: dict[str, list[Turn]] = {}

    def note(way: str, turn: Turn) -> None:
        turns.setdefault(way, []).append(turn)

    with tempfile.TemporaryDirectory() as name:
        job = _write_job(Path(name))
        executor = LocalExecutor(Path(name) / "server.log")
        has_launchers = all(map(_is_there, PLUGINS))
        try:
            _run_warm(executor, job)  # waits for the server's own imports, which happen once in a sweep
            for number in range(n_runs):
                note(WARM, _run_warm(executor, job))
                note(FRESH, _run_fresh(job))
                if has_launchers:
                    first, later = _run_launcher("joblib", [job, job], Path(name) / f"joblib{number}")
                    note(JOBLIB_FIRST, first)
                    note(JOBLIB_NEXT, later)
                    (alone,) = _run_launcher("submitit_local", [job], Path(name) / f"submitit{number}")
                    note(SUBMITIT, alone)
        finally:
            executor.close()
    return turns


def build_result(turns: dict[str, list[Turn]]) -> Result:
    """Return medians and their ratios to ours."""
    medians = {way: statistics.median(turn.overhead_s for turn in measured) for way, measured in turns.items()}
    rows = [
        {
            "way": way,
            "overhead s": medians[way],
            "to end of first iteration s": statistics.median(turn.first_iteration_s for turn in measured),
            "an iteration s": statistics.median(turn.iteration_s for turn in measured),
            "overhead / ours": medians[way] / medians[WARM],
        }
        for way, measured in turns.items()
    ]
    notes = [
        "overhead: from the dispatch of a job to the beginning of its training loop; medians, all ways in turns.",
        "A later job of joblib's process is not isolated: it inherits memory, caches and faults of those before it.",
    ]
    if SUBMITIT not in turns:
        notes.append("Hydra's launchers are not installed: uv pip install '.[bench]'")
    ratio = medians[FRESH] / medians[WARM]
    return Result(
        "turn_around",
        f"Turn-around (medians of {len(turns[WARM])})",
        rows,
        notes,
        {f"at least {AIM:.0f} times less overhead than a fresh process ({ratio:.1f})": ratio >= AIM},
        {way: [vars(turn) for turn in measured] for way, measured in turns.items()},
    )


def _is_there(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


def _write_job(folder: Path) -> JobFolder:
    composer = Composer.of_folder(ROOT / "conf")
    settings = sweep_settings(composer.compose(OVERRIDES))
    plan = make_plan(composer, Axes({}, OVERRIDES, []), settings, folder)
    sweep = make_sweep_folder(folder, "turn_around", datetime.now(timezone.utc))
    write_sweep(sweep, plan, "turn_around", ["benchmark"])
    return sweep.job("0001")


def _take(job: JobFolder) -> AttemptFolder:
    attempt = job.take_attempt()
    n_threads = len(os.sched_getaffinity(0))
    AttemptSpec(attempt.number, "cpu", n_threads, 0, 4, 1, requested_at=time.time()).write(attempt)
    return attempt


def _run_warm(executor: LocalExecutor, job: JobFolder) -> Turn:
    attempt, dispatched_at = _take(job), time.time()
    executor.start(attempt, {"CUDA_VISIBLE_DEVICES": ""})
    while not any(isinstance(event, Exited) for event in executor.wait(60.0)):
        pass
    return _turn(attempt, dispatched_at)


def _run_fresh(job: JobFolder) -> Turn:
    attempt, dispatched_at = _take(job), time.time()
    _run([sys.executable, "-m", "runners", str(attempt.path)])
    return _turn(attempt, dispatched_at)


def _run_launcher(launcher: str, jobs: list[JobFolder], folder: Path) -> list[Turn]:
    """Run jobs one after the other under a launcher of Hydra; a job is dispatched when the one before it has ended."""
    folder.mkdir()
    attempts = [_take(job) for job in jobs]
    words = [
        *("-m", f"hydra/launcher={launcher}", f"hydra.sweep.dir={folder}", f"dispatched={folder / 'dispatched'}"),
        *(["hydra.launcher.n_jobs=1"] if launcher == "joblib" else []),
        f"attempt={','.join(str(attempt.path) for attempt in attempts)}",
    ]
    _run([sys.executable, "-m", "benchmarks.peers.hydra_app", *words])
    turns = []
    dispatched_at = float((folder / "dispatched").read_text(encoding="utf-8"))
    for attempt in attempts:
        turns.append(_turn(attempt, dispatched_at))
        dispatched_at = _result(attempt).finished_at
    return turns


def _run(command: list[str]) -> None:
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}: {done.stderr[-2000:]}")


def _turn(attempt: AttemptFolder, dispatched_at: float) -> Turn:
    result = _result(attempt)
    records = [record for record, _ in read_metrics(attempt)]
    begin = next(record.at for record in records if record.progress.get("phase") == "train")
    spec = AttemptSpec.read(attempt)
    # The job counts from the request that its spec names, which under a launcher is older than its dispatch.
    end = spec.requested_at + result.metrics[FIRST_ITERATION_S]
    return Turn(begin - dispatched_at, end - dispatched_at, result.metrics[ITERATION_S])


def _result(attempt: AttemptFolder) -> AttemptResult:
    result = AttemptResult.read(attempt)
    if result is None or result.failure is not None:
        raise RuntimeError(f"the job did not complete: {attempt.log.read_text(encoding='utf-8')[-2000:]}")
    return result


if __name__ == "__main__":
    main()
