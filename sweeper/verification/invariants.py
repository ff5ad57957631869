"""What must hold of every sweep at any time, as pure checks over what it has left (`sweeper.verification.evidence`).

The numbers are those of the list that users see: ``detsweep verify SWEEP``. Here are the checks of the journal alone;
`sweeper.verification.stored_invariants` has those of folders, tracking store and processes.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from runners.contract.states import AttemptOutcome, JobState
from sweeper.verification.evidence import JournalLine, SweepEvidence

# event -> states of its job before it; None: the job was not there
_BEFORE: Mapping[str, tuple[str | None, ...]] = {
    "planned": (None,),
    "reused": (None, "PLANNED"),
    "started": ("PLANNED", "PAUSED"),
    "ended": ("RUNNING",),
    "cancelled": ("PLANNED", "PAUSED"),
    "postponed": ("PLANNED", "PAUSED"),
    "pruned": ("PLANNED", "PAUSED"),
    "retried": ("PLANNED", "PAUSED", "FAILED", "CANCELLED"),
}
# How an attempt may leave its job.
_AFTER: Mapping[str, tuple[str, ...]] = {
    "completed": ("COMPLETED",),
    "pruned": ("PRUNED",),
    "interrupted": ("PAUSED", "CANCELLED", "PRUNED"),
    "lost": ("PAUSED", "FAILED", "CANCELLED", "PRUNED"),
    "stalled": ("PAUSED", "FAILED", "CANCELLED", "PRUNED"),
    "failed": ("PAUSED", "FAILED", "CANCELLED", "PRUNED"),
}
# What lets a sweep end with something left to do, beside an exit by signal.
_STOPPERS = ("stop_asked", "device_closed", "postponed", "paused")


@dataclass(frozen=True)
class Violation:
    """Something that must not be.

    Attributes:
        invariant: its number.
        where: file and line, or folder, relative to the sweep's.
        message: one line.
    """

    invariant: int
    where: str
    message: str


def at(line: JournalLine) -> str:
    """Return where an event stands."""
    return f"journal.jsonl:{line.number}"


def is_terminal(state: str | None) -> bool:
    """Whether a state is one that the schedule never leaves."""
    return state is not None and JobState(state).is_terminal


def check_states(evidence: SweepEvidence) -> Iterator[Violation]:
    """1: every job reaches one terminal state, and only a user takes it out of FAILED or CANCELLED."""
    for job, story in evidence.lines_by_job().items():
        state: str | None = None
        for line in story:
            if line.state is None:
                continue
            allowed = _BEFORE.get(line.kind)
            if is_terminal(state) and not (line.kind == "retried" and state in ("FAILED", "CANCELLED")):
                yield Violation(1, at(line), f"job {job} was {state} for good; '{line.kind}' makes it {line.state}")
            elif allowed is not None and state not in allowed:
                yield Violation(1, at(line), f"job {job}: '{line.kind}' cannot follow {state or 'nothing'}")
            outcome = line.event.get("outcome")
            if line.kind == "ended" and line.state not in _AFTER[AttemptOutcome(outcome).value]:
                yield Violation(1, at(line), f"job {job}: an attempt that ended {outcome} cannot make it {line.state}")
            state = line.state
    yield from _check_last_word(evidence)


def _check_last_word(evidence: SweepEvidence) -> Iterator[Violation]:
    last = evidence.lines[-1] if evidence.lines else None
    if last is None or last.kind != "sweep_ended" or last.event["exit_code"] not in (0, 1):
        return
    states = {job: evidence.states.get(job) for job in {*evidence.stored, *evidence.states}}
    for job in sorted(job for job, state in states.items() if not is_terminal(state)):
        code = last.event["exit_code"]
        yield Violation(1, at(last), f"job {job} is {states[job] or 'nowhere'} though the sweep ended with {code}")
    n_failed = sum(state == "FAILED" for state in states.values())
    if bool(n_failed) != (last.event["exit_code"] == 1):
        yield Violation(1, at(last), f"{n_failed} jobs FAILED and the sweep ended with {last.event['exit_code']}")


@dataclass
class _Device:
    """A device as the journal tells of it."""

    n_shares: int
    is_open: bool = True
    slots: dict[str, str] = field(default_factory=dict)  # job -> slot


def check_overlap(evidence: SweepEvidence) -> Iterator[Violation]:
    """2: a job has one live attempt at most, and no share of a device is used twice."""
    running: dict[str, JournalLine] = {}
    devices: dict[str, _Device] = {}
    for line in evidence.lines:
        if line.kind == "sweep_started":
            for device in devices.values():
                device.is_open = False
        elif line.kind == "device_opened":
            known = devices.setdefault(line.event["device"], _Device(line.event["n_shares"]))
            known.n_shares, known.is_open = line.event["n_shares"], True
        elif line.kind == "device_closed" and line.event["device"] in devices:
            devices[line.event["device"]].is_open = False
        elif line.kind == "started" and line.job is not None:
            if line.job in running:
                yield Violation(
                    2, at(line), f"job {line.job} is started again while attempt {number_of(running[line.job])} lives"
                )
            yield from _check_slot(line, devices)
            running[line.job] = line
        elif line.kind == "ended" and line.job is not None:
            running.pop(line.job, None)
            for device in devices.values():
                device.slots.pop(line.job, None)
    for line in evidence.living:
        newest = running.get(line.job) if line.job else None
        if line.kind == "process" and newest is not None and number_of(newest) != number_of(line):
            told = f"process {line.event['pid']} of attempt {number_of(line)} lives beside attempt {number_of(newest)}"
            yield Violation(2, at(line), f"job {line.job}: {told}")


def _check_slot(line: JournalLine, devices: Mapping[str, _Device]) -> Iterator[Violation]:
    slot, job = str(line.event["slot"]), str(line.job)
    names = slot.partition("/")[0].split("+")
    for name in names:
        device = devices.get(name)
        if device is None:
            continue
        if not device.is_open:
            yield Violation(2, at(line), f"job {job} is started on {name}, which is closed")
        others = {other: taken for other, taken in device.slots.items() if other != job}
        is_whole = len(names) > 1 or any("+" in taken for taken in others.values())
        if others and (is_whole or slot in others.values() or len(others) >= device.n_shares):
            users = ", ".join(f"job {other} on {taken}" for other, taken in sorted(others.items()))
            yield Violation(2, at(line), f"job {job} is started on {slot}, which is taken: {users}")
        device.slots[job] = slot


def check_numbers(evidence: SweepEvidence) -> Iterator[Violation]:
    """3: a job's attempt numbers only grow, and what an attempt writes carries its number."""
    started: dict[str, set[int]] = {}
    for job, story in evidence.lines_by_job().items():
        newest = 0
        for line in story:
            if line.kind == "started":
                if number_of(line) <= newest:
                    yield Violation(3, at(line), f"job {job}: attempt {number_of(line)} is started after {newest}")
                newest = max(newest, number_of(line))
                started.setdefault(job, set()).add(number_of(line))
            elif line.kind in ("process", "ended") and number_of(line) != newest:
                yield Violation(3, at(line), f"job {job}: '{line.kind}' of attempt {number_of(line)} during {newest}")
    for job, folder in evidence.jobs.items():
        for number, attempt in folder.attempts.items():
            where = f"jobs/{job}/attempts/{number}"
            if attempt.spec_attempt not in (None, number):
                yield Violation(3, where, f"its spec is that of attempt {attempt.spec_attempt}")
            if attempt.broken:
                yield Violation(3, where, f"its records cannot be read to the end: {attempt.broken}")
            for other in sorted(attempt.foreign):
                yield Violation(3, where, f"it holds what attempt {other} wrote")
            if number not in started.get(job, set()) and (attempt.points or attempt.result is not None):
                yield Violation(3, where, "it has records or a result, and the journal never started it")
        for name in folder.foreign_checkpoints:
            yield Violation(3, f"jobs/{job}/checkpoints/{name}", "no attempt of this number has a folder")


