"""Jobs that join a sweep later have their folders first, then a place in ``sweep.yaml``, then one in the plan."""

from pathlib import Path

import pytest

from runners.contract.errors import UserError
from runners.contract.folder import SweepFolder
from runners.contract.yamlfile import load_yaml
from sweeper.control.adding import take_added_jobs, write_added_jobs
from sweeper.stored.journal import Journal
from sweeper.stored.requests import Request
from sweeper.stored.sweep_file import read_sweep_file
from sweeper.stored.sweep_folder import write_sweep
from tests.sweeper.planned import folder_names, plan_of


@pytest.fixture
def sweep(tmp_path: Path) -> SweepFolder:
    folder = SweepFolder(tmp_path / "20260101-000000_seed_ab12")
    folder.jobs.mkdir(parents=True)
    plan = plan_of([0, 1])
    write_sweep(folder, plan, "seed", [])
    with Journal(folder.journal) as journal:
        for job in plan.jobs:
            told = {"state": "PLANNED", "identity": job.identity, "config_sha256": ""}
            journal.append("planned", job=job.job_id, **told)
    return folder


def test_only_what_the_sweep_does_not_have_is_added_under_the_next_numbers(sweep: SweepFolder) -> None:
    added = write_added_jobs(sweep, plan_of([5, 0, 1, 6]))
    assert [(job["id"], job["overrides"][0]) for job in added["jobs"]] == [("0003", "seed=5"), ("0004", "seed=6")]
    assert folder_names(sweep.jobs) == ["0001", "0002", "0003", "0004"]
    assert load_yaml(sweep.job("0004").config.read_text())["seed"] == 6
    # Its controller has not taken them in yet.
    assert [job["id"] for job in read_sweep_file(sweep)["jobs"]] == ["0001", "0002"]


def test_taking_them_in_twice_is_taking_them_in_once(sweep: SweepFolder) -> None:
    request = Request("1.0-ab.json", "add", write_added_jobs(sweep, plan_of([0, 1, 5])))
    for _ in range(2):
        (job,) = take_added_jobs(sweep, request)
        assert (job.job_id, job.title, job.values, job.identity) == ("0003", "title 5", {"seed": "5"}, "id 5")
        assert job.config["seed"] == 5
    stored = read_sweep_file(sweep)
    assert [entry["id"] for entry in stored["jobs"]] == ["0001", "0002", "0003"]
    assert stored["axes"] == {"seed": ["0", "1", "5"]}


def test_nothing_new_adds_nothing(sweep: SweepFolder) -> None:
    assert write_added_jobs(sweep, plan_of([1, 0]))["jobs"] == []
    assert folder_names(sweep.jobs) == ["0001", "0002"]


def test_two_who_add_at_once_get_numbers_of_their_own(sweep: SweepFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    rename, taken = Path.rename, [3, 4]

    def be_late(path: Path, target: Path) -> Path:
        if taken:  # in this moment somebody else makes that job
            (sweep.jobs / f"{taken.pop(0):04d}" / "checkpoints").mkdir(parents=True)
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", be_late)
    added = write_added_jobs(sweep, plan_of([9]))
    assert [job["id"] for job in added["jobs"]] == ["0005"]
    assert folder_names(sweep.jobs) == ["0001", "0002", "0003", "0004", "0005"]


def test_a_disk_that_cannot_be_written_is_no_reason_to_count_on(
    sweep: SweepFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(path: Path, target: Path) -> Path:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(OSError, match="Read-only"):
        write_added_jobs(sweep, plan_of([9]))
    assert folder_names(sweep.jobs) == ["0001", "0002"]


def test_a_job_whose_config_is_gone_is_told(sweep: SweepFolder) -> None:
    request = Request("1.0-ab.json", "add", write_added_jobs(sweep, plan_of([5])))
    sweep.job("0003").config.unlink()
    with pytest.raises(UserError, match=r"config of a job in .*0003/config\.yaml"):
        take_added_jobs(sweep, request)
