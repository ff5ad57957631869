"""What is looked at: the images of a split with their labels, and the findings of one or two runs on them."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reports.diagnosis.findings import ErrorType, Findings
from reports.viewing.kept_findings import boxed_findings
from runners.contract.coco import CocoFile, read_coco

# COCO's bins by area in pixels: small below the first, large from the second on.
SIZES = ("small", "medium", "large")
SIZE_BOUNDS = (32**2, 96**2)
# An object with one of these is not a missed one: a detection is on it, with the wrong name or box.
COVERING = (ErrorType.NONE, ErrorType.CLASSIFICATION, ErrorType.LOCALISATION)
LETTERS = ("A", "B")
# A detection below it is taken for not there, where nobody says another.
MIN_SCORE = 0.3


@dataclass(frozen=True)
class RunFiles:
    """Where the findings of one run come from.

    Attributes:
        title: its name.
        predictions: COCO results.
        kept: where its findings are kept.
    """

    title: str
    predictions: str
    kept: str


@dataclass(frozen=True)
class ViewFiles:
    """Everything that a page needs, as one line of JSON hands it over.

    Attributes:
        split: which split it is.
        ann_file: its annotation file.
        image_dir: where its images lie.
        runs: one or two.
        min_score: a detection below it is taken for not there at first, 0-1; the page lets it be changed.
    """

    split: str
    ann_file: str
    image_dir: str
    runs: Sequence[RunFiles]
    min_score: float = MIN_SCORE

    def dump(self) -> str:
        """Return it as JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def load(cls, text: str) -> "ViewFiles":
        """Read what `dump` returned."""
        told = json.loads(text)
        return cls(**{**told, "runs": [RunFiles(**run) for run in told["runs"]]})


@dataclass(frozen=True)
class Labels:
    """The objects of a split; A of them, in the order of the annotation file.

    Attributes:
        boxes: (A, 4) xywh in original pixels.
        image: (A,) index of the image among those of the view; -1 for one of an image that the file does not list.
        class_index: (A,) index among the class ids of the findings.
        area: (A,) as the file has it, else of the box, in pixels.
        is_counted: (A,) false for crowds.
    """

    boxes: NDArray[np.float64]
    image: NDArray[np.int64]
    class_index: NDArray[np.int64]
    area: NDArray[np.float64]
    is_counted: NDArray[np.bool_]


