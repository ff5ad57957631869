"""How far records have reached the store: in pieces of a bounded size, each point once, whatever befalls the file."""

from pathlib import Path

import pytest

from runners.contract.folder import JobFolder
from runners.contract.jsonfile import write_json
from runners.contract.records import MetricRecord
from sweeper.stored.redaction import without_password
from sweeper.tracking.shipped import N_POINTS_PER_CHUNK, Shipped, ShippedJob, count_unshipped, next_chunk


@pytest.fixture
def job(tmp_path: Path) -> JobFolder:
    folder = JobFolder(tmp_path / "0001")
    folder.path.mkdir()
    return folder


def write(job: JobFolder, n_records: int, first_step: int = 1) -> None:
    """Write records of two metrics by a new attempt."""
    attempt = job.take_attempt()
    lines = [
        MetricRecord(1000.0 + step, attempt.number, step, {"iter/loss": 1.0, "iter/lr": 0.1})
        for step in range(first_step, first_step + n_records)
    ]
    for line in lines:
        line.append(attempt)


def ship(job: JobFolder, shipped: ShippedJob) -> tuple[list[tuple[str, int]], list[int], ShippedJob]:
    """Take all chunks; return points, chunk sizes, and the state behind them."""
    points, sizes = [], []
    while (chunk := next_chunk(job, shipped)) is not None:
        points += [(point.name, point.step) for point in chunk.points]
        sizes.append(len(chunk.points))
        shipped = chunk.after
    return points, sizes, shipped


def test_much_that_has_gathered_goes_in_pieces(job: JobFolder) -> None:
    write(job, 1200)
    assert count_unshipped(job, ShippedJob()) == 1200
    points, sizes, after = ship(job, ShippedJob())
    assert points == [(name, step) for step in range(1, 1201) for name in ("iter/loss", "iter/lr")]
    assert sizes == [N_POINTS_PER_CHUNK, N_POINTS_PER_CHUNK, 400]
    assert count_unshipped(job, after) == 0


def test_what_a_lost_attempt_recorded_beyond_its_checkpoint_is_told_once(job: JobFolder) -> None:
    write(job, 5)
    write(job, 5, first_step=4)
    points, _, after = ship(job, ShippedJob())
    assert [step for name, step in points if name == "iter/loss"] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert after.attempts[2].steps == {"iter/loss": 8, "iter/lr": 8}


def test_what_an_attempt_writes_after_its_successor_is_void(job: JobFolder) -> None:
    write(job, 2)
    write(job, 2, first_step=3)
    _, _, after = ship(job, ShippedJob())
    MetricRecord(9999.0, 1, 50, {"iter/loss": 1.0}).append(job.all_attempts()[0])
    assert next_chunk(job, after) is None
    assert count_unshipped(job, after) == 0


def test_the_file_is_read_as_it_was_written_and_as_nothing_where_it_is_not_whole(job: JobFolder) -> None:
    assert ShippedJob.read(job) == ShippedJob()
    state = ShippedJob({1: Shipped(120, {"iter/loss": 3})}, (1, "COMPLETED"))
    state.write(job)
    assert ShippedJob.read(job) == state
    whole = job.shipped.read_bytes()
    for n_bytes in range(len(whole) - 1):  # the last one is the end of the line
        job.shipped.write_bytes(whole[:n_bytes])
        assert ShippedJob.read(job) == ShippedJob()
    for other in ({}, {"attempts": [], "ended": None}, {"attempts": {"1": {"offset": 1}}, "ended": None}):
        write_json(job.shipped, other)
        assert ShippedJob.read(job) == ShippedJob()


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("http://host:5000/a@b", "http://host:5000/a@b"),
        ("http://me:secret@host:5000/a", "http://***@host:5000/a"),
        ("at http://me:p@ss@host and http://token@other", "at http://***@host and http://***@other"),
        ("sqlite:////data/mlflow.db", "sqlite:////data/mlflow.db"),
    ],
)
def test_no_password_is_told(text: str, kept: str) -> None:
    assert without_password(text) == kept
