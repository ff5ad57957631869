"""``detsweep doctor``: each thing that can be wrong on a machine is seen, told in a line, and counted as what it is."""

import dataclasses
import fcntl
import json
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from sweeper.cli import main
from sweeper.doctor import storage
from sweeper.doctor.finding import Finding, Grade
from sweeper.doctor.gpus import examine_gpus
from sweeper.doctor.project_lines import examine_project
from sweeper.doctor.software import examine_software
from sweeper.doctor.stack import StackAnswer, examine_stack
from sweeper.doctor.storage import examine_disk, examine_locks, examine_shared_memory, examine_weights
from sweeper.doctor.store import examine_store, installed_schema
from sweeper.hardware.devices import query_gpus
from sweeper.stored.versions import stack_versions
from tests.faults import fake_nvml

WORKS = {"capability": "sm_90", "architectures": ["sm_80", "sm_90"], "bf16": True}


@pytest.fixture(scope="module")
def examined(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the command says of a new folder, PyTorch and all; run as people run it, once."""
    folder = tmp_path_factory.mktemp("project")
    code = "import sys; from sweeper.cli import main; sys.exit(main(sys.argv[1:]))"
    # A proxy that nobody serves: what would be asked of the network is asked of this machine.
    away = {**os.environ, "https_proxy": "http://127.0.0.1:9", "TORCH_HOME": str(folder / "torch")}
    root = Path(__file__).parents[3]
    shown = subprocess.run(
        [sys.executable, "-c", code, "doctor", "--json", f"output_dir={folder}/out"],
        cwd=folder,
        env={**away, "PYTHONPATH": f"{root}:{root / 'sweeper' / 'plugin'}", "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
    )
    assert shown.returncode == 0, shown.stderr
    return {finding["subject"]: finding for finding in json.loads(shown.stdout)["findings"]}


def test_a_sound_machine_without_a_gpu_is_told_in_a_line_each(examined: dict[str, Any]) -> None:
    subjects = "Python, packages, project, disk, locks, shared memory, MLflow store, weights cache, PyTorch, mmcv, GPU"
    assert list(examined) == subjects.split(", ")
    assert {finding["grade"] for finding in examined.values()} <= {"ok", "warning"}
    assert "training on the CPU" in examined["GPU"]["text"]
    assert examined["weights cache"]["grade"] == "warning"
    assert "by hand" in examined["weights cache"]["advice"]


def test_pytorch_answers_from_a_process_of_its_own(examined: dict[str, Any]) -> None:
    assert examined["PyTorch"]["grade"] == "ok"
    assert metadata.version("torch") in examined["PyTorch"]["text"]
    assert "roi_align" in examined["mmcv"]["text"] or "compiled" in examined["mmcv"]["text"]


def test_a_wrong_word_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "output=x"]) == 2
    assert "did you mean 'output_dir'" in capsys.readouterr().err


@pytest.fixture
def as_if_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Packages that are not installed want nothing of others."""
    installed = stack_versions()
    requires = metadata.requires
    monkeypatch.setattr(metadata, "requires", lambda name: requires(name) if name in installed else [])


def test_a_stack_that_does_not_import_is_a_problem() -> None:
    (finding,) = examine_stack(StackAnswer("ImportError: libcudnn.so.9", {}))
    assert finding.grade is Grade.PROBLEM
    assert "libcudnn" in finding.text


@pytest.mark.usefixtures("as_if_installed")
@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"torch": "2.4.0"}, "torch>=2.10, found 2.4.0"),
        ({"mmcv": "2.2.0"}, "both installed"),
        ({"mmcv-lite": "2.2.0"}, "found 2.2.0"),
        ({"numpy": None}, "numpy>=2, which is not installed"),
    ],
)
def test_packages_that_do_not_fit_are_named(changed: dict[str, str | None], told: str) -> None:
    versions = {name: version for name, version in {**stack_versions(), **changed}.items() if version is not None}
    finding = examine_software(versions)[1]
    assert finding.grade is Grade.PROBLEM
    assert told in finding.text


