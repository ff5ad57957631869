"""One evaluation, from its spec to what was found: a trained detector on a split, or on images of somebody's."""

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mmdet.registry import MODELS
from mmengine.config import ConfigDict

from runners.allowlist import refuse_foreign_code
from runners.contract.coco import CocoFile, read_coco
from runners.contract.errors import UserError
from runners.contract.evaluations import EvaluationResult, EvaluationSpec
from runners.contract.folder import EvaluationFolder
from runners.contract.jsonfile import write_text
from runners.contract.metrics import Split
from runners.contract.records import AttemptSpec
from runners.contract.tuples import tuples_in
from runners.contract.yamlfile import load_yaml
from runners.dataset import image_problem
from runners.evaluation import SplitEvaluator
from runners.job import prepare_process
from runners.mm_config import annotation_file
from runners.needed_ops import ops_of, refuse_unserved
from runners.plugins import import_plugins
from runners.pretrained import read_weights_only
from runners.sync_norm import without_synchronisation
from runners.trained_weights import load_foreign, load_own, read_trained
from runners.views import views_model, views_pipeline

# What an image list of somebody's stands in for: no split of it is scored.
_UNSCORED: Split = "test"


def evaluate_job(
    folder: EvaluationFolder, spec: EvaluationSpec, on_image: Callable[[int, int], None]
) -> EvaluationResult:
    """Evaluate as the folder says, and write the detections into it.

    Args:
        folder: the evaluation's.
        spec: what it holds.
        on_image: called before each image with its number (from 1) and how many there are.

    Raises:
        UserError: the checkpoint does not fit the config, or the data does not fit the classes.
        DataError: an image of a split cannot be used.
    """
    config = load_yaml(folder.config.read_text(encoding="utf-8"))
    attempt = AttemptSpec(0, spec.device, spec.n_threads, spec.n_workers, batch_per_step=1, accumulation=1)
    prepare_process(attempt)
    import_plugins(config, folder.path)
    refuse_foreign_code(config)
    refuse_unserved(ops_of(config["model"]))
    weights = read_trained((folder.path / spec.checkpoint).resolve(), spec.checkpoint_sha256, "cpu")
    read_weights_only()  # a model may load a part of itself while it is built
    model = MODELS.build(ConfigDict(without_synchronisation(tuples_in(config, "model"))))
    classes, notes = list(config["dataset"]["classes"]), []
    if spec.is_foreign:
        notes = load_foreign(model, weights, len(classes))
        classes = _order_of(weights.classes, classes, weights.path)
    else:
        load_own(model, weights)
    model.to(spec.device)
    left_out: dict[str, str] = {}
    if spec.split is None:
        coco = read_coco(folder.images)
        truth, left_out = _usable(coco)
    else:
        coco = read_coco(annotation_file(config, spec.split))
        truth = dict(coco.content)
    config = _with_views(config, spec)
    config["dataset"] = {**config["dataset"], "classes": classes}
    split = spec.split or _UNSCORED
    evaluator = _evaluator(folder, config, attempt, split, _in_order(truth, classes, coco.path), on_image)
    views = None if spec.tta is None else views_model(model, config["model"].get("test_cfg"))
    found = evaluator.evaluate(model, with_loss=False, views=views)
    write_text(folder.detections, json.dumps(found.detections, separators=(",", ":")))
    return EvaluationResult(
        metrics=found.metrics,
        n_images=len(truth["images"]),
        n_detections=len(found.detections),
        left_out=left_out,
        notes=notes if evaluator.is_labelled or spec.split is None else [*notes, f"{split} split is not labelled"],
        finished_at=time.time(),
    )


def _with_views(config: Mapping[str, Any], spec: EvaluationSpec) -> dict[str, Any]:
    if spec.tta is None:
        return dict(config)
    pipeline = {**config["pipeline"], "test": views_pipeline(tuples_in(config, "pipeline.test"), spec.tta)}
    return {**config, "pipeline": pipeline}


def _evaluator(
    folder: EvaluationFolder,
    config: dict[str, Any],
    attempt: AttemptSpec,
    split: Split,
    truth: Mapping[str, Any],
    on_image: Callable[[int, int], None],
) -> SplitEvaluator:
    # Images of somebody's have absolute paths, and whichever folder is put before them does not count.
    node = config["dataset"].get(split) or {"image_dir": ""}
    config = {**config, "dataset": {**config["dataset"], split: {**node, "ann_file": "truth.json"}}}
    path = folder.path / ".truth.json"
    write_text(path, json.dumps(truth, ensure_ascii=False))
    try:
        return SplitEvaluator(config, attempt, split, truth, path, on_image)
    finally:
        path.unlink()


def _in_order(truth: Mapping[str, Any], classes: list[str], path: Path) -> dict[str, Any]:
    """Return an annotation file's content with its categories in the order of the model's labels.

    MMDetection numbers labels by the order of the file, whatever order the classes were trained in.
    """
    by_name = {str(category["name"]): category for category in truth["categories"]}
    if sorted(by_name) != sorted(classes):
        raise UserError(
            f"classes differ in {path}: {', '.join(sorted(by_name))}, the model knows {', '.join(sorted(classes))}; "
            "name the categories as they were trained"
        )
    return {**truth, "categories": [by_name[name] for name in classes]}


def _order_of(trained: Any, classes: list[str], path: Path) -> list[str]:
    """Return the classes in the order in which a checkpoint was trained, if it says so."""
    if trained is None:
        return classes
    if sorted(trained) != sorted(classes):
        raise UserError(
            f"classes differ in {path}: it was trained on {', '.join(trained)}, the data has {', '.join(classes)}; "
            "name the categories of the data as they were trained"
        )
    return list(trained)


def _usable(coco: CocoFile) -> tuple[dict[str, Any], dict[str, str]]:
    """Return a list of images without those that cannot be decoded, and why each of these cannot."""
    problems = {str(image["file_name"]): image_problem(Path(str(image["file_name"]))) for image in coco.images}
    left_out = {name: problem for name, problem in problems.items() if problem is not None}
    images = [image for image in coco.images if image["file_name"] not in left_out]
    if not images:
        raise UserError(
            f"images in {coco.path}: none of {len(coco.images)} can be used; {next(iter(left_out.values()))}"
        )
    return {**coco.content, "images": images, "annotations": []}, left_out
