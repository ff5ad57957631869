"""One job on several devices: as many processes, the same optimizer batches, one result."""

import os
import shutil
import signal
import time
from pathlib import Path

import psutil
import pytest
import yaml
from mmengine.registry import init_default_scope

from runners.contract.checkpoint_files import find_resume_point
from runners.contract.folder import AttemptFolder
from runners.contract.records import AttemptResult, AttemptSpec
from runners.contract.states import AttemptOutcome, FailureKind
from runners.failures import DataError
from runners.place import Place
from runners.ranks import Ranks
from runners.training import build_train_loader
from tests.runners.conftest import JobMaker
from tests.runners.test_job import metrics_of
from tests.runners.test_resume import epochs_of, steps_of
from tests.runners.warm_server import WarmServer, new_attempt, wait_until

TWO = {"n_devices": 2, "n_threads": 2}


def ranks_of(pid: int) -> list[psutil.Process]:
    return [child for child in psutil.Process(pid).children() if child.is_running()]


def has_trained(attempt: AttemptFolder, step: int) -> bool:
    return (step, "iter/loss") in steps_of(attempt)


@pytest.mark.train
def test_two_devices_train_what_one_trains(server: WarmServer, make_job: JobMaker) -> None:
    """16 images in batches of 6, shared by two: the last batch of an epoch has 4."""
    one = metrics_of(server.run(make_job("n_epochs=2", "batch_size=6"), batch_per_step=6)[0])
    job = make_job("n_epochs=2", "batch_size=6")
    attempt, result = server.run(job, batch_per_step=6, **TWO)
    assert result.outcome is AttemptOutcome.COMPLETED, result
    assert result.notes == ["trained on 2 devices, 3 images per step each"]
    two = metrics_of(attempt)
    assert {name for _, name in two} == {name for _, name in one}
    # The same images in the same batches, augmented alike; which proposals train the heads is drawn for each share, and
    # what a loss is divided by is counted in each share.
    assert two[1, "train/lr"] == pytest.approx(one[1, "train/lr"])
    assert two[1, "train/loss"] == pytest.approx(one[1, "train/loss"], rel=0.05)
    assert two[2, "train/loss"] < two[1, "train/loss"]
    assert [path.name for path in job.checkpoints.iterdir()] == ["a1_best.pth"]
    assert {path.name for path in attempt.path.iterdir()} == {
        *("spec.json", "log.txt", "log_1.txt", "metrics.jsonl", "result.json")
    }


@pytest.mark.train
def test_detector_with_a_layer_that_nothing_uses_trains(server: WarmServer, make_job: JobMaker) -> None:
    """RetinaNet begins above the first of Swin's four outputs."""
    job = make_job("detector=retinanet", "backbone=swin_t", "width=standard", "optimizer=adamw", "batch_size=16")
    _, result = server.run(job, batch_per_step=8, accumulation=2, **TWO)
    assert result.outcome is AttemptOutcome.COMPLETED, result


@pytest.mark.train
def test_term_saves_and_another_number_of_devices_goes_on(server: WarmServer, make_job: JobMaker) -> None:
    job = make_job("n_epochs=3")
    split = {"batch_per_step": 2, "accumulation": 2}
    stopped = new_attempt(job, **split, **TWO)
    pid = server.start(stopped)
    wait_until(lambda: has_trained(stopped, 10))
    others = ranks_of(pid)
    assert len(others) == 1
    server.send(op="terminate", attempt=str(stopped.path))
    assert server.event("exited", stopped)["returncode"] == 3
    assert not any(process.is_running() for process in others)
    result = AttemptResult.read(stopped)
    assert result is not None
    assert result.outcome is AttemptOutcome.INTERRUPTED
    point = find_resume_point(job, (2, 2))
    assert point.state is not None
    assert point.state.n_epochs_done >= 1

    again, result = server.run(job, **split, **TWO, resume=point.spec_value)
    assert result.outcome is AttemptOutcome.COMPLETED, result
    assert epochs_of(again) <= {2, 3}
    assert 3 in epochs_of(again)


@pytest.mark.train
def test_epoch_that_ends_within_a_step_is_saved_with_the_gradients_of_all(
    server: WarmServer, make_job: JobMaker
) -> None:
    """6 iterations an epoch, 4 in a step; then one device goes on."""
    job = make_job("n_epochs=2", "batch_size=12")
    split = {"batch_per_step": 3, "accumulation": 4}
    _, refused = server.run(job, **split, **TWO)
    assert refused.failure is not None
    assert refused.failure.kind is FailureKind.USER
    assert "batch_per_step: 3; take a multiple of 2" in refused.failure.message

    split = {"batch_per_step": 6, "accumulation": 2}  # 3 iterations an epoch
    _, result = server.run(job, **split, **TWO, keep="all")
    assert result.outcome is AttemptOutcome.COMPLETED, result
    (job.checkpoints / "a2_epoch_2.pth").unlink()
    _, alone = server.run(job, **split, resume="checkpoints/a2_epoch_1.pth")
    assert alone.outcome is AttemptOutcome.COMPLETED, alone
    assert alone.metrics["best/train/loss"] == pytest.approx(result.metrics["best/train/loss"], rel=0.1)


