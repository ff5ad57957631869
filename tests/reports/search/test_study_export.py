"""The study of a search in Optuna's storages: a SQLite file, a real PostgreSQL server, and what its dashboard sees."""

import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import optuna
import pytest

from reports.search.study_export import dashboard_url, export_file, export_study, find_searched, storage_url
from runners.contract.errors import UserError
from runners.contract.folder import SweepFolder
from sweeper.cli import main
from tests.reports.search.search_writing import usual_jobs, write_search
from tests.reports.sweep_writing import WrittenJob, write_sweep

N_TRIALS = 8
PASSWORD = "s3cret/with@signs"
QUOTED = "s3cret%2Fwith%40signs"


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> SweepFolder:
    """A search with pruned trials and a failed one."""
    return write_search(tmp_path_factory.mktemp("search"), usual_jobs(N_TRIALS))


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """Address of a database of a PostgreSQL server of our own, which asks for a password."""
    programs = postgresql_programs()
    if programs is None:
        pytest.skip("no PostgreSQL server: pip install pgserver, or install postgresql")
    # A server does not run as root; neither does it read a folder below one that is another's alone, as pytest's are.
    who = next((name for name in ("postgres", "nobody") if os.getuid() == 0 and has_user(name)), None)
    with tempfile.TemporaryDirectory(prefix="detsweep-postgresql-") as name:
        folder = Path(name).resolve()
        word = folder / "word"
        word.write_text(PASSWORD, encoding="utf-8")
        if who is not None:
            for path in (folder, word):
                shutil.chown(path, who)
        data, port = folder / "data", free_port()
        made = ["-D", str(data), "-U", "ann", "--auth=scram-sha-256", f"--pwfile={word}", "--no-sync"]
        subprocess.run([programs / "initdb", *made], check=True, capture_output=True, user=who)
        told = ["-p", str(port), "-h", "127.0.0.1", "-k", str(folder), "-F"]
        log = (folder / "log").open("wb")
        process = subprocess.Popen([programs / "postgres", "-D", str(data), *told], user=who, stdout=log, stderr=log)
        try:
            url = f"postgresql://ann:{QUOTED}@127.0.0.1:{port}/postgres"
            wait_for_database(url, process)
            yield url
        finally:
            process.send_signal(signal.SIGINT)  # which does not wait for those who are connected
            process.wait(60)
            log.close()


def postgresql_programs() -> Path | None:
    """Return the folder of a server's programs: of the package that brings one, or of this machine."""
    found = find_spec("pgserver")
    if found is not None and found.origin is not None:
        folder = Path(found.origin).parent / "pginstall" / "bin"
        # A server that runs as another user has to reach it.
        is_open = all(above.stat().st_mode & 0o001 for above in (folder, *folder.parents))
        if (folder / "postgres").is_file() and (is_open or os.getuid() != 0):
            return folder
    initdb = shutil.which("initdb")
    known = [Path(initdb).resolve().parent] if initdb else []
    known += sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    return next((folder for folder in known if (folder / "postgres").is_file()), None)


