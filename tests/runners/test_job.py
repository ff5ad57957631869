"""Jobs trained for real, on generated images, by a warm server or by hand."""

import json
import math
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from runners.checkpoints import load_checkpoint
from runners.contract.checkpoint_files import find_resume_point
from runners.contract.digest import sha256_of
from runners.contract.folder import AttemptFolder, JobFolder
from runners.contract.records import AttemptResult, read_metrics
from runners.contract.scoring import score
from runners.contract.states import AttemptOutcome, FailureKind
from tests.runners.conftest import JobMaker
from tests.runners.warm_server import ROOT, WarmServer, new_attempt, wait_until

pytestmark = pytest.mark.train


def metrics_of(attempt: AttemptFolder) -> dict[tuple[int, str], float]:
    """Return every value by step and name; a name has one value a step."""
    values: dict[tuple[int, str], float] = {}
    for record, _ in read_metrics(attempt):
        for name, value in record.values.items():
            assert (record.step, name) not in values
            values[record.step, name] = value
    return values


def edit_config(job: JobFolder, **changes: Any) -> None:
    config = yaml.safe_load(job.config.read_text(encoding="utf-8"))
    config.update(changes)
    job.config.write_text(yaml.safe_dump(config, allow_unicode=True, sort_keys=False), encoding="utf-8")


def test_completed_job_has_everything_that_a_job_records(server: WarmServer, make_job: JobMaker, shapes: Path) -> None:
    job = make_job("n_epochs=3")
    attempt, result = server.run(job)
    assert result.outcome is AttemptOutcome.COMPLETED, result
    metrics = metrics_of(attempt)
    for epoch in (1, 2, 3):
        names = {name for step, name in metrics if step == epoch}
        assert {"train/loss", "train/loss_rpn_cls", "train/lr", "val/loss", "val/loss_bbox", "val/bbox_mAP"} <= names
        assert {"val/bbox_mAP_50", "val/bbox_mAP_75", "val/bbox_mAP_class/circle"} <= names
    assert (10, "iter/loss") in metrics
    assert all(math.isfinite(value) for value in metrics.values())
    assert metrics[1, "train/loss"] > metrics[3, "train/loss"] > 0

    by_epoch = {epoch: metrics[epoch, "val/bbox_mAP_50"] for epoch in (1, 2, 3)}
    assert result.best_epoch == max(by_epoch, key=lambda epoch: (by_epoch[epoch], -epoch))
    assert result.metrics["best/epoch"] == result.best_epoch
    assert result.metrics["best/val/bbox_mAP_50"] == by_epoch[result.best_epoch]
    assert {"train/bbox_mAP_50", "test/bbox_mAP", "cost/parameters_m", "cost/images_per_s"} <= set(result.metrics)
    assert {"cost/iteration_s", "cost/validation_image_s", "cost/peak_host_gb"} <= set(result.metrics)
    assert "cost/peak_memory_gb" not in result.metrics
    assert result.metrics["cost/first_iteration_s"] < result.metrics["cost/wall_s"]

    assert [path.name for path in job.checkpoints.iterdir()] == ["a1_best.pth"]
    assert result.checkpoint is not None
    assert sha256_of(job.path / result.checkpoint) == result.checkpoint_sha256
    assert set(load_checkpoint(job.path / result.checkpoint, "cpu")) == {"state_dict", "meta"}
    assert {path.name for path in attempt.path.iterdir()} == {"spec.json", "log.txt", "metrics.jsonl", "result.json"}

    for name, split in (("val_best", "val"), ("test", "test")):
        detections = json.loads((job.predictions / f"a1_{name}.json").read_text())
        truth = json.loads((shapes / f"{split}.json").read_text())
        again = score(split, truth, detections, [image["id"] for image in truth["images"]])  # type: ignore[arg-type]
        recorded = f"best/{split}/bbox_mAP" if split == "val" else f"{split}/bbox_mAP"
        assert again[f"{split}/bbox_mAP"] == result.metrics[recorded]
    assert (job.predictions / "a1_val_last.json").exists()


def test_progress_tells_phases_and_never_goes_back(server: WarmServer, make_job: JobMaker) -> None:
    attempt, _ = server.run(make_job("n_epochs=2"))
    progress = [record.progress for record, _ in read_metrics(attempt)]
    assert {"train", "val", "train subset", "test"} <= {entry["phase"] for entry in progress}
    iterations = [entry["iteration"] for entry in progress]
    assert iterations == sorted(iterations)
    assert progress[-1]["iteration"] == progress[-1]["n_iterations"] == 8
    assert progress[-1]["epoch"] == progress[-1]["n_epochs"] == 2


