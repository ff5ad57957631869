"""A search as its controller asks it: budget, rungs, twins, failures, what ends it, and what it knows after a kill."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from runners.contract.errors import UserError
from runners.contract.folder import AttemptFolder, SweepFolder
from runners.contract.records import AttemptResult, MetricRecord
from runners.contract.search import Search, read_search
from runners.contract.states import AttemptOutcome, JobState
from runners.contract.trials import Trial, TrialRecord
from sweeper.control.asking import Answer
from sweeper.control.left import LeftJob, LeftSweep
from sweeper.planning.axes import Axes
from sweeper.planning.plan import Plan, PlannedJob
from sweeper.stored.sweep_file import read_sweep_file, write_sweep_file
from sweeper.stored.sweep_folder import write_job
from sweeper.study.search_run import SearchRun
from tests.sweeper.controller_stage import CONFIG, DATASET
from tests.sweeper.planned import plan_of

METRIC = "val/bbox_mAP_50"
N_EPOCHS = 9
# What the identity of a job is made of, beside what every job of these tests has.
IDENTIFIED = {
    "pipeline": {},
    "dataset": {"name": "shapes", "root": "data", "classes": ["a"]},
    "weights": {"name": "none"},
}
SPACE = {"x": {"low": 0.0, "high": 1.0}}
RESTING = {"name": "successive_halving", "pauses": True, "min_resource": 1, "reduction_factor": 3}


class Jobs:
    """Stands for `TrialJobs`: a job for each point, without Hydra."""

    entry = "runners.job"

    def __init__(self, refuse: Callable[[Mapping[str, str]], bool] = lambda point: False) -> None:
        self._refuse = refuse

    def job(self, point: Mapping[str, str], trial: Trial | None = None) -> PlannedJob:
        if self._refuse(point):
            raise UserError(f"no such job: {point}")
        lines = [f"{key}={value}" for key, value in point.items()]
        config = {**CONFIG, "n_epochs": N_EPOCHS, "seed": 0, **IDENTIFIED}
        identity = " ".join(lines)
        return PlannedJob("", identity, lines, dict(point), config, DATASET, identity, identity, trial)


class Play:
    """One search in its folder, and a person who plays the controller.

    Attributes:
        said: lines for the person at the terminal.
    """

    def __init__(self, folder: Path, jobs: Jobs | None = None, **node: Any) -> None:
        self.sweep = SweepFolder(folder)
        self.sweep.jobs.mkdir(parents=True)
        self.search: Search = read_search(
            {"space": SPACE, "objectives": [METRIC], "n_trials": 6, "pruner": {"name": "none"}, **node}, "search/x.yaml"
        )
        self.jobs = jobs or Jobs()
        self.said: list[str] = []
        self.now_s = 0.0
        default = self.jobs.job({"x": "0.5"}, Trial(0, {"x": 0.5}, "default"))
        first = replace(default, job_id="0001")
        write_job(self.sweep.job("0001"), first)
        settings = {**plan_of([0]).settings, "search": self.search.describe()}
        write_sweep_file(self.sweep, Plan([first], Axes({"x": ()}, [], []), settings, []), "x", [])
        self.planned = {"0001": first}
        self.attempts: dict[str, AttemptFolder] = {}
        self.left = LeftSweep()
        self.run = self.open()

    def open(self, warm: tuple[TrialRecord, ...] = (), spent_s: float = 0.0) -> SearchRun:
        """Return the search as a new controller finds it."""
        left = self.left if self.left.jobs else None
        planned = list(self.planned.values())
        how = (self.jobs, left, warm, spent_s, self.said.append, lambda: self.now_s)
        return SearchRun(self.search, self.sweep, planned, *how)  # type: ignore[arg-type]

    def ask(self) -> Answer:
        answer = self.run.ask()
        for job in answer.jobs:
            self.planned[job.job_id] = job
            self.left.jobs[job.job_id] = LeftJob(JobState.RUNNING)
        for decision in answer.decisions:
            self.left.jobs[decision.job_id].is_held = False
        return answer

    def next(self) -> str:
        """Return the job that is asked for; there has to be one."""
        (job,) = self.ask().jobs
        return job.job_id

    def measure(self, job_id: str, epoch: int, value: float) -> str | None:
        """Write what a job measured, and return what was decided."""
        if job_id not in self.attempts:
            self.attempts[job_id] = self.sweep.job(job_id).take_attempt()
        attempt = self.attempts[job_id]
        record = MetricRecord(1.0, attempt.number, epoch, {METRIC: value}, {})
        record.append(attempt)
        decisions = self.run.record(job_id, record)
        for decision in decisions:
            self.left.jobs[job_id].is_held = decision.what == "pause"
            self.left.jobs[job_id].state = JobState.PAUSED
        return decisions[0].what if decisions else None

    def end(self, job_id: str, state: JobState = JobState.COMPLETED, value: float | None = None) -> None:
        if value is not None:
            self.measure(job_id, N_EPOCHS, value)
        if state is JobState.COMPLETED:
            attempt = self.attempts[job_id]
            result = AttemptResult(attempt.number, AttemptOutcome.COMPLETED, metrics={"cost/wall_s": 1.0})
            result.write(attempt)
        self.left.jobs[job_id] = LeftJob(state)
        self.run.end(job_id, state, None if state is JobState.COMPLETED else "so")


@pytest.fixture
def begun(tmp_path: Path) -> Callable[..., Play]:
    return lambda jobs=None, **node: Play(tmp_path / "sweep", jobs, **node)


def test_it_asks_for_its_budget_the_default_among_it_and_no_more(begun: Callable[..., Play]) -> None:
    play = begun(n_trials=4)
    assert [play.next() for _ in range(3)] == ["0002", "0003", "0004"]
    assert play.ask() == Answer()  # four are running
    for number in range(1, 5):
        play.left.jobs.setdefault(f"{number:04d}", LeftJob(JobState.RUNNING))
        play.end(f"{number:04d}", value=0.1 * number)
    assert play.ask().is_over
    stored = read_sweep_file(play.sweep)["jobs"]
    assert [job["trial"]["number"] for job in stored] == [0, 1, 2, 3]
    assert [job["trial"]["origin"] for job in stored] == ["default", "sampled", "sampled", "sampled"]
    assert stored[1]["overrides"] == [f"x={stored[1]['trial']['params']['x']!r}"]


def test_a_trial_rests_until_it_is_among_the_best_and_goes_on(begun: Callable[..., Play]) -> None:
    play = begun(pruner=RESTING, n_trials=9)
    assert play.measure("0001", 1, 0.0) is None  # the default is never held
    jobs = [play.next() for _ in range(3)]
    assert [play.measure(job_id, 1, 0.1 * (3 - number)) for number, job_id in enumerate(jobs)] == ["pause"] * 3
    (promoted,) = play.ask().decisions  # of three that have been here one may pass
    assert (promoted.job_id, promoted.what) == (jobs[0], "promote")
    assert "place 1 of 3 after epoch 1" in promoted.reason
    better, worse = play.next(), play.next()
    assert play.measure(worse, 1, 0.05) == "pause"
    assert play.measure(better, 1, 0.95) is None  # the best of all goes on at once
    assert play.ask().jobs


def test_what_rests_at_the_end_is_given_up_once_the_best_have_been_trained(begun: Callable[..., Play]) -> None:
    play = begun(pruner=RESTING, n_trials=3)
    play.left.jobs["0001"] = LeftJob(JobState.RUNNING)
    play.end("0001", value=0.1)
    first, second = play.next(), play.next()
    assert [play.measure(first, 1, 0.4), play.measure(second, 1, 0.3)] == ["pause", "pause"]
    last = []
    while not (answer := play.ask()).is_over:
        (decision,) = answer.decisions
        last.append((decision.job_id, decision.what))
        play.end(decision.job_id, value=0.6)
    assert last == [(first, "promote")]
    assert [(decision.job_id, decision.what) for decision in answer.decisions] == [(second, "prune")]


def test_a_pruner_of_optuna_s_ends_a_hopeless_trial_and_never_the_default(begun: Callable[..., Play]) -> None:
    play = begun(pruner={"name": "median", "n_startup_trials": 2, "n_warmup_steps": 0}, n_trials=20)
    for _ in range(4):
        job_id = play.next()
        for epoch in range(1, N_EPOCHS):
            assert play.measure(job_id, epoch, 0.5) is None
        play.end(job_id, value=0.5)
    assert play.measure("0001", 1, 0.01) is None
    bad = play.next()
    assert play.measure(bad, 1, 0.01) == "prune"
    play.end(bad, JobState.PRUNED)
    assert play.ask().jobs


def test_a_point_that_is_known_is_not_trained_again_and_a_small_space_ends(begun: Callable[..., Play]) -> None:
    play = begun(space={"x": {"choices": ["0.5", "0.6"]}}, n_trials=50)
    assert play.next() == "0002"
    assert play.ask() == Answer()
    assert play.said == ["search: every point that is left was tried already; nothing new is begun"]


def test_what_cannot_be_composed_is_left_out_and_the_search_goes_on(begun: Callable[..., Play]) -> None:
    play = begun(Jobs(lambda point: float(point["x"]) > 0.7), n_trials=9)
    for _ in range(8):
        play.next()
    assert all(float(job.values["x"]) <= 0.7 for job in play.planned.values())
    assert any("cannot be composed" in line for line in play.said)


def test_failed_trials_are_told_and_end_it_only_where_that_is_wanted(begun: Callable[..., Play]) -> None:
    play = begun(max_failures=2)
    play.end(play.next(), JobState.FAILED)
    play.end(play.next(), JobState.FAILED)
    play.end("0001", value=0.5)
    assert play.ask().is_over
    assert play.said == ["search: 2 trials have failed (max_failures); nothing new is begun"]
    assert [record.reason for record in play.run.records if record.state is JobState.FAILED] == ["so", "so"]


def test_a_completed_trial_without_the_objective_has_failed(begun: Callable[..., Play]) -> None:
    play = begun()
    job_id = play.next()
    play.measure(job_id, N_EPOCHS - 1, 0.5)
    play.end(job_id)
    (record,) = play.run.records
    assert (record.state, record.reason) == (JobState.FAILED, f"{METRIC} was not measured")


def test_target_and_timeout_begin_nothing_new(begun: Callable[..., Play]) -> None:
    play = begun(target=60.0)  # points
    play.end(play.next(), value=0.59)
    play.end(play.next(), value=0.61)
    assert play.ask() == Answer()  # the default runs
    play.end("0001", value=0.5)
    assert play.ask().is_over


def test_seconds_of_earlier_controllers_count(begun: Callable[..., Play]) -> None:
    play = begun(timeout=100)
    play.run = play.open(spent_s=90.0)
    play.now_s = 9.0
    play.next()
    play.now_s = 11.0
    assert play.ask() == Answer()
    assert play.said == ["search: 100 s are over (timeout); nothing new is begun"]


def test_after_a_kill_it_knows_what_it_knew(begun: Callable[..., Play]) -> None:
    play = begun(pruner=RESTING, n_trials=7)
    play.measure("0001", 1, 0.9)
    play.left.jobs["0001"] = LeftJob(JobState.RUNNING)
    jobs = [play.next() for _ in range(4)]
    for job_id, value in zip(jobs, (0.3, 0.2, 0.1, 0.15), strict=True):
        assert play.measure(job_id, 1, value) == "pause"
    play.end(jobs[2], JobState.FAILED)
    play.run = play.open()
    (promoted,) = play.ask().decisions  # one failed, and of three that are left one may pass
    assert promoted.job_id == jobs[0]
    new = play.next()
    assert new == "0006"
    assert play.measure(new, 1, 0.05) == "pause"
    assert play.run.n_jobs == 7


def test_one_that_rested_and_need_not_by_what_is_known_now_goes_on_first(begun: Callable[..., Play]) -> None:
    play = begun(pruner=RESTING, n_trials=7)
    job_id = play.next()
    play.measure(job_id, 1, 0.3)
    # Two more that the killed controller never came to hear of as failed are forgotten: it stands alone.
    for other in [play.next(), play.next()]:
        play.measure(other, 1, 0.1)
    play.left.jobs["0001"] = LeftJob(JobState.RUNNING)
    play.run = play.open()
    (promoted,) = play.ask().decisions
    assert promoted.job_id == job_id


def test_warm_trials_are_told_and_take_nothing_of_the_budget(begun: Callable[..., Play]) -> None:
    play = begun(n_trials=3)
    warm = tuple(
        TrialRecord(Trial(-n, {"x": 0.1 * n}, "warm", run=f"r{n}"), state=JobState.COMPLETED, values={METRIC: 0.1 * n})
        for n in range(1, 4)
    )
    play.run = play.open(warm)
    assert [play.next(), play.next()] == ["0002", "0003"]
    assert play.ask() == Answer()


def test_the_best_and_the_default_are_confirmed_with_fresh_seeds_once(begun: Callable[..., Play]) -> None:
    play = begun(n_trials=3, confirm=2, candidates=1)
    play.end("0001", value=0.5)
    play.end(play.next(), value=0.6)
    play.end(play.next(), value=0.7)
    answer = play.ask()
    assert answer.is_over
    confirming = [(job.trial and job.trial.of, job.config["seed"]) for job in answer.jobs]
    assert sorted(confirming) == [("0001", 1), ("0001", 2), ("0003", 1), ("0003", 2)]
    assert {job.trial and job.trial.origin for job in answer.jobs} == {"confirm"}
    stored = read_sweep_file(play.sweep)["jobs"]
    assert [job["id"] for job in stored] == [f"{number:04d}" for number in range(1, 8)]
    # A controller that was killed on the way plans what is missing.
    del play.planned[answer.jobs[-1].job_id]
    for job_id in ("0001", "0002", "0003"):
        play.left.jobs[job_id] = LeftJob(JobState.COMPLETED)
    play.run = play.open()
    assert len(play.ask().jobs) == 1
