"""Writes sweeps as controller and jobs would: the real files of the contract, with numbers made up by a formula."""

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from runners.contract import metrics as names
from runners.contract.folder import SweepFolder
from runners.contract.jsonfile import append_line
from runners.contract.naming import base_title
from runners.contract.records import AttemptResult, AttemptSpec, Failure, MetricRecord
from runners.contract.states import AttemptOutcome, FailureKind, JobState

STARTED_AT = 1_790_000_000.0
EPOCH_S = 60.0


@dataclass
class WrittenJob:
    """What is to be told about a job.

    Attributes:
        strength: the val mAP50 that its curve nears, 0-1.
        choices: choices of config groups that are not the default ones.
        settings: settings beside the groups that are not the default ones.
        state: how it ended.
        failure: its message, if it failed.
        n_trained: epochs that it trained; all of them if None.
    """

    strength: float = 0.6
    choices: dict[str, str] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    state: JobState = JobState.COMPLETED
    failure: str = ""
    n_trained: int | None = None
    title: str | None = None

    def config(self) -> dict[str, Any]:
        """Return the resolved config, as far as reports read it."""
        choices = {
            "detector": "faster_rcnn",
            "backbone": "resnet50",
            "neck": "fpn",
            "box_loss": "zoo",
            "image_size": "512px",
            "augment": "flip",
            "optimizer": "sgd",
            "schedule": "1x",
            "weights": "imagenet",
            "width": "standard",
            "dataset": "coco",
        } | self.choices
        config: dict[str, Any] = {
            "choices": choices,
            "dataset": {"name": choices["dataset"], "root": "/home/somebody/blood cells"},
            "optimizer": {"name": choices["optimizer"], "lr": 0.02},
            "lr_effective": 0.02,
            "batch_size": 16,
            "n_epochs": 12,
            "precision": "fp32",
            "best_by": "bbox_mAP_50",
            "seed": 0,
            "fold": None,
        } | self.settings
        config["title"] = self.title or base_title(config)
        return config


def write_sweep(
    output_dir: Path,
    jobs: list[WrittenJob],
    *,
    sweep_id: str = "20261103-101500-backbones-7f3a",
    name: str = "backbones",
    labelled: dict[str, bool] | None = None,
    fingerprint: str = "9b1f6c0e52d44a7d8c3a",
) -> SweepFolder:
    """Write a sweep's folder with all its jobs."""
    folder = SweepFolder(output_dir / sweep_id)
    folder.jobs.mkdir(parents=True)
    labelled = {"val": True, "test": True} if labelled is None else labelled
    configs = [job.config() for job in jobs]
    sweep = {
        "id": sweep_id,
        "name": name,
        "command": ["detsweep", "train", "-m", "backbone=resnet50,resnet101", "dataset.root=~/data/blood cells"],
        "axes": {"backbone": ["resnet50", "resnet101"]},
        "settings": {"gpus": "none"},
        "versions": {"detsweep": "0.1.0", "torch": "2.15.0", "mmdet": "3.3.0"},
        "datasets": [
            {
                "name": "blood cells",
                "fingerprint": fingerprint,
                "n_images": {
                    split: count
                    for split, count in (("train", 205), ("val", 87), ("test", 72))
                    if split == "train" or split in labelled
                },
                "labelled": labelled,
            }
        ],
        "jobs": [
            {
                "id": f"{number:04d}",
                "title": config["title"],
                "overrides": [f"backbone={config['choices']['backbone']}"],
                "fingerprint": fingerprint,
            }
            for number, config in enumerate(configs, start=1)
        ],
    }
    folder.sweep.write_text(yaml.safe_dump(sweep, allow_unicode=True), encoding="utf-8")
    for number in range(1, len(jobs) + 1):
        append_line(folder.journal, {"at": STARTED_AT, "event": "planned", "job": f"{number:04d}", "state": "PLANNED"})
    for number, (job, config) in enumerate(zip(jobs, configs, strict=True), start=1):
        _write_job(folder, f"{number:04d}", job, config, labelled)
    return folder


