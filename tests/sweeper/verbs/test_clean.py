"""What may be deleted: shown first, deleted when asked, and never what somebody still needs."""

import json
from pathlib import Path
from typing import Any

import pytest

from runners.contract.folder import SweepFolder
from runners.contract.records import AttemptResult
from runners.contract.states import AttemptOutcome
from sweeper.cli import main
from tests.sweeper.written_sweep import WrittenSweep

STATES = ("a1_epoch_1.pth", "a1_epoch_1.pth.sha256", "a1_best_epoch_1.pth")


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def fill(sweep: SweepFolder, job_id: str) -> None:
    """Put full states, and a half-written one, beside a job's best weights."""
    folder = sweep.job(job_id).checkpoints
    folder.mkdir(parents=True, exist_ok=True)
    for name in (*STATES, ".a1_epoch_2.pth.99.tmp"):
        (folder / name).write_bytes(b"x" * 1000)


def finished_sweep(output_dir: Path, **settings: Any) -> WrittenSweep:
    """0001 completed, 0002 failed, 0003 waits with a checkpoint to go on from."""
    sweep = WrittenSweep(output_dir, **settings)
    sweep.run("0001")
    sweep.run("0002", "FAILED", "loss is NaN")
    sweep.run("0003", "PAUSED", "interrupted")
    for job_id in ("0001", "0002", "0003"):
        fill(sweep.folder, job_id)
    (sweep.folder.job("0002").checkpoints / "a1_best.pth").write_bytes(b"y" * 1000)
    return sweep


def cleaned(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    assert main(["clean", "--json", *words]) == 0
    told: dict[str, Any] = json.loads(capsys.readouterr().out)
    return told


def files_of(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def names(told: dict[str, Any]) -> set[str]:
    return {"/".join(Path(file["path"]).parts[-3:]) for file in told["files"]}


GONE = {
    *(f"0001/checkpoints/{name}" for name in (*STATES, ".a1_epoch_2.pth.99.tmp")),
    *(f"0002/checkpoints/{name}" for name in (*STATES, ".a1_epoch_2.pth.99.tmp", "a1_best.pth")),
}


def test_it_shows_first_and_deletes_when_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sweep = finished_sweep(tmp_path / "outputs")
    sweep.close(3)
    before = files_of(tmp_path)
    told = cleaned(capsys)
    assert names(told) == GONE
    assert (told["is_deleted"], told["n_bytes"]) == (False, 9000)
    assert files_of(tmp_path) == before
    assert names(cleaned(capsys, "--yes")) == GONE
    assert before - files_of(tmp_path) == {f"outputs/{sweep.folder.sweep_id}/jobs/{name}" for name in GONE}
    assert cleaned(capsys)["files"] == []


def test_people_are_told_how_much_and_how(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    finished_sweep(tmp_path / "outputs").close(3)
    assert main(["clean", "seed"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1].startswith("would delete 9 files, 9.0 kB;")
    assert lines[-1].endswith("detsweep clean seed --yes")
    assert any("full states of finished jobs" in line and "3.0 kB" in line for line in lines)


def test_a_sweep_that_runs_is_not_touched(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sweep = finished_sweep(tmp_path / "outputs")
    told = cleaned(capsys, "--yes")
    assert told["files"] == []
    assert told["notes"] == [f"{sweep.folder.sweep_id} is running; nothing of it is touched"]
    assert main(["clean", "seed", "--yes"]) == 4
    assert "owns it" in capsys.readouterr().err
    sweep.close()


@pytest.mark.parametrize("keep", ["best+last", "all"])
def test_states_that_were_to_be_kept_are_kept(keep: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    finished_sweep(tmp_path / "outputs", keep=keep).close(3)
    assert not any(name.startswith("0001/") and name.endswith(".pth") for name in names(cleaned(capsys)))


def test_without_its_best_weights_a_job_keeps_its_states(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sweep = finished_sweep(tmp_path / "outputs")
    sweep.close(3)
    (sweep.folder.job("0001").checkpoints / "a1_best.pth").unlink()
    assert not any(name.startswith("0001/") and not name.endswith(".tmp") for name in names(cleaned(capsys)))


def test_whatever_a_result_calls_its_weights_stays(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sweep = finished_sweep(tmp_path / "outputs")
    attempt = sweep.folder.job("0001").all_attempts()[0]
    AttemptResult(1, AttemptOutcome.COMPLETED, checkpoint="checkpoints/a1_best_epoch_1.pth").write(attempt)
    sweep.close(3)
    cleaned(capsys, "--yes")
    assert (sweep.folder.job("0001").checkpoints / "a1_best_epoch_1.pth").is_file()


def test_a_link_is_deleted_and_not_followed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "a1_epoch_1.pth").write_bytes(b"mine")
    sweep = finished_sweep(tmp_path / "outputs")
    (sweep.folder.job("0002").checkpoints / "a1_epoch_9.pth").symlink_to(precious / "a1_epoch_1.pth")
    (sweep.folder.job("0002").checkpoints / "elsewhere").symlink_to(precious)
    sweep.close(3)
    cleaned(capsys, "--yes")
    assert (precious / "a1_epoch_1.pth").read_bytes() == b"mine"


def test_failed_checks_and_fetched_files_go_unless_one_sweep_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    finished_sweep(tmp_path / "outputs").close(3)
    failed = WrittenSweep(tmp_path / "outputs" / "checks", "20260101-000000_check_ab12")
    failed.run("0001", "FAILED")
    failed.close(1)
    planned = tmp_path / "outputs" / "checks" / "20260103-000000_check_ef56"
    planned.mkdir()
    (planned / "server.log").touch()
    (tmp_path / "outputs" / "fetched" / "run").mkdir(parents=True)
    (tmp_path / "outputs" / "fetched" / "run" / "val.json").write_text("x")
    running = WrittenSweep(tmp_path / "outputs" / "checks", "20260102-000000_check_cd34")
    assert {file["sweep"] for file in cleaned(capsys, "seed")["files"]} == {"20260101-000000_seed_ab12"}
    cleaned(capsys, "--yes")
    assert not failed.folder.path.exists()
    assert (planned / "server.log").is_file()
    assert not (tmp_path / "outputs" / "fetched").exists()
    assert running.folder.journal.is_file()
    assert running.folder.jobs.is_dir()
    running.close()


def test_a_damaged_sweep_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sweep = finished_sweep(tmp_path / "outputs")
    sweep.close(3)
    with sweep.folder.journal.open("a") as journal:
        journal.write("rubbish\n")
    told = cleaned(capsys, "--yes")
    assert told["files"] == []
    assert "is left alone" in told["notes"][0]