@dataclass(frozen=True)
class ViewedRun:
    """One run.

    Attributes:
        title: its name.
        findings: a row for each detection and each missed object.
        boxes: (R, 4) xywh of the rows' detections in original pixels.
        found_score: (A,) score of the detection that found each object, 0-1; -1 where none did.
        cover_score: (A,) the highest score of a detection that found it, or would but for its name or box; -1 likewise.
        found_row: (A,) the row that found it; -1 where none did.
    """

    title: str
    findings: Findings
    boxes: NDArray[np.float64]
    found_score: NDArray[np.float64]
    cover_score: NDArray[np.float64]
    found_row: NDArray[np.int64]

    @cached_property
    def rows_of_image(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The rows of detections ordered by image, and (N + 1,) where each image begins among them."""
        rows = np.flatnonzero(self.findings.detection >= 0)
        rows = rows[np.argsort(self.findings.image[rows], kind="stable")]
        bounds = np.arange(len(self.findings.image_ids) + 1)
        return rows, np.searchsorted(self.findings.image[rows], bounds)

    def rows(self, image: int) -> NDArray[np.int64]:
        """Return the rows of an image's detections, the highest score first."""
        rows, starts = self.rows_of_image
        return rows[starts[image] : starts[image + 1]]


@dataclass(frozen=True)
class View:
    """One or two runs on the images of one split.

    Attributes:
        split: which split.
        coco: its annotation file.
        image_dir: where the images lie.
        images: their records, by ascending id: an image's index in them is what everything else calls it by.
        class_names: by ascending category id.
        labels: the objects.
        runs: one or two.
    """

    split: str
    coco: CocoFile
    image_dir: Path
    images: Sequence[dict[str, Any]]
    class_names: Sequence[str]
    labels: Labels
    runs: Sequence[ViewedRun]

    @cached_property
    def objects_of_image(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The objects ordered by image, and (N + 1,) where each image begins among them."""
        order = np.argsort(self.labels.image, kind="stable")
        return order, np.searchsorted(self.labels.image[order], np.arange(len(self.images) + 1))

    def objects(self, image: int) -> NDArray[np.int64]:
        """Return the objects of an image."""
        order, starts = self.objects_of_image
        return order[starts[image] : starts[image + 1]]

    @cached_property
    def highest_score(self) -> float | None:
        """The score of the surest detection of all; None where there is none."""
        scores = [run.findings.score[run.findings.detection >= 0] for run in self.runs]
        return max((float(one.max()) for one in scores if len(one)), default=None)

    @cached_property
    def n_objects(self) -> NDArray[np.int64]:
        """(C,) objects of each class that count."""
        counts: NDArray[np.int64] = self.runs[0].findings.n_objects.sum(axis=1)
        return counts


def open_view(files: ViewFiles) -> View:
    """Read what is looked at; the first time the findings of each run are computed, which takes some seconds.

    Raises:
        UserError: a file is missing or damaged.
    """
    coco = read_coco(Path(files.ann_file), f"dataset.{files.split}")
    found = [boxed_findings(Path(run.predictions), coco, Path(run.kept)) for run in files.runs]
    # Each run knows the file's classes, and any others that its detections name.
    class_ids = found[0].findings.class_ids
    for other in found[1:]:
        class_ids = np.union1d(class_ids, other.findings.class_ids)
    names = {category["id"]: str(category["name"]) for category in coco.categories}
    labels = _labels(coco, found[0].findings.image_ids, class_ids)
    return View(
        split=files.split,
        coco=coco,
        image_dir=Path(files.image_dir),
        images=sorted(coco.images, key=lambda image: int(image["id"])),
        class_names=[names.get(class_id, f"class {class_id}") for class_id in class_ids.tolist()],
        labels=labels,
        runs=[
            _viewed_run(run.title, _with_classes(each.findings, class_ids), each.boxes, len(labels.image))
            for run, each in zip(files.runs, found, strict=True)
        ],
    )


def size_of(area: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the index in `SIZES` of each area in pixels."""
    bins: NDArray[np.int64] = np.searchsorted(np.array(SIZE_BOUNDS), area, side="right")
    return bins


def _labels(coco: CocoFile, image_ids: NDArray[np.int64], class_ids: NDArray[np.int64]) -> Labels:
    entries = coco.annotations
    boxes = np.array([entry["bbox"] for entry in entries], dtype=np.float64).reshape(-1, 4)
    areas = [entry.get("area") or entry["bbox"][2] * entry["bbox"][3] for entry in entries]
    index_of = {image_id: index for index, image_id in enumerate(image_ids.tolist())}
    return Labels(
        boxes=boxes,
        image=np.array([index_of.get(entry["image_id"], -1) for entry in entries], dtype=np.int64),
        class_index=np.searchsorted(class_ids, np.array([entry["category_id"] for entry in entries], dtype=np.int64)),
        area=np.array(areas, dtype=np.float64),
        is_counted=np.array([not entry.get("iscrowd", 0) for entry in entries], dtype=bool),
    )


def _with_classes(findings: Findings, class_ids: NDArray[np.int64]) -> Findings:
    """Return findings whose indices of classes are those in a list that holds theirs."""
    if len(class_ids) == len(findings.class_ids):
        return findings
    place = np.append(np.searchsorted(class_ids, findings.class_ids), -1)
    counts = [np.zeros((len(class_ids), len(findings.image_ids)), np.int32) for _ in range(2)]
    for count, known in zip(counts, (findings.n_objects, findings.n_unfound), strict=True):
        count[place[:-1]] = known
    moved = {name: place[vars(findings)[name]] for name in ("detected_class", "object_class", "repaired_class")}
    return Findings(
        **{**vars(findings), **moved, "class_ids": class_ids, "n_objects": counts[0], "n_unfound": counts[1]}
    )


def _viewed_run(title: str, findings: Findings, boxes: NDArray[np.float64], n_objects: int) -> ViewedRun:
    found, cover, found_row = np.full(n_objects, -1.0), np.full(n_objects, -1.0), np.full(n_objects, -1)
    finds = np.flatnonzero(findings.error == ErrorType.NONE)
    found[findings.object[finds]] = findings.score[finds]
    found_row[findings.object[finds]] = finds
    covers = np.flatnonzero(np.isin(findings.error, COVERING))
    np.maximum.at(cover, findings.object[covers], findings.score[covers])
    return ViewedRun(title, findings, boxes, found, cover, found_row)
