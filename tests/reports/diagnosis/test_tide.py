"""Error types and their costs: those of the tidecv package on the same inputs, and of copied images under weights."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reports.diagnosis.error_types import find_errors
from reports.diagnosis.findings import MAIN_TYPES, ErrorType, Findings
from reports.diagnosis.tide import WeightedDiagnosis, cost_effects, diagnose, error_costs, mean_diagnosis
from reports.judging.image_weights import image_weights
from tests.reports.judging.test_average_precision import N_CLASSES, N_IMAGES, copied, made_up

NAMES = {
    "Cls": ErrorType.CLASSIFICATION,
    "Loc": ErrorType.LOCALISATION,
    "Both": ErrorType.BOTH,
    "Dupe": ErrorType.DUPLICATE,
    "Bkg": ErrorType.BACKGROUND,
    "Miss": ErrorType.MISSED,
}


def by_tidecv(truth: dict[str, Any], detections: list[dict[str, Any]], found_iou: float = 0.5) -> Any:
    """Return a run of the tidecv package."""
    tidecv = pytest.importorskip("tidecv")
    labelled, found = tidecv.Data("truth", max_dets=100), tidecv.Data("found")
    for image in truth["images"]:
        labelled.add_image(image["id"], str(image["id"]))
    for category in truth["categories"]:
        labelled.add_class(category["id"], category["name"])
    for entry in truth["annotations"]:
        add = labelled.add_ignore_region if entry.get("iscrowd") else labelled.add_ground_truth
        add(entry["image_id"], entry["category_id"], entry["bbox"])
    for entry in detections:
        found.add_detection(entry["image_id"], entry["category_id"], entry["score"], entry["bbox"])
    tide = tidecv.TIDE(pos_threshold=found_iou)
    tide.evaluate(labelled, found, mode=tidecv.TIDE.BOX, name="run")
    return tide.runs["run"]


def numbers_of_tidecv(run: Any) -> dict[str, float]:
    values = {NAMES[error.short_name].word: cost for error, cost in run.fix_main_errors().items()}
    values |= {error.short_name: cost for error, cost in run.fix_special_errors().items()}
    counts = {f"n {NAMES[error.short_name].word}": count for error, count in run.count_errors().items()}
    return {**values, **counts, "ap": run.ap}


def our_numbers(findings: Findings) -> dict[str, float]:
    ours = diagnose(findings)
    values = {error.word: 100 * cost for error, cost in ours.costs.items()}
    counts = {f"n {error.word}": float(count) for error, count in ours.counts.items()}
    special = {"FalsePos": 100 * ours.false_positives, "FalseNeg": 100 * ours.false_negatives}
    return {**values, **special, **counts, "ap": 100 * ours.ap50}


def shuffled(truth: dict[str, Any], seed: int) -> dict[str, Any]:
    """Return the same with images and objects in another order, as real files have them."""
    draw = np.random.default_rng(seed)
    return {
        **truth,
        "images": [truth["images"][place] for place in draw.permutation(len(truth["images"]))],
        "annotations": [truth["annotations"][place] for place in draw.permutation(len(truth["annotations"]))],
    }


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("with_ties", [False, True])
def test_types_counts_and_costs_are_those_of_tidecv(seed: int, with_ties: bool) -> None:
    truth, detections = made_up(seed, with_ties=with_ties)
    truth = shuffled(truth, seed)
    ours = our_numbers(find_errors(truth, detections))
    assert ours == pytest.approx(numbers_of_tidecv(by_tidecv(truth, detections)), abs=1e-6)
    assert all(ours[f"n {error.word}"] > 0 for error in MAIN_TYPES)


def on_a_grid(seed: int) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return boxes of a few whole sizes and places: overlaps of just 0.5 and 0.1, and equal ones, are common."""
    draw = np.random.default_rng(seed)

    def entry(image_id: int) -> dict[str, Any]:
        box = [*(10.0 * draw.integers(0, 4, 2)), *draw.choice([10.0, 20.0, 30.0], 2)]
        return {"image_id": image_id, "category_id": int(draw.integers(1, 3)), "bbox": [float(side) for side in box]}

    images = [{"id": number} for number in range(1, 31)]
    truth = {
        "images": images,
        "categories": [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}],
        "annotations": [
            {**entry(image["id"]), "iscrowd": int(draw.random() < 0.1)} for image in images for _ in range(3)
        ],
    }
    detections = [{**entry(image["id"]), "score": float(draw.integers(1, 4)) / 4} for image in images for _ in range(6)]
    return truth, detections


