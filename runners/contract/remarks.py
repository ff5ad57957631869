"""What must be said beside a job's numbers, because of how they came about."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

from runners.contract.folder import AttemptFolder, JobFolder
from runners.contract.jsonfile import read_json
from runners.contract.records import AttemptResult, AttemptSpec
from runners.contract.states import FailureKind


class RemarkKind(str, Enum):
    """What is remarkable; the value is the word for it."""

    OUT_OF_MEMORY = "out of memory"
    OTHER_SPLIT = "other split"
    RESUMED = "resumed"
    REUSED = "reused"
    IMPORTED = "imported"


@dataclass(frozen=True)
class Remark:
    """One remark on a job.

    Attributes:
        kind: what is remarkable.
        detail: what happened, in a few words.
    """

    kind: RemarkKind
    detail: str

    def __str__(self) -> str:
        return f"{self.kind.value}: {self.detail}"


def read_remarks(job: JobFolder) -> tuple[Remark, ...]:
    """Return the remarks on a job that its attempts give rise to.

    The effective batch of all attempts is the same; another split of it changes batch statistics and rounding.
    """
    if job.imported.is_file():
        return (Remark(RemarkKind.IMPORTED, _origin(job)),)
    attempts = [(attempt, spec) for attempt in job.all_attempts() if (spec := _read_spec(attempt)) is not None]
    if not attempts:
        return ()
    first, last = attempts[0][1], attempts[-1][1]
    remarks = []
    if (first.batch_per_step, first.accumulation) != (last.batch_per_step, last.accumulation):
        results = (AttemptResult.read(attempt) for attempt, _ in attempts[:-1])
        failures = [result.failure.kind for result in results if result is not None and result.failure is not None]
        kind = RemarkKind.OUT_OF_MEMORY if FailureKind.OOM in failures else RemarkKind.OTHER_SPLIT
        remarks.append(Remark(kind, f"{_split(last)} instead of {_split(first)}"))
    if last.resume is not None:
        remarks.append(Remark(RemarkKind.RESUMED, f"{len(attempts)} attempts, costs are those of the last"))
    return tuple(remarks)


def remark_lines(remarks: Iterable[Remark]) -> str:
    """Return remarks as text of one line each, as the tracking store keeps them."""
    return "\n".join(map(str, remarks))


def parse_remarks(lines: str) -> tuple[Remark, ...]:
    """Return the remarks that `remark_lines` wrote; a line of another form is passed over."""
    known = {kind.value: kind for kind in RemarkKind}
    parts: Sequence[tuple[str, str, str]] = [line.partition(": ") for line in lines.splitlines()]
    return tuple(Remark(known[word], detail) for word, _, detail in parts if word in known)


def _read_spec(attempt: AttemptFolder) -> AttemptSpec | None:
    """Return the spec of an attempt that was to train; None if its controller died before it was written."""
    try:
        spec = AttemptSpec.read(attempt)
    except (FileNotFoundError, ValueError, TypeError):
        return None
    return spec if spec.mode == "train" else None


def _origin(job: JobFolder) -> str:
    """Return where a job that was trained by others comes from."""
    try:
        return str(read_json(job.imported)["from"])
    except (ValueError, KeyError):
        return "its origin is not known any more"


def _split(spec: AttemptSpec) -> str:
    return f"{spec.batch_per_step} x {spec.accumulation} images per step"
