"""A sweep's folder is portable: packed, moved to another path and store, it tells what it told before."""

import json
import shutil
import tarfile
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import yaml

from reports.csv_file import csv_runs
from reports.read import Experiment, read_runs, read_stored_runs
from runners.contract.coco import split_files
from runners.contract.folder import SweepFolder
from runners.contract.states import JobState
from sweeper.cli import main
from sweeper.runs.addresses import RunPlace, find_run
from sweeper.runs.importing_sweeps import StoreWish, take_in
from sweeper.runs.subject import subject_of
from tests.faults.driver import Driver


@dataclass(frozen=True)
class HandedOver:
    """Two sweeps as they were, and packed; of the second one, the first one's runs answer two of three jobs."""

    first: SweepFolder
    second: SweepFolder
    store: str


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, empty_store: bytes) -> HandedOver:
    driver = Driver(tmp_path_factory.mktemp("trained"))
    put(driver.folder / "outputs" / "mlflow.db", empty_store)
    try:
        assert driver.train("tracking=sqlite").wait() == 0
        first = driver.sweep
        assert driver.train("seed=0,1,2", "tracking=sqlite").wait() == 0, driver.commands[-1].said
        second = driver.sweeps[-1]
        return HandedOver(first, second, f"sqlite:///{first.path.parent / 'mlflow.db'}")
    finally:
        driver.close()