@pytest.mark.usefixtures("as_if_installed")
def test_a_compiled_mmcv_stands_for_the_pure_one() -> None:
    versions = stack_versions()
    versions.pop("mmcv-lite", None)
    assert examine_software({**versions, "mmcv": "2.1.0"})[1].grade is Grade.OK


def test_a_project_says_what_of_it_stands_over_what_is_shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert "none here" in examine_project()[0].text
    (tmp_path / "detsweep.yaml").touch()
    for option in ("backbone/tiny", "neck/fpn"):
        path = tmp_path / "conf" / f"{option}.yaml"
        path.parent.mkdir(parents=True)
        path.touch()
    (tmp_path / "conf" / "local.yaml").write_text("n_workers: 2\n", encoding="utf-8")
    project, machine = examine_project()
    assert "2 options of its own" in project.text
    assert project.text.endswith("in place of shipped ones: neck=fpn")
    assert "n_workers=2" in machine.text
    (tmp_path / "conf" / "local.yaml").write_text("n_epochs: 2\n", encoding="utf-8")
    assert examine_project()[1].grade is Grade.PROBLEM


def gpu_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, found: dict[str, Any], users: list[int] | None = None
) -> list[Finding]:
    """Return what is said of one pretended GPU on which PyTorch found this."""
    node = tmp_path / "nvidia0"
    node.touch()
    listing = tmp_path / "gpus.json"
    listing.write_text(json.dumps([{"node": str(node), "users": users or []}]), encoding="utf-8")
    monkeypatch.setenv(fake_nvml.VARIABLE, str(listing))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setitem(sys.modules, "pynvml", fake_nvml)
    monkeypatch.setattr(fake_nvml, "nvmlDeviceGetMinorNumber", lambda handle: "")
    (device,) = query_gpus()
    device = dataclasses.replace(device, node=str(node))
    return examine_gpus([device], StackAnswer("", {"cuda": "13.0", "gpus": {device.uuid: found}}))


def test_a_gpu_that_works_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (line,) = gpu_lines(tmp_path, monkeypatch, WORKS)
    assert line.grade is Grade.OK
    for word in ("Pretended GPU", "driver 999.1", "79 of 80 GB free", "sm_90", "bf16"):
        assert word in line.text


def test_a_gpu_for_which_pytorch_has_no_kernels_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    error = "CUDA error: no kernel image is available for execution on the device"
    found = {"capability": "sm_70", "architectures": ["sm_80", "sm_90"], "error": error}
    (line,) = gpu_lines(tmp_path, monkeypatch, found)
    assert line.grade is Grade.PROBLEM
    assert "is sm_70, this PyTorch has sm_80, sm_90" in line.text
    assert "install a PyTorch built for it" in line.advice


def test_an_old_driver_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (line,) = gpu_lines(tmp_path, monkeypatch, {"error": "PyTorch finds no CUDA device"})
    assert line.grade is Grade.PROBLEM
    assert "driver" in line.advice


def test_a_gpu_that_somebody_uses_is_worth_knowing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (line,) = gpu_lines(tmp_path, monkeypatch, WORKS, users=[os.getpid()])
    assert line.grade is Grade.WARNING
    assert f"used by pid {os.getpid()}" in line.text


@pytest.fixture
def orphan(tmp_path: Path) -> Iterator[int]:
    """A process that keeps a lock on the GPU's file that another took, which is gone; its pid is yielded."""
    node = tmp_path / "nvidia0"
    node.touch()
    code = (
        "import fcntl, os, sys, time\n"
        "held = os.open(sys.argv[1], os.O_RDONLY)\n"
        "fcntl.flock(held, fcntl.LOCK_EX)\n"
        "keeper = os.fork()\n"
        "if keeper: print(os.getpid(), keeper, flush=True)\n"
        "else: os.closerange(0, 3); time.sleep(60)\n"
    )
    shown = subprocess.run([sys.executable, "-c", code, str(node)], capture_output=True, text=True, check=True)
    taker, keeper = map(int, shown.stdout.split())
    yield taker
    os.kill(keeper, 9)