@pytest.mark.parametrize("seed", range(4))
def test_overlaps_at_the_limits_fall_to_the_side_that_tidecv_has(seed: int) -> None:
    truth, detections = on_a_grid(seed)
    findings = find_errors(truth, detections)
    assert {0.5, 1.0} <= set(findings.iou)
    assert our_numbers(findings) == pytest.approx(numbers_of_tidecv(by_tidecv(truth, detections)), abs=1e-6)


def test_at_another_overlap_they_are_those_of_tidecv() -> None:
    truth, detections = made_up(8)
    ours, theirs = find_errors(truth, detections, found_iou=0.75), by_tidecv(truth, detections, found_iou=0.75)
    assert our_numbers(ours) == pytest.approx(numbers_of_tidecv(theirs), abs=1e-6)


def test_every_single_error_is_the_one_that_tidecv_sees() -> None:
    truth, detections = made_up(11, with_ties=True)
    theirs: Counter[tuple[ErrorType, int, int | None]] = Counter()
    n_crowds_before = np.cumsum([bool(entry["iscrowd"]) for entry in truth["annotations"]])
    assert n_crowds_before[-1] > 0
    for error in by_tidecv(truth, detections).errors:
        kind = NAMES[error.short_name]
        detection = error.pred["_id"] if hasattr(error, "pred") else -1
        theirs[kind, detection, error.gt["_id"] if hasattr(error, "gt") else None] += 1
    says_which = (ErrorType.CLASSIFICATION, ErrorType.LOCALISATION, ErrorType.MISSED)
    ours = Counter(
        (row.error, -1 if row.detection is None else row.detection, row.object if row.error in says_which else None)
        for row in find_errors(truth, detections).records()
        if row.error is not ErrorType.NONE
    )
    assert ours == theirs


def test_on_real_labels_they_are_those_of_tidecv(shared_data: Path) -> None:
    truth = json.loads((shared_data / "bccd" / "val.json").read_text())
    detections = perturbed(truth, seed=0)
    findings = find_errors(truth, detections)
    assert our_numbers(findings) == pytest.approx(numbers_of_tidecv(by_tidecv(truth, detections)), abs=1e-6)


def perturbed(truth: dict[str, Any], seed: int) -> list[dict[str, Any]]:
    """Return detections as a middling detector would have them: boxes moved, left out, doubled, misnamed, made up."""
    draw = np.random.default_rng(seed)
    ids = [category["id"] for category in truth["categories"]]
    detections = []
    for entry in truth["annotations"]:
        box = np.array(entry["bbox"], dtype=float)
        for _ in range(draw.choice([0, 1, 2], p=[0.1, 0.7, 0.2])):
            moved = [*(box[:2] + draw.normal(0, 0.15, 2) * box[2:]), *(box[2:] * draw.uniform(0.8, 1.25, 2))]
            if draw.random() < 0.1:
                moved[0] += 3 * box[2]
            class_id = int(draw.choice(ids)) if draw.random() < 0.1 else entry["category_id"]
            detections.append(
                {
                    "image_id": entry["image_id"],
                    "category_id": class_id,
                    "bbox": [float(number) for number in moved],
                    "score": round(float(draw.random()), 3),
                }
            )
    return detections


