"""Carrying an evaluation out: what has been measured already is taken, everything else measured."""

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runners.contract.evaluations import EvaluationResult, EvaluationSpec, Tta
from runners.contract.folder import EvaluationFolder
from runners.contract.jsonfile import write_json, write_text
from runners.contract.metrics import Split
from runners.contract.yamlfile import dump_yaml
from sweeper.runs.evaluated_config import check_split, evaluation_name, lay_over
from sweeper.runs.evaluation_process import Advance, hold_device, run_evaluation
from sweeper.runs.own_data import with_own_data
from sweeper.runs.subject import Subject

# Raised with every change of detsweep that changes what an evaluation measures.
EVALUATION_VERSION = 1


@dataclass(frozen=True)
class Workplace:
    """Where and how evaluations are carried out.

    Attributes:
        output_dir: generated and split data goes there.
        gpus: as in sweeps.
        busy_gpus: as in sweeps.
        n_workers: data loader processes; None chooses by the device.
        say: takes a line for the person at the terminal.
        advance: called when images have been looked at.
    """

    output_dir: Path
    gpus: str
    busy_gpus: str
    n_workers: int | None
    say: Callable[[str], None]
    advance: Advance


@dataclass(frozen=True)
class Evaluated:
    """An evaluation that is there.

    Attributes:
        folder: with everything.
        result: what was measured.
        is_new: whether it has been measured just now.
    """

    folder: EvaluationFolder
    result: EvaluationResult
    is_new: bool


def evaluate_split(
    subject: Subject,
    split: Split,
    tta: Tta | None,
    overrides: Sequence[str],
    place: Workplace,
    *,
    name: str = "",
    again: bool = False,
) -> Evaluated:
    """Evaluate a trained detector on a split, unless that has been done.

    Args:
        subject: the detector.
        split: which split.
        tta: which views of each image.
        overrides: what else differs from the run's config.
        place: where and how.
        name: of the evaluation; made of what it is by default.
        again: although it has been done.

    Raises:
        UserError: something is wrong with data, overrides or checkpoint.
    """
    config = subject.config if overrides else with_own_data(subject.job, subject.config, split, place.output_dir)
    evaluated = lay_over(config, overrides, split, place.output_dir)
    found = check_split(evaluated.config, split)
    for notice in found.notices:
        place.say(f"note: {notice}")
    folder = subject.job.evaluation(name or evaluation_name(split, tta, evaluated))
    spec = _spec(subject, folder, evaluated.config, split, tta, found.fingerprint)
    return _carry_out(folder, spec, evaluated.config, place, again=again)


def predict_images(
    subject: Subject,
    images: Mapping[str, Any],
    tta: Tta | None,
    overrides: Sequence[str],
    place: Workplace,
    name: str,
    *,
    again: bool = False,
) -> Evaluated:
    """Find objects in images of somebody's, unless that has been done.

    Args:
        subject: the detector.
        images: what ``images.json`` is to hold.
        tta: which views of each image.
        overrides: what else differs from the run's config.
        place: where and how.
        name: of the evaluation.
        again: although it has been done.

    Raises:
        UserError: something is wrong with images, overrides or checkpoint.
    """
    evaluated = lay_over(subject.config, overrides, "test", place.output_dir)
    folder = subject.job.evaluation(name)
    stamps = [_stamp(Path(image["file_name"])) for image in images["images"]]
    spec = _spec(subject, folder, evaluated.config, None, tta, json.dumps([images, stamps], sort_keys=True))
    folder.path.mkdir(parents=True, exist_ok=True)
    write_json(folder.images, images)
    return _carry_out(folder, spec, evaluated.config, place, again=again)


def _spec(
    subject: Subject,
    folder: EvaluationFolder,
    config: Mapping[str, Any],
    split: Split | None,
    tta: Tta | None,
    data: str,
) -> EvaluationSpec:
    """Return what is written for the process, without device and threads."""
    decides = {
        "version": EVALUATION_VERSION,
        "model": config["model"],
        # Stages are applied in their order, which sorted keys would hide.
        "pipeline": list(config["pipeline"]["test"].items()),
        "classes": list(config["dataset"]["classes"]),
        "plugins": config.get("plugin_digest", ""),
        "checkpoint": subject.sha256,
        "split": split,
        "tta": tta,
        "data": data,
    }
    identity = hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()
    is_own = subject.checkpoint.is_relative_to(subject.job.path)
    # Relative where the whole folder may be moved with it.
    path = os.path.relpath(subject.checkpoint, folder.path) if is_own else str(subject.checkpoint)
    # Whoever may see the job may see this, and nobody else.
    umask = 0o777 & ~subject.job.path.stat().st_mode
    os.umask(umask)
    return EvaluationSpec(
        path, subject.sha256, split, tta, subject.is_foreign, identity, n_threads=subject.n_threads, umask=umask
    )


def _carry_out(
    folder: EvaluationFolder, spec: EvaluationSpec, config: Mapping[str, Any], place: Workplace, *, again: bool
) -> Evaluated:
    known = EvaluationResult.read(folder)
    if known is not None and not again and _identity(folder) == spec.identity:
        return Evaluated(folder, known, is_new=False)
    folder.path.mkdir(parents=True, exist_ok=True)
    write_text(folder.config, dump_yaml(dict(config)))
    with hold_device(place.gpus, place.busy_gpus, place.say) as held:
        result = run_evaluation(folder, spec, held, place.n_workers, place.advance)
    return Evaluated(folder, result, is_new=True)


def _identity(folder: EvaluationFolder) -> str:
    try:
        return EvaluationSpec.read(folder).identity
    except (FileNotFoundError, ValueError, TypeError):
        return ""


def _stamp(path: Path) -> tuple[int, int] | None:
    """Return what changes with an image's content."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns
