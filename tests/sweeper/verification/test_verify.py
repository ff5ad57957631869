"""The command that checks a sweep: its words, its exit codes, and what it prints."""

import json
from pathlib import Path

import pytest
import yaml

from runners.contract.folder import SweepFolder
from sweeper.cli import main

EVENTS = [
    {"event": "planned", "job": "0001", "state": "PLANNED"},
    {"event": "cancelled", "job": "0001", "state": "CANCELLED", "reason": "asked for"},
    {"event": "sweep_ended", "exit_code": 0},
]


@pytest.fixture
def sweep(tmp_path: Path) -> SweepFolder:
    """A sweep whose only job was cancelled before it started."""
    folder = SweepFolder(tmp_path / "20261124-000000_seed_ab12")
    folder.job("0001").path.mkdir(parents=True)
    folder.job("0001").config.write_text("seed: 0\n", encoding="utf-8")
    tracking = {"name": "off", "uri": None, "experiment": "detsweep", "log_checkpoints": False, "required": False}
    content = {
        **{"jobs": [{"id": "0001"}], "datasets": [], "axes": {}, "versions": {}},
        "settings": {"tracking": tracking, "max_losses": 3},
    }
    folder.sweep.write_text(yaml.safe_dump(content), encoding="utf-8")
    write(folder, EVENTS)
    return folder


def write(sweep: SweepFolder, events: list[dict[str, object]]) -> None:
    lines = [json.dumps({"at": float(number), **event}) for number, event in enumerate(events)]
    sweep.journal.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def test_a_sweep_in_order_is_told_promise_by_promise(sweep: SweepFolder, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", str(sweep.path)]) == 0
    out = capsys.readouterr().out
    assert " 1 every job reaches one final state and stays there: holds" in out
    assert " 9 the tracking store has every recorded value once: not checked: tracking=off" in out
    assert "11 of 13 promises checked, all of them hold" in out


def test_a_violation_is_told_with_its_line_and_exit_1(sweep: SweepFolder, capsys: pytest.CaptureFixture[str]) -> None:
    write(sweep, [EVENTS[0], EVENTS[2]])
    assert main(["verify", str(sweep.path)]) == 1
    assert "   journal.jsonl:2: job 0001 is PLANNED though the sweep ended with 0" in capsys.readouterr().out


def test_a_program_reads_the_same_as_json(sweep: SweepFolder, capsys: pytest.CaptureFixture[str]) -> None:
    write(sweep, [EVENTS[0], EVENTS[2]])
    assert main(["verify", str(sweep.path), "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["holds"] is False
    assert [(entry["invariant"], entry["where"]) for entry in found["violations"]] == [(1, "journal.jsonl:2")]
    assert set(found["not_checked"]) == {"8", "9"}
    assert len(found["invariants"]) == 13


@pytest.mark.parametrize("words", [["--nonsense"], ["gpus=none"]])
def test_what_it_does_not_know_is_refused(
    sweep: SweepFolder, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["verify", str(sweep.path), *words]) == 2
    assert words[0] in capsys.readouterr().err


def test_a_sweep_that_is_not_there_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", "nosuch", f"output_dir={tmp_path}"]) == 2
    assert "nosuch" in capsys.readouterr().err
