"""What a job's folder holds of its numbers: the records of all attempts, and the result that counts."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from reports.records import CURVES, Point, fold_points, whole_ms
from runners.contract.errors import UserError
from runners.contract.folder import JobFolder
from runners.contract.notes import Note, read_notes
from runners.contract.records import AttemptResult, read_metrics
from runners.contract.states import AttemptOutcome


@dataclass(frozen=True)
class Measured:
    """The numbers of all attempts of a job.

    Attributes:
        metrics: the last value of every metric.
        curves: by metric, one value per epoch.
        times: epoch to the wall-clock time at which its numbers were written, in whole milliseconds.
    """

    metrics: dict[str, float] = field(default_factory=dict)
    curves: dict[str, tuple[Point, ...]] = field(default_factory=dict)
    times: dict[int, float] = field(default_factory=dict)


def read_measured(folder: JobFolder, more_curves: Sequence[str] = ()) -> Measured:
    """Read what a job's attempts have recorded.

    Args:
        folder: the job's.
        more_curves: metrics beside the usual ones whose curves are wanted.

    Raises:
        UserError: a record is damaged.
    """
    last: dict[str, float] = {}
    points: dict[str, list[Point]] = {name: [] for name in (*CURVES, *more_curves)}
    times: list[Point] = []
    for attempt in folder.all_attempts():
        try:
            # Most records only tell progress, and a long training leaves very many: they are not gathered.
            for record, _ in read_metrics(attempt):
                last |= record.values
                drawn = points.keys() & record.values.keys()
                for name in drawn:
                    points[name].append(Point(record.step, record.values[name]))
                if drawn:
                    times.append(Point(record.step, whole_ms(record.at)))
        except (ValueError, TypeError) as error:
            raise UserError(f"metrics in {attempt.metrics}: damaged ({error}); remove the damaged line") from error
    return Measured(
        metrics=last,
        curves={name: fold_points(found) for name, found in points.items() if found},
        times={point.epoch: point.value for point in fold_points(times)},
    )


def read_result(folder: JobFolder) -> AttemptResult | None:
    """Return the result of the attempt that completed, or of the newest that left one."""
    results = [result for attempt in folder.all_attempts() if (result := AttemptResult.read(attempt)) is not None]
    completed = [result for result in results if result.outcome is AttemptOutcome.COMPLETED]
    chosen = completed or results
    return chosen[-1] if chosen else None


def read_noted(folder: JobFolder) -> tuple[Note, ...]:
    """Return what people noted of a job.

    Raises:
        UserError: a note is damaged.
    """
    try:
        return tuple(read_notes(folder))
    except ValueError as error:
        raise UserError(f"notes in {folder.notes}: damaged ({error}); remove the damaged line") from error
