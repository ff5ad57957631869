"""What a trial takes of the controller when 10 to 5,000 are known: asking, telling, and all that is written for it.

``python -m benchmarks.ask_overhead``; some minutes. A search of `conf/search/narrow_optimizer.yaml` that has trained so
many trials is opened as `detsweep resume` opens it (most of them rest at the first rung), and asked for twenty more,
each of which is told. Beside it the same in Optuna alone: a study in memory with the same sampler, the same
conditional space and the same trials.
"""

import argparse
import json
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from benchmarks.peers.plain_optuna import ask_and_tell, plain_study
from benchmarks.results import RESULTS, Result, fsync_s
from runners.contract.folder import SweepFolder
from runners.contract.records import AttemptResult, MetricRecord
from runners.contract.search import Search
from runners.contract.states import AttemptOutcome, JobState
from runners.contract.trials import Trial, TrialRecord
from runners.contract.yamlfile import dump_entries
from sweeper.control.left import LeftJob, LeftSweep
from sweeper.planning.compose import Composer
from sweeper.planning.plan import Plan, PlannedJob
from sweeper.planning.resolvers import register
from sweeper.planning.search_space import search_of
from sweeper.planning.settings import sweep_settings
from sweeper.project.project import SHIPPED_CONF
from sweeper.stored.journal import Journal
from sweeper.stored.sweep_file import describe_job
from sweeper.stored.sweep_folder import make_sweep_folder, write_sweep
from sweeper.study.opening import make_search_plan
from sweeper.study.optuna_study import Study
from sweeper.study.samplers import build_sampler, unheard
from sweeper.study.search_run import SearchRun
from sweeper.study.trial_jobs import TrialJobs, fixed_overrides

SIZES = (10, 100, 1000, 5000)
SAMPLERS = ("tpe", "random")
N_ASKED = 20
AIM_MS, AIM_SIZE = 1000.0, 1000
AP50 = "val/bbox_mAP_50"
N_EPOCHS = 9
# One in so many was promoted at the first rung, and trained to its end.
ONE_IN = 3
COMMAND = ("search=narrow_optimizer", "tracking=off", f"n_epochs={N_EPOCHS}", "job_limit=100000")
DATA = tuple(f"dataset.shapes.n_{split}=4" for split in ("train", "val", "test"))


@dataclass
class Times:
    """CPU and wall seconds of what was done, one by one.

    Attributes:
        cpu_s: by what was done.
        wall_s: the same.
    """

    cpu_s: dict[str, list[float]] = field(default_factory=dict)
    wall_s: dict[str, list[float]] = field(default_factory=dict)

    def of(self, what: str, do: Callable[[], Any]) -> Any:
        """Do something, note what it took, and return what it returns."""
        cpu_s, wall_s = time.process_time(), time.perf_counter()
        done = do()
        self.cpu_s.setdefault(what, []).append(time.process_time() - cpu_s)
        self.wall_s.setdefault(what, []).append(time.perf_counter() - wall_s)
        return done


