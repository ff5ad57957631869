"""A running search: which job a free place is for, who rests, goes on or is given up, and when it is enough."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from runners.contract.errors import UserError
from runners.contract.folder import JobFolder, SweepFolder
from runners.contract.records import MetricRecord
from runners.contract.search import Search
from runners.contract.states import JobState
from runners.contract.trials import Trial, TrialRecord
from sweeper.control.adding import place_job
from sweeper.control.asking import Answer, Decision
from sweeper.control.left import LeftJob, LeftSweep
from sweeper.planning.plan import PlannedJob
from sweeper.stored.sweep_file import append_job
from sweeper.study.confirming import confirming_jobs
from sweeper.study.measured import read_measured
from sweeper.study.rungs import Rungs
from sweeper.study.trial_jobs import TrialJobs

if TYPE_CHECKING:
    from sweeper.study.optuna_study import Study

# So many points in a row that are known already, or cannot be composed, and the space is taken for used up.
MOST_IN_VAIN = 50
COUNTED = ("default", "sampled")


class SearchRun:
    """The search of one sweep, as its controller knows it (`sweeper.control.asking.Searching`).

    Args:
        search: what is searched.
        sweep: the sweep's folder.
        planned: the jobs that the sweep has, the default's among them.
        jobs: composes more.
        left: where the jobs stand; None of a new sweep.
        warm: finished runs of other sweeps.
        spent_s: seconds for which earlier controllers ran.
        say: takes one line.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        search: Search,
        sweep: SweepFolder,
        planned: Sequence[PlannedJob],
        jobs: TrialJobs,
        left: LeftSweep | None,
        warm: Sequence[TrialRecord],
        spent_s: float,
        say: Callable[[str], None],
        clock: Callable[[], float],
    ) -> None:
        self._search = search
        self._sweep = sweep
        self._jobs = jobs
        self._say = say
        self._clock = clock
        self._began_s = clock() - spent_s
        self._planned = {job.job_id: job for job in planned if job.trial is not None}
        self._trials = {job_id: job.trial for job_id, job in self._planned.items() if job.trial is not None}
        self._n_epochs = int(self._default.config["n_epochs"])
        self._rungs = Rungs.of(search.pruner, self._n_epochs, search.prune_direction) if search.pauses else None
        self._records: dict[str, TrialRecord] = {}
        self._handles: dict[str, int] = {}
        self._resting: set[str] = set()
        self._overlooked: list[str] = []
        self._known = {job.identity: job_id for job_id, job in self._planned.items()}
        self._is_exhausted = self._is_enough = False
        self._study = self._rebuild(left, warm)

    @property
    def _default(self) -> PlannedJob:
        return next(job for job in self._planned.values() if job.trial and job.trial.origin == "default")

    @property
    def n_jobs(self) -> int:
        """How many jobs there may be in the end."""
        return self._search.n_jobs

    @property
    def records(self) -> list[TrialRecord]:
        """The trials that have ended, those of other sweeps aside."""
        return list(self._records.values())

    def ask(self) -> Answer:
        """Return what a free place is for."""
        if self._overlooked:
            return Answer(decisions=[self._let_go(self._overlooked.pop())])
        wants_more = self._wants_more()
        promoted = self._rungs.promotable() if self._rungs and wants_more else None
        if promoted is not None:
            return Answer(decisions=[self._let_go(promoted)])
        if wants_more and self._n_trials < self._search.n_trials and not self._is_exhausted:
            job = self._next_trial()
            if job is not None:
                return Answer(jobs=[job])
        if self._handles.keys() - self._resting:
            return Answer()
        last = self._rungs.last_chance() if self._rungs and wants_more else None
        if last is not None:
            return Answer(decisions=[self._let_go(last)])
        given_up = [Decision(job_id, "prune", self._why_given_up(job_id)) for job_id in sorted(self._resting)]
        return Answer(self._confirm(), given_up, is_over=True)

    def record(self, job_id: str, record: MetricRecord) -> Sequence[Decision]:
        """Report what a trial has measured after an epoch; return whether it rests or ends."""
        handle, value = self._handles.get(job_id), record.values.get(self._search.prune_by)
        if handle is None or value is None:
            return ()
        is_hopeless = self._study.report(handle, record.step, value)
        is_free = self._trials[job_id].origin == "default" or record.step >= self._n_epochs
        if self._rungs is not None:
            rests = self._rungs.reach(job_id, record.step, value)
            if not rests or is_free or job_id in self._resting:
                return ()
            self._resting.add(job_id)
            return [Decision(job_id, "pause", f"rests at {self._rungs.standing(job_id)}", record.step)]
        if is_free or not is_hopeless:
            return ()
        return [Decision(job_id, "prune", f"pruned after epoch {record.step} of {self._n_epochs}", record.step)]

    def end(self, job_id: str, state: JobState, reason: str | None) -> None:
        """Tell the study how a trial ended."""
        trial = self._trials.get(job_id)
        if trial is None or trial.origin == "confirm":
            return
        record = self._record_of(job_id, state, reason or "", self._sweep.job(job_id))
        if self._rungs is not None and state in (JobState.FAILED, JobState.CANCELLED):
            self._rungs.drop(job_id)
        elif self._rungs is not None:
            self._rungs.promote(job_id)  # told to rest, it may have come to its end before it heard of it
        self._resting.discard(job_id)
        handle = self._handles.pop(job_id, None)
        if handle is None:
            self._study.add(record)  # tried again after it had been told
        else:
            self._study.tell(handle, record)
        self._records[job_id] = record
        self._look_whether_enough(record)

    @property
    def _n_trials(self) -> int:
        return sum(trial.origin in COUNTED for trial in self._trials.values())

    def _wants_more(self) -> bool:
        """Whether anything is still to be found out; says once why not."""
        timeout_s = self._search.timeout_s
        if not self._is_enough and timeout_s is not None and self._clock() - self._began_s >= timeout_s:
            self._is_enough = True
            self._say(f"search: {timeout_s:g} s are over (timeout); nothing new is begun")
        return not self._is_enough

    def _look_whether_enough(self, record: TrialRecord) -> None:
        first = self._search.objectives[0]
        sign = 1 if first.is_maximized else -1
        value, target = record.values.get(first.metric), self._search.target
        if self._is_enough:
            return
        if record.is_complete and value is not None and target is not None and sign * (value - target) >= 0:
            self._is_enough = True
            self._say(f"search: trial {record.trial.number} has reached the target; nothing new is begun")
        n_failed = sum(known.state is JobState.FAILED for known in self._records.values())
        most = self._search.max_failures
        if record.state is JobState.FAILED and most is not None and n_failed == most:
            self._is_enough = True
            self._say(f"search: {n_failed} trials have failed (max_failures); nothing new is begun")

    def _next_trial(self) -> PlannedJob | None:
        """Return the job of the next point, written to its folder; None where there is no new point."""
        number = 1 + max((trial.number for trial in self._trials.values()), default=-1)
        for _ in range(MOST_IN_VAIN):
            asked = self._study.ask()
            if asked is None:
                break
            trial = Trial(number, asked.params)
            try:
                composed = self._jobs.job(asked.point, trial)
            except UserError as error:
                told = "; ".join(error.problems)
                self._study.tell(asked.handle, TrialRecord(trial, state=JobState.FAILED, reason=told))
                self._say(f"search: a point cannot be composed and is left out: {told}")
                continue
            twin = self._known.get(composed.identity)
            if twin is not None:
                # Trained once is enough; the study hears the same number again, as it would have.
                record = self._records.get(twin, TrialRecord(trial, state=JobState.FAILED, reason=f"as {twin}"))
                self._study.tell(asked.handle, replace(record, trial=trial))
                continue
            job = place_job(self._sweep, composed)
            append_job(self._sweep, job)
            self._handles[job.job_id] = asked.handle
            self._take(job)
            return job
        self._is_exhausted = True
        self._say("search: every point that is left was tried already; nothing new is begun")
        return None

    def _take(self, job: PlannedJob) -> None:
        assert job.trial is not None
        self._planned[job.job_id], self._trials[job.job_id] = job, job.trial
        self._known[job.identity] = job.job_id

    def _let_go(self, job_id: str) -> Decision:
        assert self._rungs is not None
        self._rungs.promote(job_id)
        self._resting.discard(job_id)
        return Decision(job_id, "promote", f"goes on: {self._rungs.standing(job_id)}")

    def _why_given_up(self, job_id: str) -> str:
        return f"given up at {self._rungs.standing(job_id)}" if self._rungs else "given up"

    def _confirm(self) -> list[PlannedJob]:
        """Return the jobs that confirm the best, written to their folders; none where that is not wanted."""
        found = confirming_jobs(self._search, self._planned, self._records, self._jobs.entry)
        for line in found.notices:
            self._say(line)
        placed = [place_job(self._sweep, job) for job in found.jobs]
        for job in placed:
            append_job(self._sweep, job)
            self._take(job)
        return placed

    def _record_of(self, job_id: str, state: JobState, reason: str, folder: JobFolder) -> TrialRecord:
        measured = read_measured(folder, self._search, int(self._planned[job_id].config["n_epochs"]))
        if measured.missing and state in (JobState.COMPLETED, JobState.REUSED):
            state, reason = JobState.FAILED, f"{', '.join(measured.missing)} was not measured"
        return TrialRecord(
            trial=self._trials[job_id],
            job_id=job_id,
            state=state,
            values=measured.values,
            curve=measured.curve,
            constraints=measured.constraints,
            reason=reason,
        )

    def _rebuild(self, left: LeftSweep | None, warm: Sequence[TrialRecord]) -> "Study":
        """Return the study of all that is known: of a new sweep the default alone, and what others have finished."""
        from sweeper.study.optuna_study import Study  # only now: no other sweep waits for it

        study = Study(self._search, self._n_epochs, len(self._planned))
        for record in warm:
            study.add(record)
        for job_id, trial in self._trials.items():
            known = left.jobs.get(job_id, LeftJob()) if left else LeftJob()
            if trial.origin == "confirm":
                continue
            elsewhere = known.reused.get("folder")
            folder = JobFolder(Path(elsewhere)) if elsewhere else self._sweep.job(job_id)
            record = self._record_of(job_id, known.state, known.reason or "", folder)
            if self._rungs is not None:
                self._climb(record, known)
            if record.state.is_terminal:
                study.add(record)
                self._records[job_id] = record
                continue
            handle = self._handles[job_id] = study.open(trial.params)
            for epoch, value in record.curve.items():
                study.report(handle, epoch, value)
        return study

    def _climb(self, record: TrialRecord, known: LeftJob) -> None:
        """Bring a trial to the rungs that it had reached."""
        assert self._rungs is not None
        if record.trial.origin == "default":
            self._rungs.let_pass(record.job_id)
        if record.state in (JobState.FAILED, JobState.CANCELLED):
            return
        rests = False
        for epoch, value in record.curve.items():
            rests = self._rungs.reach(record.job_id, epoch, value)
        if not known.is_held:
            self._rungs.promote(record.job_id)
            return
        self._resting.add(record.job_id)
        if not rests:
            # It was told to rest, and by what is known now it need not.
            self._overlooked.append(record.job_id)
