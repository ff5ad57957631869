"""What must hold of a job's retries: bounded, and each with a cause that a retry can mend."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from runners.contract.states import FailureKind
from sweeper.verification.evidence import JournalLine, SweepEvidence
from sweeper.verification.invariants import Violation, at
from sweeper.view.wording import count

_NEVER_RETRIED = (FailureKind.DIVERGED, FailureKind.DATA, FailureKind.BUG, FailureKind.USER)
_MAX_STALLS = _MAX_OOMS = _MAX_HOST_OOMS = 2


@dataclass
class _Tally:
    """What counted against a job since it was planned or retried."""

    counts: Counter[str] = field(default_factory=Counter)
    last_start: JournalLine | None = None
    last_end: JournalLine | None = None


def check_retries(evidence: SweepEvidence) -> Iterator[Violation]:
    """11: retries are bounded and have a cause that a retry can mend."""
    limits = {
        "lost": evidence.max_losses,
        "stalled": _MAX_STALLS,
        "out of memory": _MAX_OOMS,
        "out of host memory": _MAX_HOST_OOMS,
    }
    for job, story in evidence.lines_by_job().items():
        tally = _Tally()
        for line in story:
            if line.kind in ("planned", "retried"):
                tally = _Tally()
            elif line.kind == "started":
                yield from _check_start(job, line, tally)
                tally.last_start = line
            elif line.kind == "ended":
                cause = cause_of(line)
                is_counted = bool(line.event.get("counted"))
                tally.last_end = line
                if cause is None:
                    if is_counted:
                        yield Violation(11, at(line), f"job {job}: {_end_words(line)} counts against it")
                elif is_counted:
                    tally.counts[cause] += 1
                    n, limit = tally.counts[cause], limits[cause]
                    if n > limit or (n == limit and line.state == "PAUSED"):
                        told = f"{cause} {n} times, at most {limit} are put up with, and it is {line.state}"
                        yield Violation(11, at(line), f"job {job}: {told}")


def cause_of(line: JournalLine) -> str | None:
    """Return what an attempt's end counts as against its job; None if it never counts."""
    outcome, kind = line.event["outcome"], line.event.get("kind")
    if outcome == "stalled":
        return "stalled"
    if outcome == "lost":
        return "out of host memory" if kind == "oom" else "lost"
    if outcome == "failed" and kind == "oom":
        return "out of memory"
    return "lost" if outcome == "failed" and kind in ("lost", "device") else None


def _check_start(job: str, line: JournalLine, tally: _Tally) -> Iterator[Violation]:
    end, before = tally.last_end, tally.last_start
    if end is None or before is None or end.event["outcome"] != "failed":
        return
    kind = FailureKind(end.event["kind"])
    if kind in _NEVER_RETRIED:
        yield Violation(11, at(line), f"job {job} is tried again after a failure that no retry mends ({kind.value})")
    if kind is FailureKind.OOM:
        images, split = line.event["batch_per_step"], line.event["accumulation"]
        old_images, old_split = before.event["batch_per_step"], before.event["accumulation"]
        if images >= old_images or images * split != old_images * old_split:
            told = f"{old_images} images x {old_split} did not fit and it is tried with {images} x {split}"
            yield Violation(11, at(line), f"job {job}: {told}")


def _end_words(line: JournalLine) -> str:
    kind = line.event.get("kind")
    return f"{line.event['outcome']}({kind})" if kind else str(line.event["outcome"])


def uncounted_retries(evidence: SweepEvidence) -> list[str]:
    """Return a line for each job with attempts that were followed by another and did not count against it."""
    found = []
    for job, story in sorted(evidence.lines_by_job().items()):
        ends = [line for line in story if line.kind == "ended" and line.state == "PAUSED" and not line.event["counted"]]
        causes = Counter(line.event.get("reason") or _end_words(line) for line in ends)
        if ends:
            told = ", ".join(f"{n} x {cause}" for cause, n in causes.most_common())
            found.append(f"job {job}: {count(len(ends), 'attempt')} not counted against it: {told}")
    return found