def put(path: Path, content: bytes) -> None:
    """Write a file, and the folder that it is in."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def numbers(source: SweepFolder | Experiment, *sweeps: SweepFolder) -> list[str]:
    """Return all recorded numbers as a report writes them, of these sweeps."""
    runs = [run for run in read_runs(source).runs if run.sweep_id in [sweep.sweep_id for sweep in sweeps]]
    # Where the answering run lies is told by its place in one, and by its id in the other.
    return sorted(csv_runs([replace(run, remarks=())]) for run in runs)


@pytest.fixture(scope="module")
def handed_over(
    trained: HandedOver, tmp_path_factory: pytest.TempPathFactory, empty_store: bytes
) -> tuple[SweepFolder, str]:
    """The second sweep in another project, whose own folder and store are all there is."""
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    put(elsewhere / "runs" / "mlflow.db", empty_store)
    packed = elsewhere / "handed over.tar.gz"
    with tarfile.open(packed, "w:gz") as archive:
        archive.add(trained.second.path, arcname=trained.second.sweep_id)
    hidden = trained.first.path.parent.rename(trained.first.path.parent.with_name("gone"))
    try:
        assert main(["import", str(packed), f"output_dir={elsewhere / 'runs'}"]) == 0
        sweep = SweepFolder(elsewhere / "runs" / trained.second.sweep_id)
        # The data that detsweep made beside the old sweep is made again beside the new one.
        dataset = subject_of(find_run("3", RunPlace(sweep.path.parent))).config["dataset"]
        files = split_files(dataset, "val")
        assert files is not None
        assert files.ann_file.is_file()
        assert files.ann_file.is_relative_to(sweep.path.parent)
        return sweep, (elsewhere / "runs" / trained.second.sweep_id / "report" / "runs.csv").read_text()
    finally:
        hidden.rename(trained.first.path.parent)


def test_reports_give_the_same_digits_from_folders_and_from_the_store(
    trained: HandedOver, handed_over: tuple[SweepFolder, str]
) -> None:
    sweep, report = handed_over
    assert report == (trained.second.report / "runs.csv").read_text()
    assert [run.state for run in read_runs(sweep).runs].count(JobState.REUSED) == 2
    before = numbers(trained.second, trained.second)
    assert len(before) == 3
    experiment = Experiment("detsweep", f"sqlite:///{sweep.path.parent / 'mlflow.db'}")
    assert numbers(experiment, sweep) == before
    own = [run for run in read_runs(Experiment("detsweep", trained.store)).runs if run.sweep_id == sweep.sweep_id]
    (own_here,) = [run for run in read_runs(experiment).runs if run.state is JobState.COMPLETED]
    assert replace(own_here, folder=None) == replace(own[0], folder=None)


def test_the_store_has_the_recorded_times(trained: HandedOver, handed_over: tuple[SweepFolder, str]) -> None:
    sweep, _ = handed_over
    here = read_runs(Experiment("detsweep", f"sqlite:///{sweep.path.parent / 'mlflow.db'}"))
    (told,) = (record for record in read_runs(trained.second).sweeps)
    assert here.sweeps[0].started_at == pytest.approx(told.started_at, abs=0.01)
    assert here.sweeps[0].ended_at == pytest.approx(told.ended_at, abs=0.01)


def test_the_store_has_files_data_set_and_whole_curves(
    trained: HandedOver, handed_over: tuple[SweepFolder, str]
) -> None:
    from mlflow import MlflowClient

    sweep, _ = handed_over
    found = {}
    for uri in (trained.store, f"sqlite:///{sweep.path.parent / 'mlflow.db'}"):
        client = MlflowClient(uri)
        experiment = client.get_experiment_by_name("detsweep").experiment_id
        (run,) = client.search_runs([experiment], f"tags.`detsweep.job` = '{sweep.sweep_id}/0003'")
        history = client.get_metric_history(run.info.run_id, "iter/loss")
        files = sorted(file.path for file in client.list_artifacts(run.info.run_id))
        (data,) = run.inputs.dataset_inputs
        points = [(point.step, point.timestamp, point.value) for point in history]
        found[uri] = (run.data.params, run.info.status, points, files, data.dataset.digest, run.info.end_time)
        tags = {key: value for key, value in run.data.tags.items() if not key.startswith("mlflow.")}
        assert tags.pop("detsweep.folder").endswith(f"{sweep.sweep_id}/jobs/0003")
        tags.pop("detsweep.version.detsweep", None)
        found[uri] += (tags,)
    before, after = found.values()
    assert after == before
    assert len(after[2]) == 12
    assert {"config.yaml", "log.txt", "predictions", "result.json"} <= set(after[3])


def test_importing_again_changes_nothing_and_the_promises_hold(
    trained: HandedOver, handed_over: tuple[SweepFolder, str], capsys: pytest.CaptureFixture[str]
) -> None:
    sweep, _ = handed_over
    experiment = Experiment("detsweep", f"sqlite:///{sweep.path.parent / 'mlflow.db'}")
    before = read_stored_runs(experiment, sweep.sweep_id), read_runs(experiment)
    output_dir = f"output_dir={sweep.path.parent}"
    assert main(["import", str(trained.second.path), output_dir]) == 0
    assert "is here already" in capsys.readouterr().out
    assert (read_stored_runs(experiment, sweep.sweep_id), read_runs(experiment)) == before
    assert main(["verify", output_dir]) == 0, capsys.readouterr().out
    assert main(["status", "--json", output_dir]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["counts"] == {"COMPLETED": 1, "REUSED": 2}
    assert main(["ls", output_dir]) == 0
    assert [entry.name for entry in sweep.path.parent.iterdir() if entry.name.startswith(".")] == []


def test_the_answering_sweep_comes_too_and_no_run_is_counted_twice(
    trained: HandedOver, handed_over: tuple[SweepFolder, str]
) -> None:
    sweep, _ = handed_over
    experiment = Experiment("detsweep", f"sqlite:///{sweep.path.parent / 'mlflow.db'}")
    assert main(["import", str(trained.first.path), f"output_dir={sweep.path.parent}"]) == 0
    assert sorted(run.job_id for run in read_runs(experiment).runs) == ["0001", "0002", "0003"]
    assert {run.state for run in read_runs(experiment).runs} == {JobState.COMPLETED}


def test_a_sweep_that_moved_to_another_store_lacks_nothing_in_either(
    trained: HandedOver, tmp_path: Path, empty_store: bytes
) -> None:
    put(tmp_path / "other.db", empty_store)
    sweep = SweepFolder(shutil.copytree(trained.first.path, tmp_path / trained.first.sweep_id))
    (tmp_path / "mlflow.db").write_bytes(Path(trained.store.removeprefix("sqlite:///")).read_bytes())
    other = f"sqlite:///{tmp_path / 'other.db'}"
    assert main(["sync", str(sweep.path), f"tracking.uri={other}"]) == 0
    assert main(["sync", str(sweep.path)]) == 0
    stored = [read_stored_runs(Experiment("detsweep", uri), sweep.sweep_id) for uri in (trained.store, other)]
    points = [{run.job: run.points for run in runs} for runs in stored]
    assert points[0] == points[1]
    assert sum(points[0]["0001"].values()) > 20
    again = read_stored_runs(Experiment("detsweep", f"sqlite:///{tmp_path / 'mlflow.db'}"), sweep.sweep_id)
    assert {run.job: run.points for run in again} == points[0]


def test_another_state_of_the_same_sweep_is_refused(
    trained: HandedOver, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    older = SweepFolder(shutil.copytree(trained.first.path, tmp_path / "runs" / trained.first.sweep_id))
    lines = older.journal.read_text().splitlines(keepends=True)
    older.journal.write_text("".join(lines[:4]))
    assert main(["import", str(trained.first.path), f"output_dir={tmp_path / 'runs'}"]) == 2
    assert "is another state of it" in capsys.readouterr().err
    assert older.journal.read_text() == "".join(lines[:4])


@pytest.mark.parametrize("kind", ["missing", "no sweep", "broken", "two sweeps", "no archive", "word"])
def test_what_is_no_sweep_is_told_in_one_line_and_leaves_nothing(
    trained: HandedOver, kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "source"
    source.mkdir()
    words = [str(source)]
    if kind == "missing":
        words = [str(tmp_path / "nothing")]
    elif kind == "broken":
        (source / "sweep.yaml").write_text("jobs: [")
    elif kind == "two sweeps":
        with tarfile.open(tmp_path / "two.tar", "w") as archive:
            for sweep in (trained.first, trained.second):
                archive.add(sweep.sweep, arcname=f"{sweep.sweep_id}/sweep.yaml")
        words = [str(tmp_path / "two.tar")]
    elif kind == "no archive":
        (tmp_path / "none.tar").write_text("nothing")
        words = [str(tmp_path / "none.tar")]
    elif kind == "word":
        words = [str(trained.first.path), "trackin=off"]
    out = tmp_path / "runs"
    assert main(["import", *words, f"output_dir={out}"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert not out.exists() or list(out.iterdir()) == []


@pytest.mark.parametrize("packed", ["contents", "parents", "in place"])
def test_a_sweep_gets_its_own_name_however_it_was_packed(
    trained: HandedOver, tmp_path: Path, packed: str, capsys: pytest.CaptureFixture[str]
) -> None:
    runs, source = tmp_path / "runs", tmp_path / "packed.tar"
    name = {"contents": ".", "parents": f"a/b/{trained.first.sweep_id}"}.get(packed)
    if name:
        with tarfile.open(source, "w") as archive:
            archive.add(trained.first.path, arcname=name)
    else:
        source = Path(shutil.copytree(trained.first.path, runs / "what they called it"))
    assert main(["import", str(source), "tracking=off", f"output_dir={runs}"]) == 0
    (there,) = runs.iterdir()
    assert there.name == (trained.first.sweep_id if name else "what they called it")
    assert len(read_runs(SweepFolder(there)).runs) == 2
    assert "Comparison" in capsys.readouterr().out


def test_the_sweep_belongs_to_the_store_that_is_said(trained: HandedOver, tmp_path: Path) -> None:
    sweep, is_new = take_in(trained.first, tmp_path, StoreWish("http://elsewhere:5000", "team", is_said=True))
    assert is_new
    tracking = yaml.safe_load(sweep.sweep.read_text())["settings"]["tracking"]
    assert (tracking["name"], tracking["uri"], tracking["experiment"]) == ("server", "http://elsewhere:5000", "team")
    assert not list(sweep.path.glob("*.lock"))
    assert (sweep.path.stat().st_mode & 0o777, sweep.journal.stat().st_mode & 0o777) == (0o700, 0o600)
    assert yaml.safe_load(trained.first.sweep.read_text())["settings"]["tracking"]["uri"] is None


def test_a_note_is_kept_with_the_run_in_folder_store_and_hand_over(
    trained: HandedOver, tmp_path: Path, capsys: pytest.CaptureFixture[str], empty_store: bytes
) -> None:
    put(tmp_path / "b" / "mlflow.db", empty_store)
    there = SweepFolder(shutil.copytree(trained.first.path, tmp_path / "a" / trained.first.sweep_id))
    store = tmp_path / "a" / "mlflow.db"
    store.write_bytes(Path(trained.store.removeprefix("sqlite:///")).read_bytes())
    (title,) = (run.title for run in read_runs(there).runs if run.job_id == "0002")
    output_dir = f"output_dir={there.path.parent}"
    assert main(["note", "2", "leaderboard=0.41", "comment=one fold", output_dir]) == 0
    assert main(["note", title, "leaderboard=0.43", output_dir]) == 0
    assert "leaderboard = 0.43 (before: 0.41)" in capsys.readouterr().out
    for source in (there, Experiment("detsweep", f"sqlite:///{store}")):
        (run,) = [run for run in read_runs(source).runs if run.job_id == "0002" and run.sweep_id == there.sweep_id]
        assert {note.key: note.value for note in run.noted} == {"leaderboard": 0.43, "comment": "one fold"}
        assert "note/leaderboard" not in run.metrics
    assert main(["import", str(there.path), f"output_dir={tmp_path / 'b'}"]) == 0
    assert "As noted by people" in capsys.readouterr().out
    here = Experiment("detsweep", f"sqlite:///{tmp_path / 'b' / 'mlflow.db'}")
    assert numbers(here, there) == numbers(Experiment("detsweep", f"sqlite:///{store}"), there) == numbers(there, there)
    store.rename(store.with_name("away.db"))
    store.mkdir()
    assert main(["note", "2", "leaderboard=0.5", output_dir]) == 0
    assert "detsweep sync ships it" in capsys.readouterr().out
    store.rmdir()
    store.with_name("away.db").rename(store)
    assert main(["sync", output_dir]) == 0
    (run,) = [run for run in read_runs(Experiment("detsweep", f"sqlite:///{store}")).runs if run.job_id == "0002"]
    assert run.noted[0].value == 0.5
    assert main(["verify", output_dir]) == 0


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ([], "no run in detsweep note"),
        (["2"], "nothing to note in"),
        (["2", "leaderboard"], "no note in leaderboard"),
        (["2", "a/b=1"], "key in a/b=1"),
        (["2", "a=nan"], "value in a=nan"),
        (["2", "a="], "value in a="),
        (["9", "a=1"], "run in "),
    ],
)
def test_what_cannot_be_noted_is_told_and_nothing_is_noted(
    trained: HandedOver, capsys: pytest.CaptureFixture[str], words: list[str], problem: str
) -> None:
    assert main(["note", *words, f"output_dir={trained.first.path.parent}"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {problem}")
    assert not list(trained.first.path.parent.rglob("notes.jsonl"))
