"""What a trained detector finds on generated images that it has not seen: many of them, in batches.

``python -m benchmarks.fresh_images JOB IMAGES INTO``: a job's folder, a generated data set whose test split is looked
at, and the file that the matches go to. ``detsweep evaluate`` goes image by image, which takes several times as long.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from reports.judging.evaluation_set import read_evaluation_set
from reports.judging.matches import COCO_AREAS, Matches, match_run
from reports.kept_arrays import keep_arrays, kept_arrays
from runners.contract.folder import JobFolder
from runners.contract.records import AttemptResult, AttemptSpec
from runners.contract.yamlfile import load_yaml
from sweeper.planning.shapes import write_shapes

BATCH = 25
SPLIT = "test"
# No image of a sweep's data set has it.
FRESH_SEED = 2024
_FOLDER = "fresh"


def write_fresh(job: JobFolder, n_images: int, folder: Path) -> Path:
    """Write fresh images of the kind that a job was trained on, unless they stand already; return their folder."""
    recipe = load_yaml(job.config.read_text(encoding="utf-8"))["dataset"]["shapes"]
    return write_shapes(
        folder / f"{_FOLDER}-{n_images}", **{**recipe, "seed": FRESH_SEED, "n_train": 1, "n_val": 1, "n_test": n_images}
    )


def fresh_matches(jobs: Sequence[JobFolder], images: Path) -> tuple[list[Matches], str]:
    """Return what jobs find on fresh images, one job on each core, and the images' fingerprint.

    What was found is kept beside each job, and found again there.

    Raises:
        CalledProcessError: a job's detector could not be applied.
    """
    fingerprint = read_evaluation_set(images / f"{SPLIT}.json").fingerprint
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        return list(pool.map(lambda job: _matches(job, images, fingerprint), jobs)), fingerprint


def _matches(job: JobFolder, images: Path, fingerprint: str) -> Matches:
    into = job.path / _FOLDER / f"{images.name}.npz"
    key = f"{_best_weights(job)[1]} {fingerprint}"
    kept = kept_arrays(into, key)
    if kept is None:
        print(f"looking at {images.name} with {job.path}", flush=True)
        words = [str(job.path), str(images), str(into), key]
        subprocess.run([sys.executable, "-m", "benchmarks.fresh_images", *words], check=True, stdin=subprocess.DEVNULL)
        kept = kept_arrays(into, key)
        assert kept is not None, "it has just been written"
    return Matches(**kept)


def _best_weights(job: JobFolder) -> tuple[Path, str]:
    """Return the file of a finished job's best weights, and its digest."""
    attempt = job.newest_attempt()
    result = None if attempt is None else AttemptResult.read(attempt)
    if result is None or result.checkpoint is None or result.checkpoint_sha256 is None:
        raise RuntimeError(f"no weights are told of in {job.path}")
    return job.path / result.checkpoint, result.checkpoint_sha256


def find(job: JobFolder, images: Path) -> list[dict[str, Any]]:
    """Return the detections of a job's best weights, as COCO results; in a process that has not imported torch yet."""
    from runners.preload import preload

    preload()
    import torch
    from mmdet.registry import MODELS
    from mmengine.config import ConfigDict
    from mmengine.runner import Runner

    from runners.contract.tuples import tuples_in
    from runners.job import prepare_process
    from runners.mm_config import eval_dataloader
    from runners.trained_weights import load_own, read_trained

    config = load_yaml(job.config.read_text(encoding="utf-8"))
    split = {"ann_file": f"{SPLIT}.json", "image_dir": "images/"}
    config["dataset"] = {**config["dataset"], "root": str(images.resolve()), SPLIT: split}
    attempt = AttemptSpec(0, "cpu", 1, 0, batch_per_step=1, accumulation=1)
    prepare_process(attempt)
    model = MODELS.build(ConfigDict(tuples_in(config, "model")))
    load_own(model, read_trained(*_best_weights(job), "cpu"))
    model.eval()
    loader = Runner.build_dataloader({**eval_dataloader(config, attempt, SPLIT), "batch_size": BATCH})
    category_ids = loader.dataset.cat_ids
    detections: list[dict[str, Any]] = []
    for batch in loader:
        with torch.inference_mode():
            data = model.data_preprocessor(batch, False)
            samples = model(data["inputs"], data["data_samples"], mode="predict")
        for sample in samples:
            found = sample.pred_instances.numpy()
            for (left, top, right, bottom), label, score in zip(
                found.bboxes.tolist(), found.labels.tolist(), found.scores.tolist(), strict=True
            ):
                box = [left, top, right - left, bottom - top]
                category_id = category_ids[label]
                detections.append({"image_id": sample.img_id, "category_id": category_id, "bbox": box, "score": score})
    return detections


def main() -> None:
    """Look, match, and write the file."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fresh_images", description=__doc__)
    parser.add_argument("job", type=Path, help="a finished job's folder")
    parser.add_argument("images", type=Path, help="folder of a generated data set")
    parser.add_argument("into", type=Path, help="file of the matches")
    parser.add_argument("key", help="under which they are kept")
    arguments = parser.parse_args()
    on = read_evaluation_set(arguments.images / f"{SPLIT}.json")
    detections = find(JobFolder(arguments.job), arguments.images)
    keep_arrays(arguments.into, key=np.array(arguments.key), **vars(match_run(on.truth, detections, COCO_AREAS[:1])))


if __name__ == "__main__":
    main()
