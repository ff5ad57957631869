"""How long from dispatch to the end of a job's first training iteration: forked warm, and in a process of its own.

``python -m benchmarks.warm_start [--n-runs 3]``; both ways train the same small job in turns, on the CPU.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import datetime, timezone
from pathlib import Path

from runners.contract.folder import AttemptFolder, JobFolder
from runners.contract.metrics import FIRST_ITERATION_S
from runners.contract.records import AttemptResult, AttemptSpec
from sweeper.axes import Axes
from sweeper.compose import Composer
from sweeper.executors.base import Exited
from sweeper.executors.local import LocalExecutor
from sweeper.plan import make_plan
from sweeper.resolvers import register
from sweeper.settings import sweep_settings
from sweeper.sweep_folder import make_sweep_folder, write_sweep

ROOT = Path(__file__).parents[1]
OVERRIDES = [
    *("dataset=shapes", "dataset.shapes.n_train=8", "dataset.shapes.n_val=2", "dataset.shapes.n_test=2"),
    *("dataset.shapes.image_px=96", "image_size=96px", "backbone=resnet18", "width=narrow", "weights=none"),
    *("batch_size=4", "n_epochs=1"),
]


def main() -> None:
    """Measure and print both medians and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n-runs", type=int, default=3, help="jobs of each kind")
    n_runs = parser.parse_args().n_runs
    register()
    with tempfile.TemporaryDirectory() as name:
        job = _write_job(Path(name))
        executor = LocalExecutor(Path(name) / "server.log")
        try:
            _run_warm(executor, job)  # waits for the server's own imports, which happen once in a sweep
            times = [(_run_warm(executor, job), _run_cold(job)) for _ in range(n_runs)]
        finally:
            executor.close()
    warm, cold = (statistics.median(values) for values in zip(*times, strict=True))
    print(f"dispatch to first iteration, medians of {n_runs}: warm {warm:.2f} s, cold {cold:.2f} s,", end=" ")
    print(f"ratio {cold / warm:.1f}")


def _write_job(folder: Path) -> JobFolder:
    composer = Composer.of_folder(ROOT / "conf")
    settings = sweep_settings(composer.compose(OVERRIDES))
    plan = make_plan(composer, Axes({}, OVERRIDES, []), settings, folder)
    sweep = make_sweep_folder(folder, "warm_start", datetime.now(timezone.utc))
    write_sweep(sweep, plan, "warm_start", ["benchmark"])
    return sweep.job("0001")


def _take(job: JobFolder) -> AttemptFolder:
    attempt = job.take_attempt()
    AttemptSpec(attempt.number, "cpu", 1, 0, 4, 1, requested_at=time.time()).write(attempt)
    return attempt


def _run_warm(executor: LocalExecutor, job: JobFolder) -> float:
    attempt = _take(job)
    executor.start(attempt, {"CUDA_VISIBLE_DEVICES": ""})
    while not any(isinstance(event, Exited) for event in executor.wait(60.0)):
        pass
    return _first_iteration_s(attempt)


def _run_cold(job: JobFolder) -> float:
    attempt = _take(job)
    subprocess.run([sys.executable, "-m", "runners", str(attempt.path)], cwd=ROOT, check=True, capture_output=True)
    return _first_iteration_s(attempt)


def _first_iteration_s(attempt: AttemptFolder) -> float:
    result = AttemptResult.read(attempt)
    if result is None or result.failure is not None:
        raise RuntimeError(f"the job did not complete: {attempt.log.read_text(encoding='utf-8')[-2000:]}")
    return result.metrics[FIRST_ITERATION_S]


if __name__ == "__main__":
    main()
