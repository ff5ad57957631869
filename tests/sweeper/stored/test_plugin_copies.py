"""A sweep keeps the code that it was planned with, and nobody's code runs who was not asked for it."""

from pathlib import Path
from typing import Any

import pytest

from runners.contract.errors import UserError
from runners.contract.folder import SweepFolder
from runners.contract.plugin_sources import N_DIGITS, find_copy
from runners.contract.plugin_trust import is_trusted, trust, trust_file
from sweeper.planning.plugins import Plugins, find_plugins
from sweeper.stored.plugin_copies import check_plugins, write_plugins
from tests.plugin_project import write_package


@pytest.fixture(autouse=True)
def own_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture
def plugins(tmp_path: Path) -> Plugins:
    write_package(tmp_path / "project")
    return find_plugins(["trash_augs"], tmp_path / "project")


@pytest.fixture
def sweep(tmp_path: Path) -> SweepFolder:
    folder = SweepFolder(tmp_path / "sweep")
    folder.jobs.mkdir(parents=True)
    return folder


def copy_of(sweep: SweepFolder, plugins: Plugins) -> Path:
    return sweep.path / "plugins" / plugins.digest[:N_DIGITS]


def problem_of(sweep: SweepFolder, config: dict[str, Any], consented: str = "") -> str:
    with pytest.raises(UserError) as caught:
        check_plugins(sweep, [config], consented)
    return caught.value.problems[0]


def test_a_copy_has_what_was_planned_and_its_user_is_trusted(sweep: SweepFolder, plugins: Plugins) -> None:
    assert not is_trusted(plugins.digest)
    assert write_plugins(sweep, [Plugins(), plugins, plugins]) == []
    copy = copy_of(sweep, plugins)
    assert {path.relative_to(copy).as_posix(): path.read_bytes() for path in copy.rglob("*.py")} == plugins.sources
    assert [path.name for path in copy.parent.iterdir()] == [copy.name]
    checked = check_plugins(sweep, [plugins.placed_in({}), plugins.placed_in({}), {"plugins": []}])
    assert [(each.names, each.digest) for each in checked] == [(("trash_augs",), plugins.digest)]
    # As found from a probe's folder and from an evaluation's.
    for below in ("jobs/0001", "probes/jobs/0001", "jobs/0001/evaluations/val"):
        assert find_copy(sweep.path / below, plugins.digest) == copy


def test_a_copy_is_not_written_over(sweep: SweepFolder, plugins: Plugins) -> None:
    """Two who add jobs at once write the same; one of them finds it written."""
    write_plugins(sweep, [plugins])
    times = {path: path.stat().st_mtime_ns for path in copy_of(sweep, plugins).rglob("*")}
    write_plugins(sweep, [plugins])
    assert {path: path.stat().st_mtime_ns for path in copy_of(sweep, plugins).rglob("*")} == times


@pytest.mark.parametrize("change", ["edited", "added", "removed", "linked", "linked folder"])
def test_a_changed_copy_is_refused(sweep: SweepFolder, plugins: Plugins, tmp_path: Path, change: str) -> None:
    write_plugins(sweep, [plugins])
    package = copy_of(sweep, plugins) / "trash_augs"
    if change == "edited":
        (package / "nets.py").write_text("evil = 1\n", encoding="utf-8")
    elif change == "added":
        (package / "evil.py").write_text("", encoding="utf-8")
    elif change == "removed":
        (package / "nets.py").unlink()
    elif change == "linked":
        (package / "nets.py").unlink()
        (package / "nets.py").symlink_to(tmp_path / "project" / "trash_augs" / "nets.py")
    else:
        (package / "evil").symlink_to(tmp_path)
    problem = problem_of(sweep, plugins.placed_in({}))
    assert problem.startswith(f"plugin sources {'in' if 'link' in change else 'changed in'} {package.parent}")
    assert "nothing of them is imported" in problem


def test_what_python_writes_beside_sources_changes_nothing(sweep: SweepFolder, plugins: Plugins) -> None:
    write_plugins(sweep, [plugins])
    cache = copy_of(sweep, plugins) / "trash_augs" / "__pycache__"
    cache.mkdir()
    (cache / "nets.cpython-311.pyc").write_bytes(b"x")
    assert check_plugins(sweep, [plugins.placed_in({})])


def test_a_copy_that_is_gone_is_named(sweep: SweepFolder, plugins: Plugins) -> None:
    problem = problem_of(sweep, plugins.placed_in({}))
    assert f"no folder plugins/{plugins.digest[:N_DIGITS]} in it or above it" in problem


def test_anothers_code_runs_only_with_consent(
    sweep: SweepFolder, plugins: Plugins, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_plugins(sweep, [plugins])
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "another user's state"))
    config = plugins.placed_in({})
    problem = problem_of(sweep, config)
    assert problem.startswith(f"plugin code in {copy_of(sweep, plugins)}: not from a sweep that you started")
    assert problem.endswith(f"trust_plugins={plugins.digest[:N_DIGITS]}")
    for consented in ("true", plugins.digest[:4], "0" * N_DIGITS, ""):
        assert problem_of(sweep, config, consented) == problem
    check_plugins(sweep, [config], f"{'0' * N_DIGITS},{plugins.digest[:N_DIGITS]}")
    check_plugins(sweep, [config])  # remembered


def test_the_list_of_the_trusted_is_its_users_alone() -> None:
    trust("a" * 64)
    trust("a" * 64)
    assert trust_file().read_text(encoding="utf-8") == f"{'a' * 64}\n"
    assert trust_file().stat().st_mode & 0o777 == 0o600
    trust_file().unlink()
    trust_file().symlink_to(trust_file().with_name("elsewhere"))
    with pytest.raises(OSError, match="symbolic"):
        trust("b" * 64)


def test_a_list_that_cannot_be_written_is_told(sweep: SweepFolder, plugins: Plugins, tmp_path: Path) -> None:
    (tmp_path / "state").write_text("no folder", encoding="utf-8")
    (notice,) = write_plugins(sweep, [plugins])
    assert f"detsweep resume will ask for trust_plugins={plugins.digest[:N_DIGITS]}" in notice
    assert copy_of(sweep, plugins).is_dir()
    assert check_plugins(sweep, [plugins.placed_in({})], plugins.digest)
