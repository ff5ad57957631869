"""Jobs that an earlier run answers are found: in a real store, or in the folders; and never at the cost of a sweep."""

import json
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import Metric

import reports.mlflow_runs
from runners.contract.folder import SweepFolder
from runners.contract.jsonfile import append_line
from runners.contract.records import AttemptResult
from runners.contract.states import AttemptOutcome
from sweeper.tracking.answers import reused_tags
from sweeper.tracking.mlflow_store import MlflowStore
from sweeper.tracking.reuse import ReusedRun, find_reusable
from sweeper.tracking.shipper import TrackingSettings

FINISHED = ("FINISHED", "COMPLETED")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict[str, str]]:
    """A store, and the run id of each run in it by its name."""
    uri = f"sqlite:///{tmp_path_factory.mktemp('store') / 'mlflow.db'}"
    run_ids = {}
    for experiment, name, identity, (status, state), has_metrics in [
        ("one", "old", "a", FINISHED, True),
        ("one", "new", "a", FINISHED, True),
        ("two", "other experiment", "b", FINISHED, True),
        ("one", "failed", "c", ("FAILED", "FAILED"), True),
        ("one", "pruned", "d", ("KILLED", "PRUNED"), True),
        ("one", "running", "e", ("RUNNING", "RUNNING"), True),
        ("one", "empty", "f", FINISHED, False),
        ("one", "deleted", "g", FINISHED, True),
    ]:
        tracked = MlflowStore(uri, experiment, None)
        tags = {"detsweep.identity": identity, "detsweep.state": state, "detsweep.job": f"sweep of {name}/0003"}
        run_id = tracked.open_run(name, name, {**tags, "detsweep.folder": f"/runs/{name}"}).run_id
        client = MlflowClient(uri)
        if has_metrics:
            client.log_batch(run_id, metrics=[Metric("test/bbox_mAP_50", 0.5, 1000, 1)])
        if status != "RUNNING":
            tracked.end_run(run_id, status, at=1000.0 + len(run_ids))
        run_ids[name] = run_id
    client.delete_run(run_ids["deleted"])
    return uri, run_ids


def settings(uri: str | None) -> TrackingSettings:
    return TrackingSettings(uri, "three", None)


@pytest.mark.parametrize("n_others", [0, 5, 20], ids=["few asked for", "as many", "more than there are runs"])
def test_the_newest_finished_run_of_a_store_answers(
    store: tuple[str, dict[str, str]], tmp_path: Path, n_others: int
) -> None:
    uri, run_ids = store
    identities = {"0001": "a", "0002": "b", "0003": "c", "0004": "d", "0005": "e", "0006": "f", "0007": "g"}
    identities |= {"0008": "a"} | {f"1{number:03d}": f"new {number}" for number in range(n_others)}
    found = find_reusable(identities, settings(uri), tmp_path, pytest.fail)
    new = ReusedRun(run_ids["new"], "/runs/new", "sweep of new", "0003", "new")
    other = run_ids["other experiment"]
    assert found == {
        "0001": new,
        "0002": ReusedRun(other, "/runs/other experiment", "sweep of other experiment", "0003", "other experiment"),
        "0008": new,
    }


def test_a_store_that_is_not_there_is_not_made_and_mlflow_not_imported(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from sweeper.tracking.reuse import find_reusable; "
        "from sweeper.tracking.shipper import TrackingSettings as S; where = Path(sys.argv[1]); "
        "print(find_reusable({'0001': 'a'}, S(f'sqlite:///{where}/mlflow.db', 'x', None), where, print), "
        "'mlflow' in sys.modules)"
    )
    shown = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=True)
    assert shown.stdout == "{} False\n"
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_is_away_costs_seconds_and_a_line(tmp_path: Path) -> None:
    told: list[str] = []
    began = time.monotonic()
    away = settings("http://me:secret@127.0.0.1:9")
    assert find_reusable({"0001": "a"}, away, tmp_path, told.append) == {}
    assert time.monotonic() - began < 10
    assert told == ["note: tracking store http://***@127.0.0.1:9: Connection refused; nothing is reused"]