def number_of(line: JournalLine) -> int:
    """Return the number of the attempt that an event is about."""
    return int(line.event["attempt"])


def check_idempotence(evidence: SweepEvidence) -> Iterator[Violation]:
    """5: a finished sweep that is resumed starts nothing and ends with the same code."""
    states: dict[str, str] = {}
    finished: JournalLine | None = None
    for line in evidence.lines:
        if line.kind in ("planned", "retried", "reused"):
            finished = None
        if finished is not None and line.kind == "started":
            code = finished.event["exit_code"]
            yield Violation(5, at(line), f"job {line.job} is started though the sweep had ended with {code}")
        if line.job and line.state:
            states[line.job] = line.state
        if line.kind == "sweep_ended":
            code = line.event["exit_code"]
            if finished is not None and code != finished.event["exit_code"]:
                told = f"a finished sweep ended with {code} and with {finished.event['exit_code']} before"
                yield Violation(5, at(line), told)
            is_done = code in (0, 1) and all(map(is_terminal, states.values()))
            finished = line if is_done and states else finished


def check_reasons_to_end(evidence: SweepEvidence) -> Iterator[Violation]:
    """10: a failed job, tracking store or screen stops no other job: a sweep that leaves something was asked to."""
    reasons: list[JournalLine] = []
    states: dict[str, str] = {}
    for line in evidence.lines:
        if line.job and line.state:
            states[line.job] = line.state
        if line.kind == "sweep_started":
            reasons = []
        elif line.kind in _STOPPERS:
            reasons.append(line)
        elif line.kind == "sweep_ended" and line.event["exit_code"] == 3 and not reasons:
            if evidence.has_looks and all(map(is_terminal, states.values())):
                continue  # a look has failed, and is taken again when the sweep is resumed
            yield Violation(10, at(line), "the sweep left jobs undone, and nothing had asked it to stop")
