"""What another terminal is told of a sweep, running or not; for people and for scripts."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from sweeper.cli import main
from tests.sweeper.written_sweep import WrittenSweep


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def shown(capsys: pytest.CaptureFixture[str], *words: str) -> list[str]:
    assert main(words) == 0
    return capsys.readouterr().out.splitlines()


def told(capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    """Return the one JSON object on stdout; anything else beside it breaks the parser."""
    assert main(words) == 0
    out = capsys.readouterr()
    assert out.err == ""
    return json.loads(out.out)


def words_of(lines: Sequence[str]) -> list[list[str]]:
    return [line.split() for line in lines]


def test_a_running_sweep_is_shown_with_who_runs_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sweep = WrittenSweep(tmp_path / "outputs")
    sweep.run("0001", "FAILED", "loss is NaN at iteration 7")
    sweep.start("0002")
    lines = shown(capsys, "status")
    assert f"{sweep.folder.path}: live; process 4711 on elsewhere; started " in lines[0]
    assert lines[1] == "detsweep train seed=0,1,2"
    assert words_of(lines[3:7]) == [
        ["0002", "2", "training", "cpu/0", "1/2", "0.500", "40.0", "30", "s"],
        ["0001", "1", "failed", "1/2", "0.500", "40.0"],
        ["loss", "is", "NaN", "at", "iteration", "7"],
        ["0003", "3", "waiting"],
    ]
    assert lines[-1] == (
        "watch it: detsweep attach 20260101-000000_seed_ab12    end it: detsweep stop 20260101-000000_seed_ab12"
    )
    sweep.close()


def test_a_sweep_whose_controller_was_killed_names_the_way_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sweep = WrittenSweep(tmp_path / "outputs")
    sweep.run("0001")
    sweep.start("0002")
    sweep.close()
    lines = shown(capsys, "status", "seed")
    assert ": paused; started " in lines[0]
    assert words_of(lines)[3][:4] == ["0002", "2", "cut", "off"]
    assert lines[-1] == "nobody runs it; 2 jobs left: detsweep resume 20260101-000000_seed_ab12"


def test_status_is_one_json_object(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sweep = WrittenSweep(tmp_path / "outputs")
    sweep.run("0001")
    sweep.run("0002", "FAILED", "loss is NaN at iteration 7")
    sweep.start("0003")
    status = told(capsys, "status", "--json")
    assert status["state"] == "live"
    assert status["controller"]["pid"] == 4711
    assert status["counts"] == {"RUNNING": 1, "COMPLETED": 1, "FAILED": 1}
    assert (status["n_jobs"], status["n_left"], status["exit_code"]) == (3, 1, None)
    assert status["best_val_ap50"] == 0.6
    assert status["finish_at"] > 0
    jobs = status["jobs"]
    assert [(job["job"], job["state"], job["val_ap50"], job["memory_gb"]) for job in jobs] == [
        ("0001", "COMPLETED", 0.6, 1.5),
        ("0002", "FAILED", 0.4, None),
        ("0003", "RUNNING", 0.4, None),
    ]
    assert jobs[1]["reason"] == "loss is NaN at iteration 7"
    assert Path(jobs[1]["log"]).read_text() == "first line\nlast line\n"
    sweep.close(1)
    after = told(capsys, "status", "--json")
    assert (after["controller"], after["finish_at"], after["exit_code"]) == (None, None, 1)


@pytest.mark.parametrize(
    ("states", "state"),
    [(["COMPLETED"] * 2, "finished"), (["COMPLETED", "FAILED"], "failed"), (["COMPLETED"], "paused")],
)
def test_a_sweep_that_nobody_runs_is_finished_failed_or_paused(
    states: list[str], state: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sweep = WrittenSweep(tmp_path / "outputs", n_jobs=2)
    for number, ended in enumerate(states, start=1):
        sweep.run(f"{number:04d}", ended)
    sweep.close(0)
    assert told(capsys, "status", "--json")["state"] == state
    assert told(capsys, "ls", "--json")["sweeps"][0]["state"] == state


def test_all_sweeps_are_listed_and_a_damaged_one_hides_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = WrittenSweep(tmp_path / "outputs", "20260101-000000_seed_ab12")
    first.run("0001")
    first.close(130)
    second = WrittenSweep(tmp_path / "outputs", "20260102-000000_seed_cd34")
    second.close()
    second.folder.journal.write_text("rubbish\n")
    third = WrittenSweep(tmp_path / "outputs", "20260103-000000_seed_ef56")
    listed = told(capsys, "ls", "--json")
    assert [(sweep["sweep"][-4:], sweep["state"]) for sweep in listed["sweeps"]] == [
        ("ab12", "paused"),
        ("cd34", "damaged"),
        ("ef56", "live"),
    ]
    lines = words_of(shown(capsys, "ls"))
    assert lines[1][1:3] == ["paused", "1/3"]
    assert lines[1][-3:] == ["60.0", "train", "seed=0,1,2"]
    assert lines[2][1:4] == ["damaged", "journal", "damaged"]
    third.close()


def test_an_empty_folder_says_how_to_begin(capsys: pytest.CaptureFixture[str]) -> None:
    assert "start one with detsweep train" in shown(capsys, "ls")[0]
    assert told(capsys, "ls", "--json")["sweeps"] == []


def test_a_narrow_terminal_keeps_ids_whole(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep = WrittenSweep(tmp_path / "outputs")
    sweep.close()
    monkeypatch.setattr("sweeper.verbs.report.FILE_WIDTH", 60)
    lines = shown(capsys, "ls")
    assert lines[1].startswith("20260101-000000_seed_ab12  paused  ")
    assert all(len(line) <= 60 for line in lines)
