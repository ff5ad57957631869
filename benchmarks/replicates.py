"""How long a thousand replicates of average precision take, beside a loop over pycocotools on the same detections.

``python -m benchmarks.replicates [--images 5000]``; about two minutes on two cores. Made-up detections of the size of
COCO's val: AP, AP50 and AP by size over 5,000 images, 80 classes and 100 detections of each image, under 1,000
weightings of the images. The loop matches once, which is kinder than matching every data set drawn anew, and lets
pycocotools accumulate over images drawn with replacement; a few rounds are timed and scaled. On each of them both must
give the same number.
"""

import argparse
import contextlib
import io
import resource
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from benchmarks.results import Result
from reports.judging.average_precision import average_precision, mean_ap
from reports.judging.image_weights import image_weights
from reports.judging.matches import match_run

N_CLASSES, N_DETECTIONS, N_REPLICATES, N_ROUNDS = 80, 100, 1000, 2
OBJECTS_PER_IMAGE = 7.3
FINGERPRINT = "00" * 32
AIM_S, TOLERANCE = 20.0, 1e-12
# AP, AP50, and AP of small, medium and large objects: size bin and threshold.
ASKED: Sequence[tuple[int, int | None]] = ((0, None), (0, 0), (1, None), (2, None), (3, None))


@dataclass(frozen=True)
class Timed:
    """What was measured.

    Attributes:
        match_s: seconds of matching once, ours.
        replicates_s: seconds of all replicates.
        cpu_s: seconds of the processor that they took: the same whatever else runs.
        evaluate_s: seconds of matching once, pycocotools.
        accumulate_s: seconds of each round of the loop.
        difference: the largest between the two, over what is asked, at weight one and in the rounds.
        peak_gb: most resident memory of this process, 1e9 bytes.
    """

    match_s: float
    replicates_s: float
    cpu_s: float
    evaluate_s: float
    accumulate_s: tuple[float, ...]
    difference: float
    peak_gb: float


def made_up(n_images: int, draw: np.random.Generator) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return an annotation file's content, and detections near its objects and beside them."""
    annotations: list[dict[str, Any]] = []
    detections: list[dict[str, Any]] = []
    for image_id in range(1, n_images + 1):
        n_objects = int(draw.poisson(OBJECTS_PER_IMAGE))
        classes = draw.integers(1, N_CLASSES + 1, n_objects)
        sizes = draw.choice([18.0, 60.0, 180.0], n_objects, p=[0.41, 0.34, 0.25])[:, None] * draw.uniform(
            0.7, 1.3, (n_objects, 2)
        )
        boxes = np.hstack([draw.uniform(0, 400, (n_objects, 2)), sizes])
        for class_id, box in zip(classes.tolist(), boxes.tolist(), strict=True):
            of_object = {"image_id": image_id, "category_id": class_id, "bbox": box}
            annotations.append({"id": len(annotations) + 1, **of_object, "area": box[2] * box[3], "iscrowd": 0})
        near = draw.integers(0, max(n_objects, 1), N_DETECTIONS)
        is_near = (draw.random(N_DETECTIONS) < 0.3) & (n_objects > 0)
        moved = boxes[near] if n_objects else np.zeros((N_DETECTIONS, 4))
        moved = moved + draw.normal(0, 0.12, moved.shape) * np.tile(moved[:, 2:], 2)
        beside = np.hstack([draw.uniform(0, 400, (N_DETECTIONS, 2)), draw.uniform(10, 200, (N_DETECTIONS, 2))])
        found = np.where(is_near[:, None], moved, beside)
        found_class = np.where(
            is_near, classes[near] if n_objects else 0, draw.integers(1, N_CLASSES + 1, N_DETECTIONS)
        )
        scores = np.where(is_near, draw.beta(4, 2, N_DETECTIONS), draw.beta(1.5, 6, N_DETECTIONS))
        detections += [
            {"image_id": image_id, "category_id": class_id, "bbox": box, "score": score}
            for class_id, box, score in zip(found_class.tolist(), found.tolist(), scores.tolist(), strict=True)
        ]
    images = [{"id": image_id, "width": 640, "height": 640} for image_id in range(1, n_images + 1)]
    categories = [{"id": number, "name": str(number)} for number in range(1, N_CLASSES + 1)]
    return {"images": images, "categories": categories, "annotations": annotations}, detections


