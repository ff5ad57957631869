"""What stays of a job's checkpoints where more than the best is kept, and whose its files are."""

import stat
from pathlib import Path

import pytest

from runners.contract.checkpoint_files import find_resume_point, is_valid
from runners.contract.folder import JobFolder
from runners.contract.jsonfile import append_line
from tests.runners.conftest import JobMaker
from tests.runners.warm_server import WarmServer, new_attempt, wait_until

pytestmark = pytest.mark.train


def names_of(job: JobFolder) -> set[str]:
    return {path.name for path in job.checkpoints.iterdir()}


def test_best_and_last_stay_and_make_a_whole_state(server: WarmServer, make_job: JobMaker) -> None:
    job = make_job("n_epochs=2")
    server.run(job, keep="best+last")
    assert names_of(job) == {"a1_best.pth", "a1_epoch_2.pth", "a1_epoch_2.pth.sha256"}
    assert find_resume_point(job).spec_value == "checkpoints/a1_epoch_2.pth"


def test_all_epochs_stay_also_those_of_earlier_attempts(server: WarmServer, make_job: JobMaker) -> None:
    job = make_job("n_epochs=4")
    stopped = new_attempt(job, keep="all")
    server.start(stopped)
    wait_until(lambda: (job.checkpoints / "a1_epoch_2.pth.sha256").exists())
    server.send(op="terminate", attempt=str(stopped.path))
    server.event("exited", stopped)
    point = find_resume_point(job)
    assert point.state is not None
    server.run(job, keep="all", resume=point.spec_value)
    states = [path for path in job.checkpoints.glob("*_epoch_*.pth") if "best" not in path.name]
    assert [path.name.partition("_")[2] for path in sorted(states)] == [f"epoch_{epoch}.pth" for epoch in (1, 2, 3, 4)]
    assert all(is_valid(path) for path in states)
    assert (job.checkpoints / "a2_best.pth").exists()
    # Nothing but states, what they refer to, and the best under its last name.
    assert {name for name in names_of(job) if name.endswith(".tmp") or "iter" in name} == set()


@pytest.mark.parametrize(("umask", "others"), [(0o077, 0o000), (0o007, 0o070)])
def test_files_are_the_owners_or_the_groups(server: WarmServer, make_job: JobMaker, umask: int, others: int) -> None:
    job = make_job()
    attempt = new_attempt(job, umask=umask)
    before = {job.path, job.config, job.attempts, attempt.path, attempt.spec}
    server.start(attempt)
    server.event("exited", attempt)
    made = [path for path in job.path.rglob("*") if path not in before]
    assert {"log.txt", "metrics.jsonl", "result.json", "a1_best.pth", "config.py", "a1_test.json"} <= {
        path.name for path in made
    }
    for path in made:
        mode = stat.S_IMODE(path.stat().st_mode)
        wanted = 0o700 | others if path.is_dir() else 0o600 | (others & 0o060)
        assert oct(mode) == oct(wanted), path


def test_lines_are_appended_under_the_process_umask(tmp_path: Path) -> None:
    append_line(tmp_path / "lines.jsonl", {"a": 1})
    plain = tmp_path / "plain"
    plain.touch()
    assert (tmp_path / "lines.jsonl").stat().st_mode == plain.stat().st_mode
