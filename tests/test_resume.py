"""A sweep whose controller or job is killed for real goes on, and ends as if nothing had happened."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
import yaml

from runners.contract.folder import SweepFolder
from runners.contract.records import AttemptResult
from sweeper.cli import main
from sweeper.stored.journal import Journal, read_journal
from tests.test_sweep import SHAPES, detsweep

pytestmark = pytest.mark.train

WORDS = ["train", *SHAPES, "n_epochs=3", "seed=0,1", "n_workers=0"]
LIMIT_S = 240.0
# What a run took of its machine is no property of what was trained.
MEASURED = "cost/"


def metrics(sweep: SweepFolder, job_id: str) -> dict[str, float]:
    attempt = sweep.job(job_id).newest_attempt()
    assert attempt is not None
    result = AttemptResult.read(attempt)
    assert result is not None
    assert result.failure is None
    return {name: value for name, value in result.metrics.items() if not name.startswith(MEASURED)}


def wait_until(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LIMIT_S
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def sweep_in(folder: Path) -> SweepFolder:
    (path,) = folder.glob("outputs/*/sweep.yaml")
    return SweepFolder(path.parent)


def states(sweep: SweepFolder) -> dict[str, str]:
    return {event["job"]: event["state"] for event in read_journal(sweep.journal) if "state" in event}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> SweepFolder:
    folder = tmp_path_factory.mktemp("undisturbed")
    subprocess.run(detsweep(*WORDS, "tracking=off"), cwd=folder, check=True, capture_output=True)
    return sweep_in(folder)


def test_a_killed_controller_is_followed_by_one_that_finishes_the_same_sweep(
    undisturbed: SweepFolder, tmp_path: Path
) -> None:
    with (tmp_path / "out.txt").open("wb") as out:
        process = subprocess.Popen(detsweep(*WORDS), cwd=tmp_path, stdout=out, stderr=out)
    # In the middle of the second job, once it has a checkpoint to go on from.
    wait_until(lambda: any(tmp_path.glob("outputs/*/jobs/0002/checkpoints/a1_epoch_*.pth.sha256")))
    children = psutil.Process(process.pid).children(recursive=True)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    sweep = sweep_in(tmp_path)
    assert states(sweep) == {"0001": "COMPLETED", "0002": "RUNNING"}
    resumed = subprocess.run(detsweep("resume"), cwd=tmp_path, capture_output=True, text=True)
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    assert not [child for child in children if child.is_running() and child.status() != psutil.STATUS_ZOMBIE]

    assert states(sweep) == {"0001": "COMPLETED", "0002": "COMPLETED"}
    assert [len(sweep.job(job_id).all_attempts()) for job_id in ("0001", "0002")] == [1, 2]
    started = [event for event in read_journal(sweep.journal) if event["event"] == "started"]
    assert started[-1]["resume"].startswith("checkpoints/a1_epoch_")
    for job_id in ("0001", "0002"):
        assert metrics(sweep, job_id) == metrics(undisturbed, job_id)

    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{sweep.path.parent / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("detsweep").experiment_id
    runs = client.search_runs([experiment])
    assert len(runs) == 3  # the sweep's and one per job
    assert {run.info.status for run in runs} == {"FINISHED"}
    for run in runs:
        for name in run.data.metrics:
            steps = [point.step for point in client.get_metric_history(run.info.run_id, name)]
            assert len(steps) == len(set(steps)), name

    again = subprocess.run(detsweep("resume"), cwd=tmp_path, capture_output=True, text=True)
    assert again.returncode == 0
    assert "nothing left to do" in again.stdout
    assert [len(sweep.job(job_id).all_attempts()) for job_id in ("0001", "0002")] == [1, 2]


def test_a_killed_job_goes_on_at_once_from_its_checkpoint(undisturbed: SweepFolder, tmp_path: Path) -> None:
    words = [word for word in WORDS if not word.startswith("seed=")]
    with (tmp_path / "out.txt").open("wb") as out:
        process = subprocess.Popen(detsweep(*words, "tracking=off"), cwd=tmp_path, stdout=out, stderr=out)
    wait_until(lambda: any(tmp_path.glob("outputs/*/jobs/0001/checkpoints/a1_epoch_*.pth.sha256")))
    sweep = sweep_in(tmp_path)
    (pid,) = (event["pid"] for event in read_journal(sweep.journal) if event["event"] == "process")
    os.kill(pid, signal.SIGKILL)
    assert process.wait(LIMIT_S) == 0, (tmp_path / "out.txt").read_text(encoding="utf-8")
    ended = [event for event in read_journal(sweep.journal) if event["event"] == "ended"]
    assert [event["outcome"] for event in ended] == ["lost", "completed"]
    assert "killed by signal 9 (SIGKILL)" in ended[0]["reason"]
    assert metrics(sweep, "0001") == metrics(undisturbed, "0001")


def test_changed_data_and_changed_settings_are_refused(
    undisturbed: SweepFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["resume", str(undisturbed.path), "batch_size=8"]) == 2
    assert "no change in resume: batch_size=8; what may change is gpus" in capsys.readouterr().err
    assert main(["resume", "nosuch", f"output_dir={undisturbed.path.parent}"]) == 2
    assert "none called 'nosuch'" in capsys.readouterr().err
    copied = SweepFolder(Path(shutil.copytree(undisturbed.path, tmp_path / undisturbed.sweep_id)))
    planned = [line for line in copied.journal.read_text(encoding="utf-8").splitlines() if '"planned"' in line]
    copied.journal.write_text("".join(f"{line}\n" for line in planned), encoding="utf-8")
    stored = yaml.safe_load(copied.sweep.read_text(encoding="utf-8"))
    for entry in (*stored["datasets"], *stored["jobs"]):
        entry["fingerprint"] = "0" * 64
    copied.sweep.write_text(yaml.safe_dump(stored), encoding="utf-8")
    assert main(["resume", str(copied.path)]) == 2
    assert "data set changed in" in capsys.readouterr().err


def test_a_sweep_that_runs_is_owned_by_its_controller(undisturbed: SweepFolder) -> None:
    with Journal(undisturbed.journal):
        second = subprocess.run(detsweep("resume", str(undisturbed.path)), capture_output=True, text=True)
    assert second.returncode == 4
    assert "another detsweep process owns it" in second.stderr


def test_sync_ships_what_no_store_has_received_and_only_once(undisturbed: SweepFolder, tmp_path: Path) -> None:
    from mlflow import MlflowClient

    copied = SweepFolder(Path(shutil.copytree(undisturbed.path, tmp_path / undisturbed.sweep_id)))
    uri = f"sqlite:///{tmp_path / 'later.db'}"
    for _ in range(2):
        words = detsweep("sync", str(copied.path), f"tracking.uri={uri}")
        shown = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True)
        assert shown.returncode == 0, shown.stdout + shown.stderr
        assert "the tracking store has everything" in shown.stdout
    client = MlflowClient(uri)
    runs = client.search_runs([client.get_experiment_by_name("detsweep").experiment_id])
    assert len(runs) == 3
    assert {run.info.status for run in runs} == {"FINISHED"}
    trained = next(run for run in runs if run.data.tags.get("detsweep.job", "").endswith("/0002"))
    steps = [point.step for point in client.get_metric_history(trained.info.run_id, "val/bbox_mAP_50")]
    assert steps == [1, 2, 3]


def test_sync_without_a_store_says_so(undisturbed: SweepFolder, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sync", str(undisturbed.path)]) == 2
    assert "none, tracking=off; name one with tracking.uri=" in capsys.readouterr().err