def test_a_lease_that_outlived_its_taker_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, orphan: int) -> None:
    (line,) = gpu_lines(tmp_path, monkeypatch, WORKS)
    assert line.grade is Grade.WARNING
    assert f"pid {orphan}, which is gone" in line.text
    assert "fuser" in line.advice


def test_a_lease_that_is_held_names_its_holder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "nvidia0").touch()
    with (tmp_path / "nvidia0").open() as node:
        fcntl.flock(node, fcntl.LOCK_EX)
        (line,) = gpu_lines(tmp_path, monkeypatch, WORKS)
    assert f"leased by pid {os.getpid()}" in line.text


def test_disk_and_locks_of_a_folder_that_is_not_there_yet(tmp_path: Path) -> None:
    assert examine_disk(tmp_path / "a" / "b").grade is not Grade.PROBLEM
    assert examine_locks(tmp_path / "a" / "b").grade is Grade.OK
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_place_of_the_output_folder_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "outputs").touch()
    assert examine_disk(tmp_path / "outputs").grade is Grade.PROBLEM


def test_a_full_disk_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=5_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    assert examine_disk(tmp_path).grade is Grade.PROBLEM


def test_shared_memory_of_a_container_is_too_small_for_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "SHARED_MEMORY", tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(64_000_000, 0, 64_000_000))  # type: ignore[attr-defined]
    assert examine_shared_memory(4, 1).grade is Grade.WARNING
    assert examine_shared_memory(None, 1).grade is Grade.WARNING
    assert examine_shared_memory(None, 0).grade is Grade.OK
    assert examine_shared_memory(0, 8).grade is Grade.OK


def test_weights_that_are_there_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    (tmp_path / "hub" / "checkpoints" / "resnet50-0676ba61.pth").write_bytes(b"PK\x03\x04" + b"0" * 4996)
    finding = examine_weights(lambda address: True)
    assert finding.grade is Grade.OK
    assert "1 file (5.0 kB)" in finding.text
    assert examine_weights(lambda address: False).grade is Grade.WARNING


def write_store(path: Path, revision: str, n_runs: int) -> str:
    """Write what is looked at of MLflow's database, and return its address."""
    with sqlite3.connect(path) as store:
        store.execute("CREATE TABLE alembic_version (version_num TEXT)")
        store.execute("INSERT INTO alembic_version VALUES (?)", (revision,))
        store.execute("CREATE TABLE runs (run_uuid TEXT, lifecycle_stage TEXT)")
        store.executemany("INSERT INTO runs VALUES (?, ?)", [(str(n), "active") for n in range(n_runs)])
        store.execute("INSERT INTO runs VALUES ('x', 'deleted')")
    store.close()
    return f"sqlite:///{path}"


def test_the_newest_schema_is_the_installed_mlflows_own() -> None:
    from mlflow.store.db.utils import _get_latest_schema_revision

    newest, known = installed_schema()
    assert newest == _get_latest_schema_revision()
    assert len(known) > 20


def test_a_store_says_how_many_runs_it_holds(tmp_path: Path) -> None:
    finding = examine_store(write_store(tmp_path / "mlflow.db", installed_schema()[0], 3), "detsweep")
    assert finding.grade is Grade.OK
    assert "3 runs" in finding.text


@pytest.mark.parametrize(
    ("revision", "advice"), [("451aebb31d03", "mlflow db upgrade"), ("ffffffffffff", "install the MLflow")]
)
def test_a_store_of_another_schema_says_what_to_do(tmp_path: Path, revision: str, advice: str) -> None:
    finding = examine_store(write_store(tmp_path / "mlflow.db", revision, 0), "detsweep")
    assert finding.grade is Grade.PROBLEM
    assert advice in finding.advice


