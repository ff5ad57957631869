"""Which state a job goes on from, whatever a crash left in its folder."""

from pathlib import Path

import pytest

from runners.contract.checkpoint_files import StateFile, all_states, find_resume_point, read_digests, write_digests
from runners.contract.digest import sha256_of
from runners.contract.folder import JobFolder
from runners.contract.records import AttemptSpec

CONTENT = b"weights, optimizer, schedules and more"


@pytest.fixture
def job(tmp_path: Path) -> JobFolder:
    """A job with two states, both of which refer to the best weights of epoch 1."""
    job = JobFolder(tmp_path / "0001")
    job.checkpoints.mkdir(parents=True)
    (job.checkpoints / "a1_best_epoch_1.pth").write_bytes(b"best")
    for name in ("a1_epoch_1.pth", "a1_epoch_2.pth"):
        add_state(job, name)
    return job


def add_state(job: JobFolder, name: str, best: str = "a1_best_epoch_1.pth") -> Path:
    path = job.checkpoints / name
    path.write_bytes(CONTENT + name.encode())
    write_digests(path, {name: sha256_of(path), best: sha256_of(job.checkpoints / best)})
    return path


def chosen(job: JobFolder) -> tuple[str | None, tuple[str, ...]]:
    point = find_resume_point(job)
    return point.spec_value, point.passed_over


def test_newest_is_taken(job: JobFolder) -> None:
    assert chosen(job) == ("checkpoints/a1_epoch_2.pth", ())
    assert StateFile.named(Path("a2_epoch_4_iter_230.pth")) == StateFile(Path("a2_epoch_4_iter_230.pth"), 2, 4, 230)


def test_newest_first_is_by_attempt_epoch_and_iteration_as_numbers(job: JobFolder) -> None:
    for name in (
        "a10_epoch_2.pth",
        "a9_epoch_10.pth",
        "a9_epoch_9.pth",
        "a9_epoch_9_iter_99.pth",
        "a9_epoch_9_iter_100.pth",
    ):
        add_state(job, name)
    for name in ("a1_best.pth", ".a11_epoch_1.pth.7.tmp", "a1_epoch_x.pth", "notes.txt"):
        (job.checkpoints / name).write_text("x")
    assert [state.path.name for state in all_states(job)] == [
        "a10_epoch_2.pth",
        "a9_epoch_10.pth",
        "a9_epoch_9_iter_100.pth",
        "a9_epoch_9_iter_99.pth",
        "a9_epoch_9.pth",
        "a1_epoch_2.pth",
        "a1_epoch_1.pth",
    ]
    assert all(state.name == state.path.name for state in all_states(job))


@pytest.mark.parametrize("torn", ["a1_epoch_2.pth", "a1_epoch_2.pth.sha256"])
@pytest.mark.parametrize("size", ["0", "1", "half", "n-1"])
def test_torn_state_or_digest_leaves_the_next_older_one(job: JobFolder, torn: str, size: str) -> None:
    path = job.checkpoints / torn
    content = path.read_bytes()
    sizes = {"0": 0, "1": 1, "half": len(content) // 2, "n-1": len(content) - 1}
    path.write_bytes(content[: sizes[size]])
    assert chosen(job) == ("checkpoints/a1_epoch_1.pth", ("a1_epoch_2.pth",))


def test_digests_cut_anywhere_do_not_count(job: JobFolder) -> None:
    path = job.checkpoints / "a1_epoch_2.pth"
    digests = job.checkpoints / "a1_epoch_2.pth.sha256"
    content = digests.read_bytes()
    assert len(read_digests(path)) == 2
    for size in range(len(content)):
        digests.write_bytes(content[:size])
        assert read_digests(path) == {}, size


def test_flipped_bit_is_found(job: JobFolder) -> None:
    path = job.checkpoints / "a1_epoch_2.pth"
    content = bytearray(path.read_bytes())
    content[7] ^= 1
    path.write_bytes(content)
    assert chosen(job) == ("checkpoints/a1_epoch_1.pth", ("a1_epoch_2.pth",))


@pytest.mark.parametrize("missing", ["a1_epoch_2.pth", "a1_epoch_2.pth.sha256"])
def test_kill_between_state_and_digest_leaves_the_next_older_one(job: JobFolder, missing: str) -> None:
    (job.checkpoints / missing).unlink()
    assert chosen(job)[0] == "checkpoints/a1_epoch_1.pth"


def test_state_without_its_best_weights_does_not_count(job: JobFolder) -> None:
    (job.checkpoints / "a1_best_epoch_3.pth").write_bytes(b"better")
    path = add_state(job, "a1_epoch_3.pth", best="a1_best_epoch_3.pth")
    assert chosen(job)[0] == f"checkpoints/{path.name}"
    (job.checkpoints / "a1_best_epoch_3.pth").write_bytes(b"bette")
    assert chosen(job) == ("checkpoints/a1_epoch_2.pth", ("a1_epoch_3.pth",))


def test_nothing_valid_means_to_begin_anew(job: JobFolder, tmp_path: Path) -> None:
    for path in job.checkpoints.glob("*.sha256"):
        path.unlink()
    assert chosen(job) == (None, ("a1_epoch_2.pth", "a1_epoch_1.pth"))
    assert chosen(JobFolder(tmp_path / "0002")) == (None, ())


def test_digests_are_what_sha256sum_checks(job: JobFolder) -> None:
    lines = (job.checkpoints / "a1_epoch_2.pth.sha256").read_text().splitlines()
    assert [line.split("  ")[1] for line in lines] == ["a1_best_epoch_1.pth", "a1_epoch_2.pth"]
    assert lines[1].split("  ")[0] == sha256_of(job.checkpoints / "a1_epoch_2.pth")


def test_with_another_split_only_the_ends_of_epochs_count(job: JobFolder) -> None:
    add_state(job, "a1_epoch_2_iter_50.pth")
    assert find_resume_point(job).spec_value == "checkpoints/a1_epoch_2_iter_50.pth"
    # Nobody knows how the state was split: no spec.
    assert find_resume_point(job, (16, 1)).spec_value == "checkpoints/a1_epoch_2.pth"
    attempt = job.take_attempt()
    AttemptSpec(1, "cpu", n_threads=1, n_workers=0, batch_per_step=16, accumulation=1).write(attempt)
    assert find_resume_point(job, (16, 1)).spec_value == "checkpoints/a1_epoch_2_iter_50.pth"
    point = find_resume_point(job, (8, 2))
    assert point.spec_value == "checkpoints/a1_epoch_2.pth"
    assert point.passed_over == ()  # nothing is wrong with the newer one
