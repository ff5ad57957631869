"""``sweep.yaml``: what a sweep is about, in one piece, without secrets, and longer when jobs are added."""

from pathlib import Path

import pytest

from runners.contract.errors import UserError
from runners.contract.folder import SweepFolder
from sweeper.stored.sweep_file import (
    add_to_sweep_file,
    describe_dataset,
    describe_job,
    read_sweep_file,
    write_sweep_file,
)
from tests.sweeper.planned import plan_of, planned_job


@pytest.fixture
def sweep(tmp_path: Path) -> SweepFolder:
    folder = SweepFolder(tmp_path / "20260101-000000_seed_ab12")
    folder.path.mkdir()
    write_sweep_file(folder, plan_of([0, 1]), "seed", ["detsweep", "train", "seed=0,1"])
    return folder


def test_what_is_written_comes_back(sweep: SweepFolder) -> None:
    stored = read_sweep_file(sweep)
    assert (stored["id"], stored["name"]) == (sweep.sweep_id, "seed")
    assert stored["axes"] == {"seed": ["0", "1"]}
    assert stored["jobs"] == [describe_job(planned_job(1, 0)), describe_job(planned_job(2, 1))]
    assert stored["datasets"] == [describe_dataset(planned_job(1, 0))]  # both have the same
    assert stored["settings"]["gpus"] == "all"
    assert {"torch", "mmdet"} <= stored["versions"].keys()


def test_an_address_is_written_without_its_password(sweep: SweepFolder) -> None:
    assert "secret" not in sweep.sweep.read_text()
    assert read_sweep_file(sweep)["settings"]["tracking"] == {"uri": "postgresql://***@host/db", "kind": "server"}


def test_added_jobs_axes_and_data_sets_stand_behind_the_others_once(sweep: SweepFolder) -> None:
    job = planned_job(3, 7, root="other", fingerprint="e" * 64)
    for _ in range(2):
        add_to_sweep_file(sweep, [describe_job(job)], [describe_dataset(job)], {"seed": ["0", "1", "7"], "fold": ["0"]})
    stored = read_sweep_file(sweep)
    assert [entry["id"] for entry in stored["jobs"]] == ["0001", "0002", "0003"]
    assert [entry["fingerprint"][0] for entry in stored["datasets"]] == ["f", "e"]
    assert stored["axes"] == {"seed": ["0", "1", "7"], "fold": ["0"]}
    assert stored["command"] == ["detsweep", "train", "seed=0,1"]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "not all of its parts are there"),
        (b"- a\n- b\n", "not all of its parts are there"),
        (b"jobs: []\n", "not all of its parts are there"),
        (b"jobs: [", "sweep file damaged"),
        (b"\xff\xfe\x00", "sweep file damaged"),
    ],
)
def test_a_damaged_file_is_told_with_its_path(sweep: SweepFolder, content: bytes, told: str) -> None:
    sweep.sweep.write_bytes(content)
    with pytest.raises(UserError, match=told) as error:
        read_sweep_file(sweep)
    assert str(sweep.sweep) in str(error.value)


def test_a_folder_that_is_no_sweep_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no file sweep\.yaml; name the folder of a sweep"):
        read_sweep_file(SweepFolder(tmp_path))