@pytest.mark.parametrize("augment", ["photometric", "mosaic"])
def test_same_seed_trains_the_same_whatever_the_workers(server: WarmServer, make_job: JobMaker, augment: str) -> None:
    runs = [
        server.run(make_job("n_epochs=2", f"augment={augment}", "seed=3"), n_workers=n_workers)
        for n_workers in (0, 0, 2)
    ]
    first, again, with_workers = (metrics_of(attempt) for attempt, _ in runs)
    assert first == again
    assert first == with_workers
    weights = [load_checkpoint(attempt.job.checkpoints / "a1_best.pth", "cpu")["state_dict"] for attempt, _ in runs]
    assert all(torch.equal(weights[0][name], weights[2][name]) for name in weights[0])


def test_another_seed_trains_differently(server: WarmServer, make_job: JobMaker) -> None:
    one, other = (metrics_of(server.run(make_job(f"seed={seed}"))[0]) for seed in (0, 1))
    assert one[1, "train/loss"] != other[1, "train/loss"]


@pytest.mark.parametrize("detector", ["cascade_rcnn", "retinanet"])
def test_other_detectors_train(server: WarmServer, make_job: JobMaker, detector: str) -> None:
    _, result = server.run(make_job(f"detector={detector}"))
    assert result.outcome is AttemptOutcome.COMPLETED, result
    assert result.metrics["cost/multiply_adds_g"] > 0


def test_bfloat16_trains_on_the_cpu_close_to_float32(server: WarmServer, make_job: JobMaker) -> None:
    exact, reduced = (metrics_of(server.run(make_job(f"precision={precision}"))[0]) for precision in ("fp32", "bf16"))
    assert reduced[1, "train/loss"] == pytest.approx(exact[1, "train/loss"], rel=0.05)
    assert reduced[1, "train/loss"] != exact[1, "train/loss"]


def test_float16_on_the_cpu_is_refused_in_one_line(server: WarmServer, make_job: JobMaker) -> None:
    _, result = server.run(make_job("precision=fp16"))
    assert result.failure is not None
    assert result.failure.kind is FailureKind.USER
    assert "fp16" in result.failure.message


def test_accumulation_takes_as_many_images_per_step(server: WarmServer, make_job: JobMaker) -> None:
    attempt, result = server.run(make_job(), batch_per_step=2, accumulation=2)
    assert result.outcome is AttemptOutcome.COMPLETED
    assert [record.progress["n_iterations"] for record, _ in read_metrics(attempt)][-1] == 8


def test_missing_gpu_is_a_failure_and_never_training_on_the_cpu(server: WarmServer, make_job: JobMaker) -> None:
    attempt = new_attempt(make_job(), device="cuda")
    server.start(attempt, CUDA_VISIBLE_DEVICES="")
    assert server.event("exited", attempt)["returncode"] == 1
    result = AttemptResult.read(attempt)
    assert result is not None
    assert result.failure is not None
    assert "cuda" in result.failure.message
    assert not attempt.metrics.exists()


def test_diverging_training_fails_and_says_where(server: WarmServer, make_job: JobMaker) -> None:
    attempt, result = server.run(make_job("n_epochs=30", "optimizer.lr=1e8", "optim_wrapper.clip_grad=null"))
    assert result.failure is not None
    assert result.failure.kind is FailureKind.DIVERGED
    assert " at iteration " in result.failure.message
    assert all(math.isfinite(value) for value in metrics_of(attempt).values())


@pytest.mark.parametrize("n_workers", [0, 1])
@pytest.mark.parametrize("content", [b"", b"no image", None])
def test_unreadable_image_fails_with_its_name(
    server: WarmServer, make_job: JobMaker, shapes: Path, tmp_path: Path, content: bytes | None, n_workers: int
) -> None:
    root = tmp_path / "broken data"
    shutil.copytree(shapes, root)
    file_name = json.loads((root / "train.json").read_text())["images"][5]["file_name"]
    image = root / "images" / file_name
    if content is None:
        image.unlink()
    else:
        image.write_bytes(content)
    _, result = server.run(make_job(f"dataset.root='{root}'"), n_workers=n_workers)
    assert result.failure is not None
    assert result.failure.kind is FailureKind.DATA
    assert result.failure.message.startswith(f"image {image}: ")
    assert "\n" not in result.failure.message


def test_unlabelled_test_split_is_predicted_and_not_scored(
    server: WarmServer, make_job: JobMaker, shapes: Path, tmp_path: Path
) -> None:
    truth = json.loads((shapes / "test.json").read_text())
    del truth["annotations"]
    (tmp_path / "unlabelled.json").write_text(json.dumps(truth))
    job = make_job(f"dataset.test.ann_file={tmp_path / 'unlabelled.json'}")
    _, result = server.run(job)
    assert result.outcome is AttemptOutcome.COMPLETED, result
    assert "test split is not labelled" in result.notes
    assert not [name for name in result.metrics if name.startswith("test/")]
    detections = json.loads((job.predictions / "a1_test.json").read_text())
    assert {detection["image_id"] for detection in detections} == {image["id"] for image in truth["images"]}


def test_without_val_the_last_epoch_is_the_best(server: WarmServer, make_job: JobMaker) -> None:
    job = make_job("n_epochs=2")
    dataset = yaml.safe_load(job.config.read_text())["dataset"]
    edit_config(job, dataset={**dataset, "val": None, "test": None})
    _, result = server.run(job)
    assert result.outcome is AttemptOutcome.COMPLETED, result
    assert result.best_epoch == 2
    assert any("no labelled val split" in note for note in result.notes)
    assert any("no test split" in note for note in result.notes)


def test_best_by_that_val_cannot_measure_is_refused(server: WarmServer, make_job: JobMaker) -> None:
    _, result = server.run(make_job("best_by=bbox_mAP_l"))
    assert result.failure is not None
    assert result.failure.kind is FailureKind.USER
    assert "best_by" in result.failure.message


@pytest.mark.parametrize(
    ("reason", "outcome", "is_saved"),
    [
        ("prune", AttemptOutcome.PRUNED, False),
        ("cancel", AttemptOutcome.INTERRUPTED, False),
        ("interrupt", AttemptOutcome.INTERRUPTED, True),
    ],
)
def test_stop_file_ends_training(
    server: WarmServer, make_job: JobMaker, reason: str, outcome: AttemptOutcome, is_saved: bool
) -> None:
    attempt = new_attempt(make_job("n_epochs=500"))
    server.start(attempt)
    wait_until(lambda: list(attempt.job.checkpoints.glob("a1_epoch_*.pth")))
    attempt.stop.write_text(reason)
    server.event("exited", attempt)
    result = AttemptResult.read(attempt)
    assert result is not None
    assert result.outcome is outcome
    assert result.best_epoch is not None
    assert "best/val/bbox_mAP_50" in result.metrics
    if is_saved:
        last = find_resume_point(attempt.job).state
        assert last is not None
        meta = load_checkpoint(last.path, "cpu")["meta"]
        assert meta["iter"] >= max(record.progress["iteration"] for record, _ in read_metrics(attempt))
        assert meta["best"]["epoch"] == result.best_epoch


def test_check_takes_two_steps_and_writes_nothing_else(server: WarmServer, make_job: JobMaker) -> None:
    attempt, result = server.run(make_job("backbone=resnet50", "width=standard", "image_size=512px"), mode="check")
    assert result.outcome is AttemptOutcome.COMPLETED, result
    assert result.metrics["train/loss"] > 0
    assert result.metrics["val/loss"] > 0
    assert any("nms, roi_align" in note and "by torchvision" in note for note in result.notes)
    assert {path.name for path in attempt.path.iterdir()} == {"spec.json", "log.txt", "result.json"}
    assert {path.name for path in attempt.job.path.iterdir()} == {"config.yaml", "attempts"}


def test_check_refuses_a_negative_loss(server: WarmServer, make_job: JobMaker) -> None:
    """GIoU on encoded boxes trains on a negative loss if nobody looks."""
    overrides = "model.roi_head.bbox_head.loss_bbox={type: GIoULoss, loss_weight: 10.0}"
    _, result = server.run(make_job(overrides), mode="check")
    assert result.failure is not None
    assert result.failure.kind is FailureKind.DIVERGED
    assert "loss_bbox is -" in result.failure.message


@pytest.mark.parametrize("mode", ["check", "train"])
def test_a_model_whose_operator_is_not_served_is_refused_before_it_is_built(
    server: WarmServer, make_job: JobMaker, mode: str
) -> None:
    # Nothing of this model could be built.
    job = make_job("model.roi_head.bbox_roi_extractor.roi_layer.type=DeformRoIPoolPack", "model.backbone.depth=19")
    _, result = server.run(job, mode=mode)
    assert result.failure is not None
    assert result.failure.kind is FailureKind.USER
    assert result.failure.message.startswith("mmcv operator 'deform_roi_pool' wanted by model.roi_head.bbox_roi")


def test_job_runs_by_hand_and_takes_the_next_attempt(make_job: JobMaker) -> None:
    job = make_job()
    job.take_attempt()
    command = [sys.executable, "-m", "runners", str(job.path), "--device", "cpu"]
    finished = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert finished.returncode == 0, finished.stderr
    assert "attempt 2 completed" in finished.stdout
    result = AttemptResult.read(AttemptFolder(job.attempts / "2"))
    assert result is not None
    assert result.outcome is AttemptOutcome.COMPLETED


def test_wrong_folder_by_hand_is_one_line_and_exit_2(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "runners", str(tmp_path)]
    finished = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert finished.returncode == 2
    assert finished.stderr.startswith("error: folder to run")
    assert finished.stderr.count("\n") == 1


def test_job_killed_from_outside_leaves_no_result(server: WarmServer, make_job: JobMaker) -> None:
    attempt = new_attempt(make_job("n_epochs=500"))
    server.start(attempt)
    wait_until(attempt.metrics.exists)
    server.send(op="kill", attempt=str(attempt.path))
    assert server.event("exited", attempt)["returncode"] == -signal.SIGKILL
    assert AttemptResult.read(attempt) is None