class _TimedJobs(TrialJobs):
    """Notes what the composition of each job takes."""

    def __init__(self, times: Times, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._times = times

    def job(self, point: Mapping[str, str], trial: Trial | None = None) -> PlannedJob:
        """Return the job of a point."""
        job: PlannedJob = self._times.of("composing", lambda: super(_TimedJobs, self).job(point, trial))
        return job


def main() -> None:
    """Measure every sampler at every size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="trials that are known")
    parser.add_argument("--samplers", nargs="+", default=SAMPLERS)
    parser.add_argument("--asked", type=int, default=N_ASKED, help="trials that are asked for")
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    measure(arguments.samplers, arguments.sizes, arguments.asked).tell(arguments.out)


def measure(samplers: Sequence[str], sizes: Sequence[int], n_asked: int) -> Result:
    """Return what an ask and a tell take."""
    rows, details = [], {}
    with tempfile.TemporaryDirectory() as name:
        disk_ms = 1000 * fsync_s(Path(name))
        for sampler in samplers:
            for size in sizes:
                times = measure_one(Path(name), sampler, size, n_asked)
                rows.append(_row(sampler, size, times))
                details[f"{sampler} {size}"] = {"cpu_s": times.cpu_s, "wall_s": times.wall_s}
    slow = [row for row in rows if row["told"] <= AIM_SIZE]
    worst = max((row["job"] + row["end"] for row in slow), default=0.0)
    return Result(
        "ask_overhead",
        "Overhead of a trial (milliseconds of CPU time, medians)",
        rows,
        [
            "Optuna alone: ask, choose and tell in a study in memory; study: the same through detsweep's, which also "
            "knows points by keys, refuses known ones and keeps what prunes apart.",
            "job: from the free place to the job that may be started: ask, compose, check, folder, sweep.yaml, "
            "journal; composing: the part of it that composes and checks. end: from the job's end to the told study. "
            f"wall: job and end, with three waits for the disk ({disk_ms:.1f} ms each here).",
            "rebuild s: the study of all trials from their folders, as resume does it.",
        ],
        {f"a trial takes at most {AIM_MS:.0f} ms with up to {AIM_SIZE} known ({worst:.0f} ms)": worst <= AIM_MS},
        details,
    )


def measure_one(folder: Path, sampler: str, size: int, n_asked: int) -> Times:
    """Return what was taken by `n_asked` trials of a search that knows `size` already.

    Args:
        folder: for the sweep.
        sampler: its name.
        size: trials that it knows.
        n_asked: trials that are asked for.
    """
    times = Times()
    search, plan, composer, sweep = _open_sweep(folder, sampler, size + n_asked + 2)
    records = list(_records(search, size))
    value = random.Random(1).random
    with unheard():
        optuna_sampler = build_sampler(search, size)
        told = [(record.trial.params, max(record.curve.values())) for record in records]
        alone = plain_study(search, optuna_sampler, told)
        for _ in range(n_asked):
            times.of("Optuna alone", lambda: ask_and_tell(alone, search, value()))
    study = Study(search, N_EPOCHS, size)
    for record in records:  # one that rests counts as pruned where it stands
        study.add(record if record.is_complete else replace(record, state=JobState.PRUNED))

    def ask_study() -> None:
        asked = study.ask()
        assert asked is not None
        curve = {N_EPOCHS: value()}
        ended = TrialRecord(Trial(0, asked.params), "", JobState.COMPLETED, {AP50: curve[N_EPOCHS]}, curve)
        study.tell(asked.handle, ended)

    for _ in range(n_asked):
        times.of("study", ask_study)
    jobs = _TimedJobs(times, composer, fixed_overrides(search, plan.jobs[0]), folder, "none")
    _ask_whole(times, search, plan.jobs[0], jobs, sweep, records, n_asked)
    return times


def _ask_whole(
    times: Times,
    search: Search,
    default: PlannedJob,
    jobs: TrialJobs,
    sweep: SweepFolder,
    records: Sequence[TrialRecord],
    n_asked: int,
) -> None:
    """Note what all of an ask and of an end take, in a search that goes on after these trials."""
    planned = [default, *(_told_job(default, record) for record in records)]
    left = LeftSweep({job.job_id: LeftJob() for job in planned[:1]})
    for job, record in zip(planned[1:], records, strict=True):
        _write_trained(sweep, record)
        left.jobs[job.job_id] = LeftJob(record.state, is_held=record.state is JobState.PAUSED)
    entries = (
        dump_entries("jobs", [describe_job(job) for job in planned[1:]]).removeprefix("jobs:\n") if records else ""
    )
    with sweep.sweep.open("a", encoding="utf-8") as file:
        file.write(entries)

    def open_run() -> SearchRun:
        return SearchRun(search, sweep, planned, jobs, left, (), 0.0, lambda line: None, time.monotonic)

    run = times.of("rebuild", open_run)
    while not (first := run.ask()).jobs:  # whoever rests and is among the best goes on before
        pass
    chance = random.Random(2)
    with Journal(sweep.journal) as journal:

        def next_job() -> PlannedJob:
            (job,) = run.ask().jobs
            told = job.trial.describe() if job.trial else {}
            journal.append("planned", job=job.job_id, values=dict(job.values), trial=told)
            return job

        def end(job: PlannedJob) -> None:
            _write_attempt(sweep, job.job_id, {epoch: chance.random() for epoch in range(1, N_EPOCHS + 1)})
            times.of("end", lambda: run.end(job.job_id, JobState.COMPLETED, None))

        end(first.jobs[0])
        for _ in range(n_asked):
            end(times.of("job", next_job))


def _open_sweep(folder: Path, sampler: str, n_trials: int) -> tuple[Search, Plan, Composer, SweepFolder]:
    """Return a new search of the shipped space, with its folder written and its default planned."""
    register()
    composer = Composer.of_folder(SHIPPED_CONF)
    fixed = [*COMMAND, *DATA, f"output_dir={folder}"]
    config = composer.compose(fixed)
    found, _ = search_of(config, [])
    search = replace(found, n_trials=n_trials, warm_start=False, sampler={"name": sampler})
    plan = make_search_plan(composer, search, fixed, sweep_settings(config), folder)
    sweep = make_sweep_folder(folder, f"{sampler}{n_trials}", datetime.now(timezone.utc))
    write_sweep(sweep, plan, "overhead", [])
    return search, plan, composer, sweep


def _records(search: Search, n: int) -> Iterator[TrialRecord]:
    """Yield trials at random points: most rest after the first epoch, the others are done."""
    chance = random.Random(0)
    for number in range(1, n + 1):
        params: dict[str, Any] = {}
        point: dict[str, str] = {}
        for dimension in search.active(point):
            if dimension.choices:
                params[dimension.name] = chance.choice(dimension.choices)
            else:
                low, high = dimension.span
                params[dimension.name] = low * (high / low) ** chance.random()
            point[dimension.key] = dimension.written(params[dimension.name])
        is_done = number % ONE_IN == 0
        curve = {epoch: chance.random() for epoch in range(1, N_EPOCHS + 1 if is_done else 2)}
        values = {AP50: curve[N_EPOCHS]} if is_done else {}
        state = JobState.COMPLETED if is_done else JobState.PAUSED
        yield TrialRecord(Trial(number, params), f"{number + 1:04d}", state, values, curve)


def _told_job(default: PlannedJob, record: TrialRecord) -> PlannedJob:
    return replace(default, job_id=record.job_id, identity=f"trial {record.trial.number}", trial=record.trial)


def _write_trained(sweep: SweepFolder, record: TrialRecord) -> None:
    sweep.job(record.job_id).path.mkdir()
    _write_attempt(sweep, record.job_id, record.curve, record.is_complete)


def _write_attempt(sweep: SweepFolder, job_id: str, curve: Mapping[int, float], is_done: bool = True) -> None:
    """Write what a job leaves behind, as far as a search reads it; nobody waits until the disk has it."""
    attempt = sweep.job(job_id).take_attempt()
    for epoch, value in curve.items():
        MetricRecord(0.0, 1, epoch, {AP50: value}).append(attempt)
    outcome = AttemptOutcome.COMPLETED if is_done else AttemptOutcome.INTERRUPTED
    result = AttemptResult(1, outcome, metrics={AP50: curve[max(curve)]} if is_done else {})
    attempt.result.write_text(json.dumps(asdict(result)), encoding="utf-8")


def _row(sampler: str, size: int, times: Times) -> dict[str, Any]:
    def ms(what: str) -> float:
        return 1000 * statistics.median(times.cpu_s[what])

    wall_s = statistics.median(times.wall_s["job"]) + statistics.median(times.wall_s["end"])
    return {
        "sampler": sampler,
        "told": size,
        "Optuna alone": ms("Optuna alone"),
        "study": ms("study"),
        "job": ms("job"),
        "composing": ms("composing"),
        "end": ms("end"),
        "job and end, wall": 1000 * wall_s,
        "rebuild s": times.cpu_s["rebuild"][0],
    }


if __name__ == "__main__":
    main()