def free_port() -> int:
    """Return a port of this machine on which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def has_user(name: str) -> bool:
    """Whether this machine has a user."""
    return any(entry.pw_name == name for entry in pwd.getpwall())


def wait_for_database(url: str, process: "subprocess.Popen[bytes]") -> None:
    """Wait until a server answers."""
    import psycopg

    for _ in range(600):
        assert process.poll() is None, "the server has ended"
        try:
            psycopg.connect(url).close()
        except psycopg.OperationalError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError("the server does not answer")


def test_optuna_loads_the_study_from_a_file(sweep: SweepFolder) -> None:
    searched = find_searched(sweep)
    done = export_file(searched, sweep.report / "study.db")
    assert done.n_trials == N_TRIALS
    study = optuna.load_study(study_name=sweep.sweep_id, storage=done.url)
    assert [trial.state.name for trial in study.trials].count("FAIL") == 1
    best = max((record for record in searched.own if record.values), key=lambda record: list(record.values.values()))
    assert study.best_value == best.values["val/bbox_mAP_50"]
    assert study.best_trial.user_attrs["job"] == best.job_id
    assert study.metric_names == ["val/bbox_mAP_50"]
    for trial, record in zip(study.trials, searched.own, strict=True):
        assert trial.intermediate_values == dict(record.curve)
        assert trial.params == dict(record.trial.params)
    assert [path.name for path in sweep.report.iterdir()] == ["study.db"]
    assert export_file(searched, sweep.report / "study.db").n_trials == N_TRIALS


def test_a_study_of_the_same_name_is_left_alone_unless_it_is_to_be_replaced(sweep: SweepFolder, tmp_path: Path) -> None:
    searched, url = find_searched(sweep), f"sqlite:///{tmp_path / 'studies.db'}"
    optuna.create_study(storage=url, study_name="another")
    export_study(searched, url)
    with pytest.raises(UserError, match=r"it has a study .*; say replace=true"):
        export_study(searched, url)
    export_study(searched, url, replace=True)
    assert sorted(optuna.get_all_study_names(url)) == sorted([sweep.sweep_id, "another"])
    assert len(optuna.load_study(study_name=sweep.sweep_id, storage=url).trials) == N_TRIALS


def test_a_server_holds_the_study_and_its_password_is_not_told(
    sweep: SweepFolder, server: str, capfd: pytest.CaptureFixture[str]
) -> None:
    words = ["study", str(sweep.path), f"storage={server}"]
    assert main(words) == 0
    told = capfd.readouterr()
    storage = storage_url(server)
    study = optuna.load_study(study_name=sweep.sweep_id, storage=storage)
    assert len(study.trials) == N_TRIALS
    assert "optuna-dashboard postgresql+psycopg://ann:PASSWORD@127.0.0.1" in told.out
    assert main(words) == 2
    told_again = capfd.readouterr()
    assert "it has a study" in told_again.err
    assert main([*words, "replace=true"]) == 0
    told_last = capfd.readouterr()
    wrong = server.replace(QUOTED, "wr0ng")
    assert main(["study", str(sweep.path), f"storage={wrong}"]) == 2
    told_wrong = capfd.readouterr()
    for one in (told, told_again, told_last, told_wrong):
        assert not any(word in one.out + one.err for word in (PASSWORD, QUOTED, "wr0ng"))
    assert told_wrong.err.startswith("error: storage in postgresql+psycopg://127.0.0.1:")


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("mysql://ann:s3cret@host/db", "storage in detsweep study: mysql://host/db; choices: sqlite:///FILE or"),
        ("postgresql://ann:s3cret@host", "choices: sqlite:///FILE or"),
        ("studies.db", "storage in detsweep study: studies.db; choices"),
        ("sqlite:///", "choices: sqlite:///FILE or"),
        ("sqlite:////no/such/folder/studies.db", "no folder /no/such/folder; make it, or name another"),
    ],
)
def test_an_address_that_is_none_is_refused(url: str, told: str) -> None:
    with pytest.raises(UserError) as refused:
        storage_url(url)
    assert told in str(refused.value)
    assert "s3cret" not in str(refused.value)


def test_addresses_are_as_sqlalchemy_takes_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert storage_url("sqlite:///studies.db") == f"sqlite:///{tmp_path / 'studies.db'}"
    assert storage_url("postgres://ann@host/db") == "postgresql+psycopg://ann@host/db"
    assert storage_url("postgresql+psycopg2://ann@host/db") == "postgresql+psycopg2://ann@host/db"
    assert dashboard_url("postgresql+psycopg://ann:s3cret@host/db") == "postgresql+psycopg://ann:PASSWORD@host/db"


def test_a_file_that_is_no_database_is_refused_in_one_line(sweep: SweepFolder, tmp_path: Path) -> None:
    (tmp_path / "notes.db").write_text("not a database, but long enough to be read as the head of one " * 20)
    with pytest.raises(UserError, match="is the address right"):
        export_study(find_searched(sweep), f"sqlite:///{tmp_path / 'notes.db'}")


def test_a_sweep_that_is_no_search_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no search in sweep"):
        find_searched(write_sweep(tmp_path, [WrittenJob()]))


def test_the_dashboard_shows_the_study(sweep: SweepFolder, tmp_path: Path, unused_port: int) -> None:
    if find_spec("optuna_dashboard") is None:
        pytest.skip("optuna-dashboard is not installed")
    url = f"sqlite:///{tmp_path / 'studies.db'}"
    export_study(find_searched(sweep), url)
    program = Path(sys.executable).with_name("optuna-dashboard")
    process = subprocess.Popen(
        [program, url, "--host", "127.0.0.1", "--port", str(unused_port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        answer = ask(f"http://127.0.0.1:{unused_port}/api/studies", process)
    finally:
        process.terminate()
        process.wait(30)
    assert [study["study_name"] for study in answer["study_summaries"]] == [sweep.sweep_id]


def ask(url: str, process: "subprocess.Popen[bytes]") -> dict[str, list[dict[str, str]]]:
    """Return what a server that is starting answers."""
    for _ in range(600):
        assert process.poll() is None, "the server has ended"
        try:
            with urllib.request.urlopen(url, timeout=10) as response:
                found: dict[str, list[dict[str, str]]] = json.load(response)
                return found
        except urllib.error.URLError:
            time.sleep(0.1)
    raise AssertionError("the server does not answer")
