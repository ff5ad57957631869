"""How far a job's records have reached the tracking store: what the outbox writes down, and what is left to send.

Each job has a file of its own, so that writing it costs the same in a sweep of ten thousand jobs. One that is torn or
gone makes the outbox send everything again, under the recorded timestamps, which changes nothing in the store.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace

from runners.contract.folder import AttemptFolder, JobFolder
from runners.contract.jsonfile import read_json, write_json
from runners.contract.records import read_metrics
from sweeper.tracking.mlflow_store import Point

# As many as go into one request: what is read is what is sent, however much has gathered while the store was away.
N_POINTS_PER_CHUNK = 1000


@dataclass(frozen=True)
class Shipped:
    """How far the records of one attempt have reached the store.

    Attributes:
        offset: bytes of its metrics.
        steps: the last step of each metric among them.
    """

    offset: int = 0
    steps: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class ShippedJob:
    """The same of a job.

    Attributes:
        attempts: by their number.
        ended: number of the attempt and state of the job that its run was closed with; None while it is open.
        run_id: the store's id of the run that has received all this: what another run has, that of another store or of
            one made anew, is not known. None where a version wrote it that did not say.
        n_notes: lines of the job's notes that have arrived.
    """

    attempts: Mapping[int, Shipped] = field(default_factory=dict)
    ended: tuple[int, str] | None = None
    run_id: str | None = None
    n_notes: int = 0

    @classmethod
    def read(cls, job: JobFolder) -> "ShippedJob":
        """Read what was written; nothing has been shipped if that is no longer whole."""
        try:
            value = read_json(job.shipped)
            attempts = {
                int(number): Shipped(
                    int(entry["offset"]), {str(key): int(step) for key, step in entry["steps"].items()}
                )
                for number, entry in value["attempts"].items()
            }
            ended = value["ended"]
            return cls(
                attempts,
                None if ended is None else (int(ended[0]), str(ended[1])),
                value.get("run_id"),
                int(value.get("n_notes", 0)),
            )
        except (FileNotFoundError, ValueError, KeyError, TypeError, IndexError, AttributeError):
            return cls()

    def write(self, job: JobFolder) -> None:
        """Write it down, in one piece."""
        attempts = {str(number): asdict(shipped) for number, shipped in self.attempts.items()}
        told = {"attempts": attempts, "ended": self.ended, "run_id": self.run_id, "n_notes": self.n_notes}
        write_json(job.shipped, told)

    def with_attempt(self, number: int, shipped: Shipped) -> "ShippedJob":
        """Return the state after more of an attempt has arrived."""
        return replace(self, attempts={**self.attempts, number: shipped})

    def to_run(self, run_id: str) -> "ShippedJob":
        """Return what a run has received: nothing is known of one that these are not the offsets of."""
        return replace(self, run_id=run_id) if self.run_id in (None, run_id) else ShippedJob(run_id=run_id)


@dataclass(frozen=True)
class Chunk:
    """Points that go to the store together.

    Attributes:
        points: in the order in which they were recorded; may be empty where all are known already.
        n_records: lines of ``metrics.jsonl`` that they come from.
        after: the state once they have arrived.
    """

    points: list[Point]
    n_records: int
    after: ShippedJob


def next_chunk(job: JobFolder, shipped: ShippedJob) -> Chunk | None:
    """Return what is to be sent next; None if everything has arrived.

    Raises:
        ValueError: a line of an attempt's metrics is damaged; so does TypeError.
    """
    for attempt in _open_attempts(job, shipped):
        chunk = _chunk_of(attempt, shipped)
        if chunk is not None:
            return chunk
    return None


def count_unshipped(job: JobFolder, shipped: ShippedJob) -> int:
    """Return how many whole metric records of a job have not arrived."""
    n_lines = 0
    for attempt in _open_attempts(job, shipped):
        if attempt.metrics.exists():
            with attempt.metrics.open("rb") as file:
                file.seek(shipped.attempts.get(attempt.number, Shipped()).offset)
                n_lines += sum(line.endswith(b"\n") for line in file)
    return n_lines


def _open_attempts(job: JobFolder, shipped: ShippedJob) -> Iterator[AttemptFolder]:
    """Yield the attempts that can have something to send: what an attempt writes after its successor has, is void."""
    newest = max((number for number, state in shipped.attempts.items() if state.offset), default=0)
    return (attempt for attempt in job.all_attempts() if attempt.number >= newest)


def _chunk_of(attempt: AttemptFolder, shipped: ShippedJob) -> Chunk | None:
    before = shipped.attempts.get(attempt.number, Shipped())
    # What a lost attempt had recorded beyond its last checkpoint is recorded again by the next one, and told once.
    told: Counter[str] = Counter()
    for number, earlier in shipped.attempts.items():
        if number < attempt.number:
            told |= Counter(earlier.steps)
    points: list[Point] = []
    offset, steps, n_records = before.offset, dict(before.steps), 0
    for record, behind in read_metrics(attempt, offset):
        # A process that carries another number than its folder was not started for this attempt.
        if record.attempt == attempt.number:
            points += [
                Point(name, value, record.step, record.at)
                for name, value in record.values.items()
                if record.step > told.get(name, 0)
            ]
            steps |= dict.fromkeys(record.values, record.step)
        offset, n_records = behind, n_records + 1
        if len(points) >= N_POINTS_PER_CHUNK:
            break
    if not n_records:
        return None
    return Chunk(points, n_records, shipped.with_attempt(attempt.number, Shipped(offset, steps)))