def test_a_class_without_objects_images_without_either_and_too_many_detections() -> None:
    truth, detections = made_up(5)
    truth["annotations"] = [
        entry for entry in truth["annotations"] if entry["category_id"] != 2 and entry["image_id"] % 5
    ]
    detections = [entry for entry in detections if entry["image_id"] % 7]
    draw = np.random.default_rng(0)
    detections += [
        {"image_id": 1, "category_id": int(draw.integers(1, 4)), "bbox": [5.0, 5.0, 40.0, 40.0], "score": draw.random()}
        for _ in range(150)
    ]
    # Of an image that the file does not list.
    detections.append({"image_id": 999, "category_id": 1, "bbox": [0.0, 0.0, 9.0, 9.0], "score": 0.9})
    # Of a class that the file does not name.
    detections.append({"image_id": 2, "category_id": 77, "bbox": [0.0, 0.0, 9.0, 9.0], "score": 0.9})
    ours = our_numbers(find_errors(truth, detections))
    assert ours == pytest.approx(numbers_of_tidecv(by_tidecv(truth, detections)), abs=1e-6)


def test_a_run_that_found_nothing_misses_everything_and_one_without_labels_is_all_background() -> None:
    truth, detections = made_up(1)
    nothing = our_numbers(find_errors(truth, []))
    n_objects = sum(not entry["iscrowd"] for entry in truth["annotations"])
    assert (nothing["ap"], nothing["n missed"]) == (0.0, n_objects)
    unlabelled = diagnose(find_errors({**truth, "annotations": []}, detections))
    assert unlabelled.counts[ErrorType.BACKGROUND] == len(detections)
    assert unlabelled.ap50 == 0.0
    assert unlabelled.costliest is None
    assert np.isnan(diagnose(find_errors({**truth, "annotations": []}, [])).ap50)


def test_what_each_row_says() -> None:
    truth = {
        "images": [{"id": 30}, {"id": 10}],
        "categories": [{"id": 4, "name": "cup"}, {"id": 7, "name": "lid"}],
        "annotations": [
            {"id": 1, "image_id": 30, "category_id": 4, "bbox": [0, 0, 10, 10]},
            {"id": 2, "image_id": 30, "category_id": 7, "bbox": [50, 0, 10, 10]},
            {"id": 3, "image_id": 10, "category_id": 4, "bbox": [0, 0, 10, 10]},
            {"id": 4, "image_id": 10, "category_id": 7, "bbox": [90, 0, 10, 10]},
            {"id": 5, "image_id": 10, "category_id": 7, "bbox": [200, 0, 100, 100], "iscrowd": 1},
        ],
    }

    def found(image_id: int, class_id: int, x: float, width: float, score: float) -> dict[str, Any]:
        return {"image_id": image_id, "category_id": class_id, "bbox": [x, 0, width, 10], "score": score}

    detections = [
        found(10, 4, 6, 10, 0.9),  # overlaps its object by a quarter
        found(30, 4, 0, 10, 0.8),  # right
        found(30, 4, 0, 9, 0.7),  # the same again
        found(30, 4, 50, 10, 0.6),  # a lid called cup
        found(30, 4, 54, 10, 0.5),  # near a lid
        found(30, 4, 300, 10, 0.4),  # nothing is there
        found(10, 7, 210, 20, 0.3),  # inside the crowd
    ]
    rows = list(find_errors(truth, detections).records())
    assert [(row.error.word, row.image_id, row.detection, row.object) for row in rows] == [
        ("none", 30, 1, 0),
        ("duplicate", 30, 2, 0),
        ("classification", 30, 3, 1),
        ("both", 30, 4, 1),
        ("background", 30, 5, None),
        ("localisation", 10, 0, 2),
        ("background", 10, 6, None),
        ("missed", 10, None, 3),
    ]
    assert [row.is_ignored for row in rows] == [False] * 6 + [True, False]
    named = rows[2]
    assert (named.detected_class, named.object_class, named.score, named.iou) == (4, 7, 0.6, 1.0)
    assert (rows[7].detected_class, rows[7].object_class, rows[7].score, rows[7].iou) == (None, 7, None, None)
    assert rows[5].iou == pytest.approx(4 / 16)