@pytest.mark.train
def test_killed_rank_ends_the_job(server: WarmServer, make_job: JobMaker) -> None:
    attempt = new_attempt(make_job("n_epochs=500"), **TWO)
    pid = server.start(attempt)
    wait_until(lambda: has_trained(attempt, 10))
    (other,) = ranks_of(pid)
    began = time.monotonic()
    os.kill(other.pid, signal.SIGKILL)
    assert server.event("exited", attempt)["returncode"] == 1
    assert time.monotonic() - began < 30
    result = AttemptResult.read(attempt)
    assert result is not None
    assert result.failure is not None
    assert result.failure.kind is FailureKind.LOST
    assert result.failure.message == "the process of device 2 was killed by signal 9"


@pytest.mark.train
def test_killed_job_takes_its_ranks_along_and_they_listen_on_loopback_alone(
    server: WarmServer, make_job: JobMaker
) -> None:
    attempt = new_attempt(make_job("n_epochs=500"), n_workers=2, **TWO)
    pid = server.start(attempt)
    wait_until(lambda: has_trained(attempt, 10))
    family = psutil.Process(pid).children(recursive=True)
    assert len(family) >= 3  # a rank, and a data loader worker for each
    listening = [
        connection.laddr.ip
        for process in (psutil.Process(pid), *family)
        for connection in process.net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert set(listening) == {"127.0.0.1"}
    os.kill(pid, signal.SIGKILL)
    server.event("exited", attempt)
    wait_until(lambda: not any(process.is_running() for process in family), timeout_s=5)


@pytest.mark.train
def test_error_of_one_rank_is_the_jobs(server: WarmServer, make_job: JobMaker, shapes: Path, tmp_path: Path) -> None:
    """An image that only the second process cannot read: the job fails with its name."""
    root = tmp_path / "broken"
    shutil.copytree(shapes, root)
    job = make_job("n_epochs=1", "batch_size=16", f"dataset.root={root}")
    init_default_scope("mmdet")
    attempt = new_attempt(job, batch_per_step=16, **TWO)
    config = yaml.safe_load(job.config.read_text(encoding="utf-8"))
    loader = build_train_loader(config, AttemptSpec.read(attempt), Place(1, 2))
    indices = next(iter(loader.batch_sampler))  # type: ignore[arg-type]
    assert len(indices) == 8
    broken = Path(loader.dataset.get_data_info(indices[3])["img_path"])  # type: ignore[attr-defined]
    broken.write_bytes(b"")
    server.start(attempt)
    server.event("exited", attempt)
    result = AttemptResult.read(attempt)
    assert result is not None
    assert result.failure is not None
    assert result.failure.kind is FailureKind.DATA
    assert result.failure.message == f"image {broken}: the file is empty"


def test_rank_that_dies_ends_an_attempt_that_does_not_notice(
    make_job: JobMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rank 0 waits in a library for ever."""
    monkeypatch.setattr("runners.ranks._GIVE_UP_S", 0.2)
    attempt = new_attempt(make_job(), **TWO)

    def follow(_place: Place) -> None:
        raise DataError("image a.jpg: the file is empty")

    pid = os.fork()
    if pid == 0:
        Ranks(attempt, AttemptSpec.read(attempt), follow, "4 images per step")
        time.sleep(600)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 1
    result = AttemptResult.read(attempt)
    assert result is not None
    assert result.failure is not None
    assert (result.failure.kind, result.failure.message) == (FailureKind.DATA, "image a.jpg: the file is empty")
    assert "DataError" in result.failure.traceback


def test_first_cause_is_told_and_not_that_a_peer_is_gone(make_job: JobMaker) -> None:
    attempt = new_attempt(make_job(), device="cpu", n_threads=1, n_devices=3)

    def follow(place: Place) -> None:
        if place.rank == 1:
            raise RuntimeError("[gloo/pair.cc:525] Connection closed by peer [127.0.0.1]:34500")
        os.kill(os.getpid(), signal.SIGKILL)

    ranks = Ranks(attempt, AttemptSpec.read(attempt), follow, "4 images per step")
    assert ranks.cause_of(ValueError("rank 0's own")) is None
    failure = ranks.cause_of(RuntimeError("Read error [127.0.0.1]: Connection reset by peer"))
    ranks.end()
    assert failure is not None
    assert failure.message == "the process of device 3 was killed by signal 9"
    assert AttemptResult.read(attempt) is None


@pytest.mark.parametrize("n_ranks", [1, 2, 3, 8])
def test_shares_of_a_batch_are_the_batch(n_ranks: int) -> None:
    for size in range(1, 20):
        batch = list(range(size))
        shares = [Place(rank, n_ranks).share(batch) for rank in range(n_ranks)]
        assert sorted({index for share in shares for index in share}) == batch
        if size >= n_ranks:
            assert [index for share in shares for index in share] == batch
            assert max(map(len, shares)) - min(map(len, shares)) <= 1
        else:
            assert all(len(share) == 1 for share in shares)


def test_more_devices_than_are_visible_are_refused(server: WarmServer, make_job: JobMaker) -> None:
    attempt = new_attempt(make_job(), device="cuda", **TWO)
    server.start(attempt, CUDA_VISIBLE_DEVICES="3")
    server.event("exited", attempt)
    result = AttemptResult.read(attempt)
    assert result is not None
    assert result.failure is not None
    assert result.failure.message == "devices in spec.json: 2, but CUDA_VISIBLE_DEVICES is 3"
