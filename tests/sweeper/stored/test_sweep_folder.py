"""A sweep's folder is its own, for those whom the sweep is for, and complete before a job starts."""

import os
import re
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from runners.contract.errors import UserError
from runners.contract.yamlfile import load_yaml
from sweeper.stored.sweep_file import read_sweep_file
from sweeper.stored.sweep_folder import UMASKS, make_sweep_folder, set_umask, write_sweep
from tests.sweeper.planned import folder_names, plan_of

NOON = datetime(2026, 11, 24, 13, 0, 5, tzinfo=timezone(timedelta(hours=1)))


@pytest.fixture(autouse=True)
def umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


def test_a_folder_is_called_by_utc_time_and_name_and_no_two_are_the_same(tmp_path: Path) -> None:
    folders = [make_sweep_folder(tmp_path / "out", "backbone", NOON) for _ in range(20)]
    assert all(re.fullmatch(r"20261124-120005_backbone_[0-9a-f]{4}", folder.sweep_id) for folder in folders)
    assert len(set(folders)) == 20
    assert folder_names(folders[0].path) == ["jobs", "requests"]


@pytest.mark.parametrize(("share", "folder_mode", "file_mode"), [("private", 0o700, 0o600), ("group", 0o2770, 0o660)])
def test_a_sweep_is_for_its_owner_or_for_the_group(
    tmp_path: Path, share: str, folder_mode: int, file_mode: int
) -> None:
    set_umask(UMASKS[share])
    folder = make_sweep_folder(tmp_path / "out", "a", NOON, share)  # type: ignore[arg-type]
    write_sweep(folder, plan_of([0]), "a", ["detsweep", "train"])
    found = {path: path.stat() for path in [folder.path, *folder.path.rglob("*")]}
    assert {entry.st_mode & 0o7777 for path, entry in found.items() if path.is_dir()} == {folder_mode}
    assert {entry.st_mode & 0o7777 for path, entry in found.items() if path.is_file()} == {file_mode}
    assert {entry.st_gid for entry in found.values()} == {(tmp_path / "out").stat().st_gid}


@pytest.mark.skipif(os.getuid() != 0, reason="only root may give files to any group")
def test_a_shared_sweep_belongs_to_the_group_of_the_folder_it_is_in(tmp_path: Path) -> None:
    output_dir = tmp_path / "out"
    output_dir.mkdir()
    os.chown(output_dir, -1, 12345)
    set_umask(UMASKS["group"])
    folder = make_sweep_folder(output_dir, "a", NOON, "group")
    write_sweep(folder, plan_of([0]), "a", [])
    assert {path.stat().st_gid for path in folder.path.rglob("*")} == {12345}


def test_an_output_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(UserError, match=r"output folder in output_dir=.*/out: .*; choose a folder that can be written"):
        make_sweep_folder(tmp_path / "out", "a", NOON)


def test_every_job_is_stored_before_the_sweep_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make_sweep_folder(tmp_path, "a", NOON)
    there: list[list[str]] = []

    def write(*args: object) -> None:
        there.append([job.job_id for job in folder.all_jobs() if job.config.is_file()])

    monkeypatch.setattr("sweeper.stored.sweep_folder.write_sweep_file", write)
    write_sweep(folder, plan_of([3, 1, 2]), "a", [])
    assert there == [["0001", "0002", "0003"]]


def test_a_job_has_a_folder_for_all_that_comes_of_it(tmp_path: Path) -> None:
    folder = make_sweep_folder(tmp_path, "a", NOON)
    plan = plan_of([0, 5])
    write_sweep(folder, plan, "a", ["detsweep", "train", "seed=0,5"])
    assert folder_names(folder.job("0002").path) == ["checkpoints", "config.yaml", "predictions"]
    assert load_yaml(folder.job("0002").config.read_text()) == plan.jobs[1].config
    assert read_sweep_file(folder)["command"] == ["detsweep", "train", "seed=0,5"]