def test_a_locked_store_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sweeper.doctor.store.PROBE_S", 0.1)
    uri = write_store(tmp_path / "mlflow.db", installed_schema()[0], 3)
    with sqlite3.connect(tmp_path / "mlflow.db") as writer:
        writer.execute("BEGIN IMMEDIATE")
        assert "locked" in examine_store(uri, "detsweep").text
    writer.close()


ANSWERS: dict[str, Any] = {
    "/health": "OK",
    "/version": "3.17.2",
    "/api/2.0/mlflow/experiments/get-by-name?experiment_name=detsweep": {"experiment": {"experiment_id": "1"}},
    "/api/2.0/mlflow/runs/search": {"runs": [{}, {}]},
}


@pytest.fixture
def server() -> Iterator[tuple[str, dict[str, Any]]]:
    """The address of a server that answers as MLflow does, and its answers, to be changed: a number is an error."""
    answers = dict(ANSWERS)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer = answers.get(self.path, 404)
            if answers.get("who") not in (None, self.headers["Authorization"]):
                answer = 401
            self.send_response(answer if isinstance(answer, int) else 200)
            self.end_headers()
            if not isinstance(answer, int):
                self.wfile.write((answer if isinstance(answer, str) else json.dumps(answer)).encode())

        do_POST = do_GET  # noqa: N815

        def log_message(self, format: str, *args: Any) -> None:
            pass

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=listening.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{listening.server_port}", answers
    listening.shutdown()
    listening.server_close()


@pytest.mark.parametrize(
    ("changed", "grade", "told"),
    [
        ({}, Grade.OK, "MLflow 3.17.2; 2 runs in experiment detsweep"),
        ({path: 404 for path in ANSWERS if "get-by-name" in path}, Grade.OK, "made by the first sweep"),
        ({"/version": 401}, Grade.WARNING, "wants to know who asks"),
        ({"/version": 404}, Grade.PROBLEM, "does not answer as MLflow"),
        ({path: "<html>" for path in ANSWERS if "get-by-name" in path}, Grade.PROBLEM, "not as MLflow"),
        (
            {
                path: {"experiment": {"experiment_id": "1", "lifecycle_stage": "deleted"}}
                for path in ANSWERS
                if "get-" in path
            },
            Grade.PROBLEM,
            "is deleted",
        ),
    ],
)
def test_a_server_is_asked_what_it_holds(
    server: tuple[str, dict[str, Any]], changed: dict[str, Any], grade: Grade, told: str
) -> None:
    address, answers = server
    answers.update(changed)
    finding = examine_store(address, "detsweep")
    assert finding.grade is grade
    assert told in finding.text


def test_a_server_that_knows_its_people_is_told_who_asks(server: tuple[str, dict[str, Any]]) -> None:
    address, answers = server
    answers["who"] = "Basic dXNlcjpwYXNz"  # user:pass
    assert examine_store(address, "detsweep").grade is Grade.WARNING
    finding = examine_store(address.replace("//", "//user:pass@"), "detsweep")
    assert finding.grade is Grade.OK
    assert "pass" not in finding.text


def test_what_is_no_store_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("no database at all, whatever it is called", encoding="utf-8")
    sqlite3.connect(tmp_path / "empty.db").execute("CREATE TABLE a (b TEXT)").connection.close()
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        uris = ["sqlite:///text.db", "sqlite:///empty.db", f"http://u:secret@127.0.0.1:{closed.getsockname()[1]}"]
        uris = [uri.replace("///", f"///{tmp_path}/") for uri in uris] + [f"file://{tmp_path}"]
        findings = [examine_store(uri, "detsweep") for uri in uris]
    assert {finding.grade for finding in findings} == {Grade.PROBLEM}
    assert not any("secret" in finding.text for finding in findings)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty.db", "text.db"]
