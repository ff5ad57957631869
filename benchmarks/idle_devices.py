"""How long devices idle while the study's sixty jobs run, on 2, 4 and 8 slots, under four ways to order them.

``python -m benchmarks.idle_devices [--mean-s 2]``; some minutes. The jobs of a recorded trace (`benchmarks.idle_trace`)
sleep for their time, scaled to a mean of ``--mean-s`` seconds; controller, journal and the executor with its processes
are detsweep's own. What is told is the makespan over its lower bound: the total over the slots, or the longest job if
that is longer.
"""

import argparse
import heapq
import io
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks.idle_trace import TracedJob, read_trace
from benchmarks.results import RESULTS, Result
from runners.contract.folder import SweepFolder
from runners.contract.records import AttemptResult, AttemptSpec
from runners.contract.yamlfile import dump_yaml
from sweeper.control.controller import Controller
from sweeper.control.packing import Need
from sweeper.executors.base import Exited
from sweeper.executors.local import LocalExecutor
from sweeper.hardware.device_pool import DevicePool
from sweeper.hardware.devices import CPU
from sweeper.hardware.machine import Machine
from sweeper.hardware.slots import Offer, Slot
from sweeper.planning.dataset import PreparedDataset
from sweeper.planning.plan import PlannedJob
from sweeper.stored.journal import Journal
from sweeper.tracking.tracking import Tracker, TrackingSettings
from sweeper.view.progress import Progress
from sweeper.view.sweep_view import SweepView

WIDTHS = (2, 4, 8)
AIM = 1.03
EXACT = "longest first, times known"
NOISY = "longest first, times expected"
IN_ORDER = "refilled at once, in the given order"
BATCHES = "batches that wait for their slowest job"
ENTRY = "benchmarks.sleeping_job"
# What the controller reads of a job's config.
PLAIN: dict[str, Any] = {
    "choices": {},
    "dataset": {"name": "none", "root": ""},
    "optimizer": {"lr": 0.02},
    "lr_effective": 0.02,
    "batch_size": 1,
}


@dataclass(frozen=True)
class Told:
    """What the schedule is told of each job; it learns nothing on the way.

    Attributes:
        expected_s: job id to seconds; a job that is missing is not told of.
    """

    expected_s: Mapping[str, float]

    def of(self, job: PlannedJob) -> tuple[Need, float]:
        """Return what a job is expected to need."""
        return Need(), self.expected_s.get(job.job_id, 0.0)

    def learn(self, job: PlannedJob, spec: AttemptSpec, slot: Slot, result: AttemptResult) -> bool:
        """Take no notice."""
        return False