def _write_job(
    sweep: SweepFolder, job_id: str, job: WrittenJob, config: dict[str, Any], labelled: dict[str, bool]
) -> None:
    folder = sweep.job(job_id)
    folder.path.mkdir()
    folder.config.write_text(yaml.safe_dump(config, allow_unicode=True), encoding="utf-8")
    if job.state is JobState.PLANNED:
        return
    attempt = folder.take_attempt()
    started_at = STARTED_AT + 700 * (int(job_id) - 1)
    AttemptSpec(attempt.number, "cpu", n_threads=1, n_workers=0, batch_per_step=4, accumulation=4).write(attempt)
    event = {"job": job_id, "attempt": 1}
    append_line(sweep.journal, {"at": started_at, "event": "started", **event, "state": "RUNNING"})
    n_epochs = config["n_epochs"] if job.n_trained is None else job.n_trained
    records = [_epoch_record(job, config, epoch, started_at, labelled) for epoch in range(1, n_epochs + 1)]
    for record in records:
        record.append(attempt)
    if job.state is JobState.RUNNING:
        return
    if job.state is JobState.COMPLETED:
        result = _completed_result(job, config, records, labelled)
    else:
        result = AttemptResult(
            1, AttemptOutcome.FAILED, Failure(FailureKind.DIVERGED, job.failure), finished_at=started_at + 60
        )
    result.write(attempt)
    ended = {"event": "ended", **event, "state": job.state.value, "reason": job.failure}
    append_line(sweep.journal, {"at": started_at + n_epochs * EPOCH_S, **ended})


def _epoch_record(
    job: WrittenJob, config: dict[str, Any], epoch: int, started_at: float, labelled: dict[str, bool]
) -> MetricRecord:
    detector = config["choices"]["detector"]
    scale = {"faster_rcnn": 1.0, "cascade_rcnn": 1.8, "retinanet": 1.2}[detector]
    learnt = 1 - math.exp(-epoch / 3.5)
    wobble = 0.015 * math.sin(2.3 * epoch + 17 * job.strength)
    values = {
        names.TRAIN_LOSS: scale * (0.25 + 0.9 * (1 - job.strength * learnt)),
        names.LEARNING_RATE: 0.02 * (0.1 if epoch > 8 else 1.0),
    }
    if "val" in labelled:
        ap_50 = job.strength * learnt + wobble
        values |= {
            names.VAL_LOSS: scale * (0.42 + 0.75 * (1 - job.strength * learnt) + max(0, epoch - 8) * 0.012 + wobble),
            "val/bbox_mAP": 0.58 * ap_50,
            "val/bbox_mAP_50": ap_50,
            "val/bbox_mAP_75": 0.55 * ap_50,
            "val/bbox_mAP_m": 0.5 * ap_50,
            "val/bbox_mAP_l": 0.66 * ap_50,
            "val/bbox_mAP_class/RBC": 0.6 * ap_50,
        }
    return MetricRecord(started_at + epoch * EPOCH_S, 1, epoch, values, {"phase": "train", "epoch": epoch})


def _completed_result(
    job: WrittenJob, config: dict[str, Any], records: list[MetricRecord], labelled: dict[str, bool]
) -> AttemptResult:
    metrics = {
        "train/bbox_mAP": 0.6 * job.strength + 0.1,
        "train/bbox_mAP_50": min(1.0, job.strength + 0.12),
        names.PARAMETERS_M: 41.1,
        names.MULTIPLY_ADDS_G: 63.4,
        names.IMAGES_PER_S: 21.3,
        names.WALL_S: len(records) * EPOCH_S,
        names.FIRST_ITERATION_S: 1.7,
    }
    best_epoch = None
    if "val" in labelled:
        chosen = max(records, key=lambda record: record.values["val/bbox_mAP_50"])
        best_epoch = chosen.step
        metrics[names.BEST_EPOCH] = float(best_epoch)
        metrics |= {names.best(name): value for name, value in chosen.values.items() if name.startswith("val/")}
    if labelled.get("test"):
        metrics |= {"test/bbox_mAP": 0.5 * job.strength, "test/bbox_mAP_50": job.strength - 0.03}
        metrics |= {"test/bbox_mAP_s": 0.1 * job.strength, "test/bbox_mAP_l": 0.6 * job.strength}
    notes = ["test split is not labelled"] if labelled.get("test") is False else []
    return AttemptResult(1, AttemptOutcome.COMPLETED, metrics=metrics, best_epoch=best_epoch, notes=notes)


def write_predictions(folder: Path, name: str, detections: list[dict[str, Any]]) -> None:
    """Write a predictions file of a job."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(json.dumps(detections), encoding="utf-8")