def test_under_whole_weights_costs_are_those_of_a_set_with_copied_images() -> None:
    truth, detections = made_up(7)
    weights = image_weights("ab" * 32, N_IMAGES, n_replicates=5)
    costs = error_costs(find_errors(truth, detections), weights.astype(float))
    for number, counts in enumerate(weights):
        theirs = our_numbers(find_errors(*copied(truth, detections, counts)))
        ours = {error.word: 100 * values[number] for error, values in costs.main.items()}
        ours |= {
            "FalsePos": 100 * costs.false_positives[number],
            "FalseNeg": 100 * costs.false_negatives[number],
            "ap": 100 * costs.ap50[number],
        }
        assert ours == pytest.approx({name: theirs[name] for name in ours}, abs=1e-9)
    in_one = by_tidecv(*copied(truth, detections, weights[0]))
    assert 100 * costs.ap50[0] == pytest.approx(in_one.ap, abs=1e-9)


def test_a_class_that_no_weighted_image_holds_is_left_out() -> None:
    truth, detections = made_up(4)
    holds = {entry["image_id"] for entry in (*truth["annotations"], *detections) if entry["category_id"] == N_CLASSES}
    weights = np.array([[float(image["id"] not in holds) for image in truth["images"]]])
    assert weights.sum() > 2
    kept = [image["id"] for image, weight in zip(truth["images"], weights[0], strict=True) if weight]
    part = {
        **truth,
        "images": [image for image in truth["images"] if image["id"] in kept],
        "annotations": [entry for entry in truth["annotations"] if entry["image_id"] in kept],
    }
    theirs = diagnose(find_errors(part, [entry for entry in detections if entry["image_id"] in kept]))
    costs = error_costs(find_errors(truth, detections), weights)
    assert costs.ap50[0] == pytest.approx(theirs.ap50, abs=1e-12)
    assert {error: values[0] for error, values in costs.main.items()} == pytest.approx(theirs.costs, abs=1e-12)


def test_two_arms_differ_in_what_an_error_costs() -> None:
    truth, detections = made_up(2)
    weights = image_weights("cd" * 32, N_IMAGES, n_replicates=200).astype(float)
    draw = np.random.default_rng(0)

    def runs(share_misnamed: float) -> list[Findings]:
        made = []
        for _ in range(3):
            named = [
                {**entry, "category_id": entry["category_id"] % N_CLASSES + 1}
                if draw.random() < share_misnamed
                else entry
                for entry in detections
            ]
            made.append(find_errors(truth, named))
        return made

    base, misnamed = (
        [WeightedDiagnosis(diagnose(run), error_costs(run, weights)) for run in runs(share)] for share in (0.05, 0.4)
    )
    effects = cost_effects(misnamed, base, n_images=base[0].diagnosis.n_images)
    low, high = effects[ErrorType.CLASSIFICATION].interval(0.05)
    assert 0 < low < effects[ErrorType.CLASSIFICATION].difference < high
    assert all(one.difference == 0 for one in cost_effects(base, base, n_images=30).values())
    means = [mean_diagnosis([run.diagnosis for run in arm]) for arm in (misnamed, base)]
    for error, one in effects.items():
        assert means[0].costs[error] - means[1].costs[error] == pytest.approx(one.difference)
    assert means[0].costliest is ErrorType.CLASSIFICATION
    assert means[0].counts[ErrorType.CLASSIFICATION] > means[1].counts[ErrorType.CLASSIFICATION]


def test_findings_come_back_from_their_file(tmp_path: Path) -> None:
    findings = find_errors(*made_up(3))
    findings.save(tmp_path / "findings.npz")
    again = Findings.load(tmp_path / "findings.npz")
    assert list(again.records()) == list(findings.records())
    assert our_numbers(again) == our_numbers(findings)