def main() -> None:
    """Run the trace on every width under every order."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mean-s", type=float, default=2.0, help="seconds that a job takes on average")
    parser.add_argument("--widths", type=int, nargs="+", default=WIDTHS)
    parser.add_argument("--n-jobs", type=int, default=None, help="only the first of the trace")
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    measure(arguments.widths, read_trace()[: arguments.n_jobs], arguments.mean_s).tell(arguments.out)


def measure(widths: Sequence[int], trace: Sequence[TracedJob], mean_s: float) -> Result:
    """Return the makespans over their bounds."""
    rows: list[dict[str, Any]] = []
    scale = mean_s * len(trace) / sum(job.actual_min for job in trace)
    actual = {f"{number:04d}": scale * job.actual_min for number, job in enumerate(trace, start=1)}
    expected = {f"{number:04d}": scale * job.expected_min for number, job in enumerate(trace, start=1)}
    orders = {EXACT: actual, NOISY: expected, IN_ORDER: {}}
    for width in widths:
        bound_s = max(sum(actual.values()) / width, max(actual.values()))
        took_s = {order: run_controller(actual, told, width) for order, told in orders.items()}
        took_s[BATCHES] = run_batches(actual, width)
        for order, makespan_s in took_s.items():
            planned_s = in_batches_s(actual, width) if order == BATCHES else refilled_s(actual, orders[order], width)
            rows.append(
                {
                    "slots": width,
                    "order": order,
                    "makespan s": makespan_s,
                    "makespan / bound": makespan_s / bound_s,
                    "of which the order": planned_s / bound_s,
                    "slots idle %": 100 * (1 - sum(actual.values()) / width / makespan_s),
                }
            )
    longest_first = [row for row in rows if row["order"] in (EXACT, NOISY)]
    worst = max(row["makespan / bound"] for row in longest_first)
    return Result(
        "idle_devices",
        f"Idle devices ({len(trace)} jobs of the study's mix)",
        rows,
        [
            "bound: total over slots, or the longest job if that is longer; the rest of the makespan is idle time.",
            "of which the order: what the order alone would take, if starting and ending a job took no time.",
            f"Here a job takes {mean_s:.1f} s; a real one takes hours, beside which starting and ending it disappear.",
        ],
        {f"at most {AIM} at every width, longest first ({worst:.3f})": worst <= AIM},
    )


def run_controller(actual: Mapping[str, float], told: Mapping[str, float], width: int) -> float:
    """Run sleeping jobs through the controller; return from the first start to the last end, in seconds."""
    with tempfile.TemporaryDirectory() as name:
        sweep = SweepFolder(Path(name))
        jobs = {job_id: _write_job(sweep, job_id, sleep_s) for job_id, sleep_s in actual.items()}
        executor = _start_executor(sweep)
        pool = DevicePool([CPU], executor)
        machine = Machine(pool, executor, (Offer(width),), 1)
        try:
            with Journal(sweep.journal) as journal:
                progress = Progress(Console(file=io.StringIO()), SweepView(sweep))
                tracker = Tracker(TrackingSettings(None, "", None), sweep, progress.say)
                controller = Controller(jobs, sweep, machine, journal, tracker, progress, estimates=Told(told))
                began_s = time.perf_counter()
                exit_code = controller.run()
                took_s = time.perf_counter() - began_s
        finally:
            executor.close()
            pool.close()
    if exit_code:
        raise RuntimeError(f"the sweep ended with {exit_code}")
    return took_s


def run_batches(actual: Mapping[str, float], width: int) -> float:
    """Run the same jobs through the same executor, each batch when the one before it is done."""
    with tempfile.TemporaryDirectory() as name:
        sweep = SweepFolder(Path(name))
        job_ids = [_write_job(sweep, job_id, sleep_s).job_id for job_id, sleep_s in actual.items()]
        executor = _start_executor(sweep)
        try:
            began_s = time.perf_counter()
            for at in range(0, len(job_ids), width):
                batch = job_ids[at : at + width]
                for job_id in batch:
                    attempt = sweep.job(job_id).take_attempt()
                    AttemptSpec(attempt.number, "cpu", 1, 0, 1, 1, requested_at=time.time()).write(attempt)
                    executor.start(attempt, {})
                n_left = len(batch)
                while n_left:
                    n_left -= sum(isinstance(event, Exited) for event in executor.wait(60.0))
            return time.perf_counter() - began_s
        finally:
            executor.close()


def refilled_s(actual: Mapping[str, float], told: Mapping[str, float], width: int) -> float:
    """Return the makespan of refilling at once, longest expected first, if nothing but the jobs took time."""
    free_at_s = [0.0] * width
    for job_id in sorted(actual, key=lambda job_id: -told.get(job_id, 0.0)):
        heapq.heappush(free_at_s, heapq.heappop(free_at_s) + actual[job_id])
    return max(free_at_s)


def in_batches_s(actual: Mapping[str, float], width: int) -> float:
    """Return the makespan of batches, if nothing but the jobs took time."""
    times_s = list(actual.values())
    return sum(max(times_s[at : at + width]) for at in range(0, len(times_s), width))


def _start_executor(sweep: SweepFolder) -> LocalExecutor:
    """Start the executor, and wait until a first job has shown that it is warm."""
    executor = LocalExecutor(sweep.path / "server.log", ENTRY)
    _write_job(sweep, "0000", 0.0)
    attempt = sweep.job("0000").take_attempt()
    AttemptSpec(attempt.number, "cpu", 1, 0, 1, 1, requested_at=time.time()).write(attempt)
    executor.start(attempt, {})
    while not any(isinstance(event, Exited) for event in executor.wait(60.0)):
        pass
    return executor


def _write_job(sweep: SweepFolder, job_id: str, sleep_s: float) -> PlannedJob:
    folder = sweep.job(job_id)
    folder.checkpoints.mkdir(parents=True)
    config = {**PLAIN, "sleep_s": sleep_s}
    folder.config.write_text(dump_yaml(config), encoding="utf-8")
    return PlannedJob(job_id, job_id, [], {}, config, PreparedDataset({}, {}, [], "", {}, {}, []))


if __name__ == "__main__":
    main()
