"""What a job's folder holds of its numbers: the records of all attempts, and the result that counts."""

from reports.records import CURVES, Point, fold_points
from runners.contract.errors import UserError
from runners.contract.folder import JobFolder
from runners.contract.notes import Note, read_notes
from runners.contract.records import AttemptResult, read_metrics
from runners.contract.states import AttemptOutcome


def read_measured(folder: JobFolder) -> tuple[dict[str, float], dict[str, tuple[Point, ...]]]:
    """Return the last value of every metric of all attempts, and the curves.

    Raises:
        UserError: a record is damaged.
    """
    last: dict[str, float] = {}
    points: dict[str, list[Point]] = {name: [] for name in CURVES}
    for attempt in folder.all_attempts():
        try:
            # Most records only tell progress, and a long training leaves very many: they are not gathered.
            for record, _ in read_metrics(attempt):
                last |= record.values
                for name in points.keys() & record.values.keys():
                    points[name].append(Point(record.step, record.values[name]))
        except (ValueError, TypeError) as error:
            raise UserError(f"metrics in {attempt.metrics}: damaged ({error}); remove the damaged line") from error
    return last, {name: fold_points(found) for name, found in points.items() if found}


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