def test_a_locked_database_costs_seconds_and_a_line(
    store: tuple[str, dict[str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sweeper.tracking.store_probe.PROBE_S", 0.2)
    uri, _ = store
    holder = sqlite3.connect(uri.removeprefix("sqlite:///"))
    holder.execute("BEGIN EXCLUSIVE")
    told: list[str] = []
    assert find_reusable({"0001": "a"}, settings(uri), tmp_path, told.append) == {}
    holder.close()
    assert told == [f"note: tracking store {uri}: database is locked; nothing is reused"]


def test_a_store_that_never_tells_is_not_waited_for(
    store: tuple[str, dict[str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sweeper.tracking.reuse.LIMIT_S", 0.2)
    monkeypatch.setattr(reports.mlflow_runs, "find_finished", lambda uri, identities: time.sleep(5))
    told: list[str] = []
    assert find_reusable({"0001": "a"}, settings(store[0]), tmp_path, told.append) == {}
    assert told == [f"note: tracking store {store[0]}: no answer within 0 s; nothing is reused"]


def test_whatever_a_store_raises_keeps_no_sweep_from_training(
    store: tuple[str, dict[str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(uri: str, identities: object) -> None:
        raise KeyError("detsweep.job")

    monkeypatch.setattr(reports.mlflow_runs, "find_finished", fail)
    told: list[str] = []
    assert find_reusable({"0001": "a"}, settings(store[0]), tmp_path, told.append) == {}
    assert "'detsweep.job'; nothing is reused" in told[0]


def write_finished(output_dir: Path, sweep_id: str, identity: str, state: str = "COMPLETED") -> SweepFolder:
    sweep = SweepFolder(output_dir / sweep_id)
    (sweep.jobs / "0001").mkdir(parents=True)
    told = {"job": "0001", "identity": identity, "title": "a title"}
    append_line(sweep.journal, {"at": 1.0, "event": "planned", **told, "state": "PLANNED"})
    append_line(sweep.journal, {"at": 2.0, "event": "ended", "job": "0001", "state": state})
    attempt = sweep.job("0001").take_attempt()
    AttemptResult(1, AttemptOutcome.COMPLETED, metrics={"test/bbox_mAP_50": 0.5}).write(attempt)
    return sweep


def test_without_a_store_the_newest_finished_job_of_the_output_folder_answers(tmp_path: Path) -> None:
    write_finished(tmp_path, "20261101-000000_old_aaaa", "a")
    new = write_finished(tmp_path, "20261102-000000_new_aaaa", "a")
    write_finished(tmp_path, "20261103-000000_failed_aaaa", "a", "FAILED")
    lost = write_finished(tmp_path, "20261104-000000_lost_aaaa", "a")
    lost.job("0001").all_attempts()[0].result.unlink()
    write_finished(tmp_path, "20261105-000000_damaged_aaaa", "a").journal.write_text("\x00\n{}\n")
    found = find_reusable({"0001": "a", "0002": "b"}, settings(None), tmp_path, pytest.fail)
    assert found == {"0001": ReusedRun("", str(new.job("0001").path), new.sweep_id, "0001", "a title")}


def test_nothing_is_looked_for_in_an_output_folder_that_is_not_there(tmp_path: Path) -> None:
    assert find_reusable({"0001": "a"}, settings(None), tmp_path / "none", pytest.fail) == {}
    assert find_reusable({}, settings(None), tmp_path, pytest.fail) == {}


def test_tags_name_all_reused_runs_and_none_is_too_long_for_the_store() -> None:
    reused = {f"{number:04d}": ReusedRun(f"{number:032x}", "", "", "", "") for number in range(1, 401)}
    tags = reused_tags({**{job_id: run.run_id for job_id, run in reused.items()}, "0500": ""})
    assert list(tags) == ["detsweep.reused", "detsweep.reused.2", "detsweep.reused.3"]
    assert max(map(len, tags.values())) < 8000
    told = {job_id: run_id for value in tags.values() for job_id, run_id in json.loads(value).items()}
    assert told == {job_id: run.run_id for job_id, run in reused.items()}
    assert reused_tags({}) == {}
