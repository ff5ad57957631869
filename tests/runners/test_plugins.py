"""A project's own code runs in jobs as it was planned: from the sweep's copy, in each job's own process."""

import importlib.util
import os
import py_compile
from pathlib import Path
from typing import Any

import pytest
import yaml

from runners.contract.folder import AttemptFolder, JobFolder, SweepFolder
from runners.contract.plugin_sources import N_DIGITS, digest_of
from runners.contract.records import AttemptResult
from runners.contract.states import AttemptOutcome, FailureKind
from sweeper.planning.plugins import Plugins, find_plugins
from sweeper.stored.plugin_copies import write_plugins
from tests.plugin_project import OVERRIDES, write_package
from tests.runners.conftest import JobMaker
from tests.runners.warm_server import WarmServer, new_attempt

pytestmark = pytest.mark.train


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    write_package(folder)
    return folder


def plan(job: JobFolder, plugins: Plugins, **changes: Any) -> Path:
    """Give a job plug-ins, as a plan does; return the copy's folder."""
    sweep = SweepFolder(job.path.parent)
    write_plugins(sweep, [plugins])
    config = yaml.safe_load(job.config.read_text(encoding="utf-8"))
    job.config.write_text(yaml.safe_dump({**plugins.placed_in(config), **changes}, sort_keys=False), encoding="utf-8")
    return sweep.path / "plugins" / plugins.digest[:N_DIGITS]


def imported(server: WarmServer, job: JobFolder) -> tuple[AttemptFolder, AttemptResult]:
    return server.run(job, mode="import")


def failure_of(server: WarmServer, job: JobFolder) -> str:
    _, result = imported(server, job)
    assert result.failure is not None
    assert result.failure.kind is FailureKind.USER
    return result.failure.message


def test_a_check_builds_and_uses_every_part(server: WarmServer, make_job: JobMaker, project: Path) -> None:
    job = make_job(*OVERRIDES)
    plan(job, find_plugins(["trash_augs"], project))
    attempt, result = server.run(job, mode="check")
    assert result.outcome is AttemptOutcome.COMPLETED, result
    assert "watched" in attempt.log.read_text(encoding="utf-8")


def test_an_edit_changes_later_jobs_alone_and_restarts_nothing(
    server: WarmServer, make_job: JobMaker, project: Path
) -> None:
    """What ``detsweep add`` does after an edit, with the real server, while the jobs of before are not done."""
    said = {}
    jobs = {}
    pid = server.process.pid
    for version in ("old", "new"):
        (project / "trash_augs" / "nets.py").write_text(f"print('code is', {version!r})\n", encoding="utf-8")
        jobs[version] = make_job("model.backbone.type=ResNet")
        plan(jobs[version], find_plugins(["trash_augs"], project))
    for version in ("new", "old", "new"):
        attempt, result = imported(server, jobs[version])
        assert result.outcome is AttemptOutcome.COMPLETED, result
        said[version] = attempt.log.read_text(encoding="utf-8")
    assert "code is old" in said["old"]
    assert "code is new" in said["new"]
    assert server.process.pid == pid
    assert server.process.poll() is None


def test_nothing_is_imported_from_the_project(
    server: WarmServer, make_job: JobMaker, project: Path, tmp_path: Path
) -> None:
    job = make_job()
    copy = plan(job, find_plugins(["trash_augs"], project))
    for path in (project / "trash_augs").iterdir():
        path.write_text("raise SystemExit('of the project')\n", encoding="utf-8")
    (project / "trash_augs" / "flips.py").unlink()
    attempt = new_attempt(job, mode="import")
    server.start(attempt, PYTHONPATH=str(project))
    server.event("exited", attempt)
    result = AttemptResult.read(attempt)
    assert result is not None
    assert result.outcome is AttemptOutcome.COMPLETED, result
    assert not list(copy.rglob("__pycache__"))


def test_bytecode_in_a_copy_is_not_looked_at(
    server: WarmServer, make_job: JobMaker, project: Path, tmp_path: Path
) -> None:
    """It is in no digest, and Python would take it for the source of that size and time."""
    job, canary = make_job(), tmp_path / "canary"
    copy = plan(job, find_plugins(["trash_augs"], project))
    source = copy / "trash_augs" / "nets.py"
    honest, times = source.read_bytes(), source.stat()
    evil = f"open({str(canary)!r}, 'w')\n".encode()
    source.write_bytes(evil + b"#" * (len(honest) - len(evil)))
    os.utime(source, ns=(times.st_atime_ns, times.st_mtime_ns))
    py_compile.compile(str(source), cfile=importlib.util.cache_from_source(str(source)), doraise=True)
    source.write_bytes(honest)
    os.utime(source, ns=(times.st_atime_ns, times.st_mtime_ns))
    _, result = imported(server, job)
    assert result.outcome is AttemptOutcome.COMPLETED, result
    assert not canary.exists()


def test_a_changed_copy_is_not_imported(server: WarmServer, make_job: JobMaker, project: Path, tmp_path: Path) -> None:
    job, canary = make_job(), tmp_path / "canary"
    copy = plan(job, find_plugins(["trash_augs"], project))
    (copy / "trash_augs" / "nets.py").write_text(f"open({str(canary)!r}, 'w')\n", encoding="utf-8")
    assert failure_of(server, job).startswith(f"plugin sources changed in {copy}")
    assert not canary.exists()


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (
            "x = 1\nx.missing\n",
            "AttributeError: 'int' object has no attribute 'missing' in trash_augs/nets.py:2; mend it",
        ),
        ("import nowhere_at_all\n", "in trash_augs/nets.py:1; install it, or if it is a module of the project"),
        ("raise SystemExit(3)\n", "SystemExit: 3 in trash_augs/nets.py:1; mend it"),
        (
            "from mmdet.registry import MODELS\n\n@MODELS.register_module()\nclass ResNet: pass\n",
            "KeyError: 'ResNet is already registered in model at mmdet.models.backbones.resnet' in trash_augs",
        ),
        ("exec('a b', {})\n", "SyntaxError: invalid syntax"),
    ],
)
def test_a_plugin_that_fails_is_told_in_one_line(
    server: WarmServer, make_job: JobMaker, project: Path, code: str, message: str
) -> None:
    (project / "trash_augs" / "nets.py").write_text(code, encoding="utf-8")
    job = make_job()
    plan(job, find_plugins(["trash_augs"], project))
    told = failure_of(server, job)
    assert told.startswith("plugin trash_augs cannot be imported: ")
    assert message in told
    assert "\n" not in told


def test_a_module_that_training_has_imported_is_not_replaced(server: WarmServer, make_job: JobMaker) -> None:
    job = make_job()
    sources = {"scipy.py": b""}
    plan(job, Plugins(("scipy",), digest_of(("scipy",), sources), sources))
    assert failure_of(server, job).startswith("name taken in plugins: scipy is a module that training has imported")


def test_an_unknown_name_is_told_with_its_registry_and_what_to_do(
    server: WarmServer, make_job: JobMaker, project: Path
) -> None:
    job = make_job(*OVERRIDES, "model.backbone.type=TrashNett", "pipeline.train.flip={type:Darkn}")
    plan(job, find_plugins(["trash_augs"], project))
    told = failure_of(server, job)
    assert (
        "unknown name in model.backbone.type: TrashNett; looked up in the registry MODELS: the nearest are TrashNet"
        in told
    )
    assert "unknown name in pipeline.train.flip.type: Darkn; looked up in the registry TRANSFORMS" in told
    assert "name the package that registers it in plugins=[PACKAGE]" in told
