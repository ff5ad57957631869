"""What a sweep has left: its journal line by line, its folders, its runs in the tracking store, its processes.

`sweeper.verification.invariants` judges it; nothing is judged here and nothing is changed.
"""

import socket
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runners.contract.checkpoint_files import all_states, is_valid, read_digests
from runners.contract.digest import sha256_of
from runners.contract.folder import AttemptFolder, JobFolder, SweepFolder
from runners.contract.jsonfile import read_json
from runners.contract.records import AttemptResult, read_metrics
from sweeper.control.looks import has_looks
from sweeper.stored.journal import read_journal
from sweeper.stored.ownership import is_owned
from sweeper.stored.processes import is_alive
from sweeper.stored.sweep_file import read_sweep_file
from sweeper.tracking.shipped import ShippedJob, count_unshipped

if TYPE_CHECKING:
    from reports.read import StoredRun


@dataclass(frozen=True)
class JournalLine:
    """One event and where it stands.

    Attributes:
        number: of the line, from 1.
        event: what it holds.
    """

    number: int
    event: Mapping[str, Any]

    @property
    def kind(self) -> str:
        """The event's name."""
        return str(self.event["event"])

    @property
    def job(self) -> str | None:
        """The job that it is about, if any."""
        return self.event.get("job")

    @property
    def state(self) -> str | None:
        """The state that it puts its job in, if any."""
        return self.event.get("state")


@dataclass(frozen=True)
class AttemptEvidence:
    """What an attempt's folder holds.

    Attributes:
        has_spec: whether its spec is there.
        spec_attempt: the number in its spec.
        points: metric name and step of every value that it recorded.
        foreign: attempt numbers in its records and result that are not its own.
        broken: why its records cannot be read to the end; empty if they can.
        result: what it ended with, by its own word.
    """

    has_spec: bool = True
    spec_attempt: int | None = None
    points: frozenset[tuple[str, int]] = frozenset()
    foreign: frozenset[int] = frozenset()
    broken: str = ""
    result: AttemptResult | None = None


@dataclass(frozen=True)
class JobEvidence:
    """What a job's folder holds.

    Attributes:
        config_sha256: digest of its config; None if there is none.
        attempts: by number.
        checkpoint_sha256: digest of each file that a result names as its checkpoint; None if that is not there.
        n_states: full states whose digests are written.
        n_valid_states: those of them that are whole.
        foreign_checkpoints: checkpoints of attempts that have no folder.
    """

    config_sha256: str | None = None
    attempts: Mapping[int, AttemptEvidence] = field(default_factory=dict)
    checkpoint_sha256: Mapping[str, str | None] = field(default_factory=dict)
    n_states: int = 0
    n_valid_states: int = 0
    foreign_checkpoints: tuple[str, ...] = ()


@dataclass(frozen=True)
class SweepEvidence:
    """Everything that is known about a sweep.

    Attributes:
        lines: of the journal.
        stored: ids of the jobs in ``sweep.yaml``.
        jobs: what their folders hold.
        runs: what the tracking store holds; None where that was not read.
        n_pending: records of each job that the outbox has not sent yet.
        told_states: the state that the outbox has closed a job's run with.
        is_owned: whether a process owns the journal.
        living: lines of the journal that name a process which lives.
        is_elsewhere: whether the newest controller was started on another machine.
        max_losses: the setting of that name.
        is_check: whether models were only checked: there is nothing to keep.
        has_looks: whether its hypothesis adds seeds until it is decided.
    """

    lines: Sequence[JournalLine] = ()
    stored: Sequence[str] = ()
    jobs: Mapping[str, JobEvidence] = field(default_factory=dict)
    runs: Sequence["StoredRun"] | None = None
    n_pending: Mapping[str, int] = field(default_factory=dict)
    told_states: Mapping[str, str] = field(default_factory=dict)
    is_owned: bool = False
    living: Sequence[JournalLine] = ()
    is_elsewhere: bool = False
    max_losses: int = 3
    is_check: bool = False
    has_looks: bool = False

    @property
    def states(self) -> dict[str, str]:
        """The last state of every job."""
        return {line.job: line.state for line in self.lines if line.job and line.state}

    @property
    def waiting_runs(self) -> list[str]:
        """The jobs of which the outbox has not told everything yet."""
        started = {line.job for line in self.lines if line.kind == "started" and line.job}
        is_told = {
            job for job in started if self.told_states.get(job) == self.states[job] and not self.n_pending.get(job)
        }
        return sorted(started - is_told)

    def lines_by_job(self) -> dict[str, list[JournalLine]]:
        """Return the story of every job."""
        found: dict[str, list[JournalLine]] = {}
        for line in self.lines:
            if line.job is not None:
                found.setdefault(line.job, []).append(line)
        return found


