"""A project's own code is edited, broken, gone, or another's, while sweeps are made of it."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.driver import Driver
from tests.quick_job import Play

ROOT = Path(__file__).parents[2]
PLUGIN = ("plugins=[own]", "entry=tests.plugin_job")


@pytest.fixture
def own(drive: Driver) -> Path:
    """A module of the project that says, when it is imported, what it is."""
    path = drive.folder / "own.py"
    path.write_text("print('own code, old')\n", encoding="utf-8")
    return path


def said_by(drive: Driver, job: str) -> str:
    attempt = drive.sweep.job(job).newest_attempt()
    assert attempt is not None
    return attempt.log.read_text(encoding="utf-8")


def test_code_that_cannot_be_imported_ends_the_sweep_before_its_first_job(drive: Driver, own: Path) -> None:
    own.write_text("import os\nos.nothing\n", encoding="utf-8")
    command = drive.train(*PLUGIN)
    assert command.wait() == 2
    (line,) = [line for line in command.said.splitlines() if line.startswith("error: ")]
    why = "AttributeError: module 'os' has no attribute 'nothing' in own.py:2; mend it"
    assert line == f"error: plugin own cannot be imported: {why}"
    assert not drive.sweeps
    assert [path.name for path in (drive.folder / "outputs").iterdir()] == ["data"]


def test_code_that_is_not_there_is_told_before_anything_starts(drive: Driver, own: Path) -> None:
    command = drive.run("train", "dataset=shapes", "plugins=[owm]", "gpus=none")
    assert command.wait() == 2
    assert "no plugin owm" in command.said
    assert "did you mean 'own'?" in command.said


def test_an_edit_while_a_sweep_runs_is_for_the_jobs_that_are_added(drive: Driver, own: Path) -> None:
    command = drive.train(*PLUGIN, "seed=0,1", play=Play(iteration_s=0.6))
    drive.until(lambda: drive.n_iterations("0001") > 1)
    own.write_text("print('own code, new')\n", encoding="utf-8")
    added = drive.run("add", "seed=2", play=Play(iteration_s=0.01))
    assert "0003" in added.said, added.said
    assert command.wait() == 0, command.said
    said = [said_by(drive, job) for job in ("0001", "0002", "0003")]
    assert ["old" in each for each in said] == [True, True, False]
    assert "own code, new" in said[2]
    assert len(list((drive.sweep.path / "plugins").iterdir())) == 2
    assert [event["event"] for event in drive.events()].count("sweep_started") == 1


def test_a_sweep_goes_on_with_its_own_copy_and_with_anothers_only_by_consent(drive: Driver, own: Path) -> None:
    drive.train(*PLUGIN, play=Play(iteration_s=0.08))
    drive.until(lambda: drive.n_iterations("0001") > 5)
    drive.cut_the_power()
    # Handed over: another path, another user.
    digest = next((drive.sweep.path / "plugins").iterdir()).name
    env = {"XDG_STATE_HOME": str(drive.folder / "another user")}
    refused = drive.run("resume", env=env)
    assert refused.wait() == 2
    assert "not from a sweep that you started" in refused.said
    assert f"trust_plugins={digest}" in refused.said
    by_hand = subprocess.run(
        [sys.executable, "-m", "runners", drive.sweep.job("0002").path],
        cwd=ROOT,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
    )
    assert by_hand.returncode == 2
    assert "not from a sweep that you started" in by_hand.stderr
    assert drive.sweep.job("0002").newest_attempt() is None
    # The project's own code is another by now.
    own.write_text("print('own code, new')\n", encoding="utf-8")
    resumed = drive.run("resume", f"trust_plugins={digest}", env=env)
    assert resumed.wait() == 0, resumed.said
    (note,) = [line for line in resumed.said.splitlines() if line.startswith("note: plugins own")]
    assert f"are {digest}, now " in note
    assert "own code, old" in said_by(drive, "0002")


def test_a_copy_that_was_changed_is_not_run(drive: Driver, own: Path) -> None:
    drive.train(*PLUGIN, play=Play(iteration_s=0.08))
    drive.until(lambda: drive.n_iterations("0001") > 5)
    drive.cut_the_power()
    copy = next((drive.sweep.path / "plugins").iterdir())
    (copy / "own.py").write_text("print('own code, evil')\n", encoding="utf-8")
    refused = drive.run("resume", "accept_change=true")
    assert refused.wait() == 2
    assert f"plugin sources changed in {copy}" in refused.said
    shutil.copy(own, copy / "own.py")
    resumed = drive.run("resume")
    assert resumed.wait() == 0, resumed.said


def test_a_plan_names_the_code(drive: Driver, own: Path) -> None:
    command = drive.run("plan", "--json", "dataset=shapes", "weights=none", "gpus=none", *PLUGIN)
    assert command.wait() == 0, command.said
    assert json.loads(command.said)["jobs"]
    assert not list(drive.folder.glob("outputs/2*"))