def asked_of(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (J, 5) what is asked for, from `average_precision`."""
    return np.stack([mean_ap(values, area, threshold) for area, threshold in ASKED], axis=1)


class CocoLoop:
    """Pycocotools on images drawn with replacement; matched once."""

    def __init__(self, truth: dict[str, Any], detections: list[dict[str, Any]]) -> None:
        with contextlib.redirect_stdout(io.StringIO()):
            ground_truth = COCO()
            ground_truth.dataset = truth
            ground_truth.createIndex()
            self._evaluator = COCOeval(ground_truth, ground_truth.loadRes(detections), "bbox")
            began_s = time.perf_counter()
            self._evaluator.evaluate()
        self.evaluate_s = time.perf_counter() - began_s
        self._of_image = list(self._evaluator.evalImgs)

    def accumulate(self, drawn: NDArray[np.int64]) -> tuple[NDArray[np.float64], float]:
        """Return (5,) what is asked for of a set of images, and the seconds that it took.

        Args:
            drawn: indices of the images, one as often as it was drawn.
        """
        evaluator, n_images = self._evaluator, len(self._of_image) // (N_CLASSES * 4)
        evaluator.evalImgs = [
            self._of_image[block * n_images + image] for block in range(N_CLASSES * 4) for image in drawn.tolist()
        ]
        evaluator.params.imgIds = list(range(len(drawn)))
        evaluator._paramsEval.imgIds = list(range(len(drawn)))
        began_s = time.perf_counter()
        with contextlib.redirect_stdout(io.StringIO()):
            evaluator.accumulate()
        took_s = time.perf_counter() - began_s
        precision = evaluator.eval["precision"][:, :, :, :, -1]  # thresholds, recalls, classes, areas
        return np.array([_mean(precision, *asked) for asked in ASKED]), took_s


def _mean(precision: NDArray[np.float64], area: int, threshold: int | None) -> float:
    chosen = precision[slice(None) if threshold is None else slice(threshold, threshold + 1), :, :, area]
    return float(chosen[chosen > -1].mean())


def measure(n_images: int, n_replicates: int, n_rounds: int) -> Timed:
    """Time both on the same detections, and compare what they say."""
    truth, detections = made_up(n_images, np.random.default_rng(7))
    began_s = time.perf_counter()
    matches = match_run(truth, detections)
    match_s = time.perf_counter() - began_s
    drawn = image_weights(FINGERPRINT, n_images, n_replicates=n_replicates)
    weights = np.vstack([np.ones((1, n_images)), drawn])
    began_s, began_cpu_s = time.perf_counter(), time.process_time()
    values = asked_of(average_precision(matches, weights))
    replicates_s, cpu_s = time.perf_counter() - began_s, time.process_time() - began_cpu_s
    peak_gb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    loop = CocoLoop(truth, detections)
    every_image = np.arange(n_images)
    alone, _ = loop.accumulate(every_image)
    differences, accumulate_s = [np.abs(alone - values[0]).max()], []
    for row in range(1, n_rounds + 1):
        found, took_s = loop.accumulate(np.repeat(every_image, drawn[row - 1]))
        accumulate_s.append(took_s)
        differences.append(np.abs(found - values[row]).max())
    return Timed(
        match_s,
        replicates_s,
        cpu_s,
        loop.evaluate_s,
        tuple(accumulate_s),
        float(max(differences)),
        peak_gb,
    )


def build_result(timed: Timed, n_images: int, n_replicates: int) -> Result:
    """Return the table."""
    loop_s = float(np.median(timed.accumulate_s)) * n_replicates
    rows = [
        {
            "way": "detsweep",
            "matching s": timed.match_s,
            "replicates s": timed.replicates_s,
            "times as long": 1.0,
        },
        {
            "way": "pycocotools in a loop",
            "matching s": timed.evaluate_s,
            "replicates s": loop_s,
            "times as long": loop_s / timed.replicates_s,
        },
    ]
    return Result(
        "replicates",
        f"{n_replicates} replicates of AP, AP50 and AP by size ({n_images} images, {N_CLASSES} classes, "
        f"{N_DETECTIONS} detections of each image)",
        rows,
        [
            f"The loop is scaled from {len(timed.accumulate_s)} rounds; it matches once, then pycocotools accumulates.",
            f"Both on one core; the replicates took {timed.cpu_s:.1f} s of the processor, whatever else ran.",
            f"Largest difference between the two, at weight one and in these rounds: {timed.difference:.1e} (of 1); "
            f"most memory {timed.peak_gb:.2f} GB, with detections and annotations as Python objects.",
        ],
        {
            f"{N_REPLICATES} replicates within {AIM_S:.0f} s": timed.replicates_s <= AIM_S,
            f"equal to pycocotools to {TOLERANCE:.0e}": timed.difference <= TOLERANCE,
        },
        {
            "accumulate_s": list(timed.accumulate_s),
            "cpu_s": timed.cpu_s,
            "peak_gb": timed.peak_gb,
            "difference": timed.difference,
        },
    )


def main() -> None:
    """Measure, print, and write the file."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.replicates",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--images", type=int, default=5000)
    parser.add_argument("--replicates", type=int, default=N_REPLICATES)
    parser.add_argument("--rounds", type=int, default=N_ROUNDS, help="of pycocotools' loop that are timed")
    arguments = parser.parse_args()
    timed = measure(arguments.images, arguments.replicates, arguments.rounds)
    build_result(timed, arguments.images, arguments.replicates).tell()


if __name__ == "__main__":
    main()