def read_evidence(sweep: SweepFolder) -> SweepEvidence:
    """Read everything but the tracking store.

    Raises:
        JournalDamagedError: a line of the journal is no event.
        UserError: the sweep's own file cannot be read.
    """
    lines = [JournalLine(number, event) for number, event in enumerate(read_journal(sweep.journal), start=1)]
    stored = read_sweep_file(sweep)
    controllers = [line for line in lines if line.kind == "sweep_started"]
    host = controllers[-1].event["host"] if controllers else socket.gethostname()
    is_elsewhere = host != socket.gethostname()
    jobs = {job.job_id: _read_job(job) for job in sweep.all_jobs()}
    shipped = {job.job_id: ShippedJob.read(job) for job in sweep.all_jobs()}
    return SweepEvidence(
        lines=lines,
        stored=[job["id"] for job in stored["jobs"]],
        jobs=jobs,
        n_pending={job_id: count_unshipped(sweep.job(job_id), known) for job_id, known in shipped.items()},
        told_states={job_id: known.ended[1] for job_id, known in shipped.items() if known.ended is not None},
        is_owned=is_owned(sweep.journal, is_elsewhere),
        living=[] if is_elsewhere else find_living(lines),
        is_elsewhere=is_elsewhere,
        max_losses=stored["settings"].get("max_losses", 3),
        is_check=bool(controllers) and controllers[-1].event["mode"] != "train",
        has_looks=has_looks(stored["settings"]),
    )


def find_living(lines: Sequence[JournalLine]) -> list[JournalLine]:
    """Return the lines that name a job's process, started when they say, which still lives on this machine."""
    named = [line for line in lines if line.kind == "process" and line.event.get("pid")]
    return [line for line in named if is_alive(line.event["pid"], line.event["born_at"])]


def _read_job(job: JobFolder) -> JobEvidence:
    attempts = {attempt.number: _read_attempt(attempt) for attempt in job.all_attempts()}
    named = {a.result.checkpoint for a in attempts.values() if a.result is not None and a.result.checkpoint}
    states = all_states(job)
    with_digests = [state for state in states if read_digests(state.path)]
    foreign = [path.name for path in _checkpoints(job) if _attempt_of(path) not in attempts]
    return JobEvidence(
        config_sha256=sha256_of(job.config) if job.config.is_file() else None,
        attempts=attempts,
        checkpoint_sha256={name: _digest(job.path / name) for name in named},
        n_states=len(with_digests),
        n_valid_states=sum(is_valid(state.path) for state in with_digests),
        foreign_checkpoints=tuple(foreign),
    )


def _read_attempt(attempt: AttemptFolder) -> AttemptEvidence:
    result = AttemptResult.read(attempt)
    try:
        spec_attempt = read_json(attempt.spec)["attempt"] if attempt.spec.is_file() else None
    except (ValueError, KeyError):
        spec_attempt = None
    points: set[tuple[str, int]] = set()
    numbers = {result.attempt} if result else set()
    broken = ""
    try:
        for record, _ in read_metrics(attempt):
            numbers.add(record.attempt)
            points.update((name, record.step) for name in record.values)
    except (ValueError, TypeError, AttributeError) as error:
        broken = " ".join(str(error).split())
    return AttemptEvidence(
        has_spec=attempt.spec.is_file(),
        spec_attempt=spec_attempt,
        points=frozenset(points),
        foreign=frozenset(numbers - {attempt.number}),
        broken=broken,
        result=result,
    )


def _checkpoints(job: JobFolder) -> Iterator[Path]:
    return job.checkpoints.glob("a*.pth")


def _attempt_of(path: Path) -> int | None:
    number = path.name[1:].partition("_")[0]
    return int(number) if number.isdigit() else None


def _digest(path: Path) -> str | None:
    return sha256_of(path) if path.is_file() else None
