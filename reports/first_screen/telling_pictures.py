"""A few small pictures that show what goes wrong: confused objects, missed ones, boxes that are off."""

import base64
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from reports.box_pictures import DrawnBox, draw_boxes
from reports.diagnosed_runs import SPLIT, DiagnosedArm
from reports.diagnosis.confusion import ConfusedObject, PairDifference
from reports.diagnosis.findings import ErrorType
from reports.diagnosis.run_diagnosis import RunDiagnosis
from reports.difference_tables import pair_differences
from reports.records import RunRecord
from reports.section import Section
from runners.contract.errors import UserError
from runners.contract.folder import JobFolder
from runners.contract.yamlfile import load_yaml

N_PICTURES = 6
# Cut to what is meant: at least a part of the image, at most a picture's size in its own pixels many times over.
_SHOWN, _LEAST_PART, _MOST_PX = (300, 225), 0.25, 2400
_CONTEXT, _QUALITY = 3.0, 72
# Of one picture in the page; what is larger is not shown.
_MOST_BYTES = 60_000


@dataclass(frozen=True)
class TellingPicture:
    """One picture.

    Attributes:
        source: a data address, JPEG.
        caption: what goes wrong, and in which file.
    """

    source: str
    caption: str


@dataclass(frozen=True)
class _Scene:
    """What a picture is to show."""

    run: RunRecord
    found: RunDiagnosis
    image_id: int
    object: int | None
    detection: int | None
    caption: str


def telling_pictures(sections: Sequence[Section]) -> list[TellingPicture]:
    """Return up to six pictures, each of another image; none where images or predictions are not on this machine."""
    pictures: list[TellingPicture] = []
    seen: set[tuple[str, int]] = set()
    read: dict[Path, Sequence[Mapping[str, Any]]] = {}
    for scene in (scene for section in sections for scene in _scenes(section)):
        if len(pictures) == N_PICTURES:
            break
        key = scene.found.on.fingerprint, scene.image_id
        if key in seen:
            continue
        seen.add(key)
        try:
            if scene.found.predictions not in read:
                read[scene.found.predictions] = json.loads(scene.found.predictions.read_text(encoding="utf-8"))
            source = _drawn(scene, read[scene.found.predictions])
        except (UserError, OSError, KeyError, IndexError, TypeError, ValueError):
            continue
        if source:
            pictures.append(TellingPicture(source, scene.caption))
    return pictures


def _scenes(section: Section) -> Iterator[_Scene]:
    """Yield what to show: first what differs between arms, then what costs the best arm most, type by type."""
    arms = [section.compared[0].treatment] if section.compared else [arm for arm in section.arms if arm.found][:1]
    if section.compared:
        compared = section.compared[0]
        for pair in pair_differences(compared)[:2]:
            for one in pair.changed[:1]:
                for arm in (compared.treatment, compared.baseline):
                    yield from _of_confused(arm, one, pair)
    for arm in arms:
        yield from _costliest(arm)


def _of_confused(arm: DiagnosedArm, one: ConfusedObject, pair: PairDifference) -> Iterator[_Scene]:
    """Yield the surest detection of an arm that gives an object the pair's wrong name, if any of its runs does."""
    for run, found in zip(arm.runs, arm.found, strict=True):
        findings, confusion = found.findings, found.confusion
        is_it = (findings.object == one.object) & (findings.error == ErrorType.CLASSIFICATION)
        is_it &= findings.detected_class == confusion.class_names.index(pair.called)
        rows = np.flatnonzero(is_it & (findings.score >= confusion.min_score))
        if len(rows):
            surest = rows[np.argmax(findings.score[rows])]
            caption = f"{pair.true_class} called {pair.called} by {arm.arm.name}"
            yield _Scene(run, found, one.image_id, one.object, int(findings.detection[surest]), caption)
            return


def _costliest(arm: DiagnosedArm) -> Iterator[_Scene]:
    """Yield the surest errors of an arm's first run, the costliest types in turn."""
    run, found = arm.runs[0], arm.found[0]
    findings, costs = found.findings, found.errors.diagnosis.costs
    types = [error for error in sorted(costs, key=lambda error: -costs[error]) if costs[error] > 0][:3]
    queues = []
    for error in types:
        rows = np.flatnonzero(findings.error == error)
        order = np.argsort(-np.nan_to_num(findings.score[rows], nan=0.0), kind="stable")
        queues.append(rows[order][: 2 * N_PICTURES].tolist())
    for turn in range(2 * N_PICTURES):
        for error, rows in zip(types, queues, strict=True):
            if turn < len(rows):
                row = rows[turn]
                object_at, detection = (int(column[row]) for column in (findings.object, findings.detection))
                image_id = int(findings.image_ids[findings.image[row]])
                known = (object_at if object_at >= 0 else None, detection if detection >= 0 else None)
                yield _Scene(run, found, image_id, *known, _caption(found, error, row))


def _caption(found: RunDiagnosis, error: ErrorType, row: int) -> str:
    """Return what is wrong in one row, in words."""
    findings, names = found.findings, found.confusion.class_names
    detected, labelled = (int(column[row]) for column in (findings.detected_class, findings.object_class))
    score = f"{findings.score[row]:.2f}"
    told = {
        ErrorType.CLASSIFICATION: f"{names[labelled]} called {names[detected]}, {score}",
        ErrorType.LOCALISATION: f"box off: {names[detected]} {score}, overlap {findings.iou[row]:.2f}",
        ErrorType.BOTH: f"class and box: {names[labelled]} called {names[detected]}, {score}",
        ErrorType.DUPLICATE: f"found twice: {names[detected]} {score}",
        ErrorType.BACKGROUND: f"nothing there: {names[detected]} {score}",
        ErrorType.MISSED: f"missed: {names[labelled]}",
    }
    return told[error]


def _drawn(scene: _Scene, detections: Sequence[Mapping[str, Any]]) -> str:
    """Return a picture as a data address; empty if it would be too large."""
    truth = scene.found.on.truth
    names = {category["id"]: str(category["name"]) for category in truth["categories"]}
    record = next(image for image in truth["images"] if image["id"] == scene.image_id)
    boxes = []
    if scene.object is not None:
        entry = truth["annotations"][scene.object]
        boxes.append(DrawnBox(entry["bbox"], names[entry["category_id"]], is_truth=True))
    if scene.detection is not None:
        entry = detections[scene.detection]
        boxes.append(DrawnBox(entry["bbox"], names[entry["category_id"]], entry["score"]))
    shown = _cut(_image_path(scene.run, record), boxes, (record["width"], record["height"]), list(names.values()))
    content = io.BytesIO()
    shown.save(content, "JPEG", quality=_QUALITY)
    if len(content.getvalue()) > _MOST_BYTES:
        return ""
    return f"data:image/jpeg;base64,{base64.b64encode(content.getvalue()).decode()}"


def _cut(path: Path, boxes: Sequence[DrawnBox], size: tuple[int, int], classes: Sequence[str]) -> Image.Image:
    """Return the part of an image around boxes, with room about them, drawn at the size that is shown."""
    left, top = min(box.xywh[0] for box in boxes), min(box.xywh[1] for box in boxes)
    right, bottom = (max(box.xywh[side] + box.xywh[side + 2] for box in boxes) for side in (0, 1))
    wide = _SHOWN[0] / _SHOWN[1]
    width = max((right - left) * _CONTEXT, (bottom - top) * _CONTEXT * wide, size[0] * _LEAST_PART)
    width = min(width, size[0], size[1] * wide)
    # Lines and letters are drawn at the size in which they are seen, so the whole is drawn larger where a part is.
    picture = draw_boxes(path, boxes, min(_MOST_PX, max(1, round(_SHOWN[0] * max(size) / width))), classes)
    scale = max(picture.size) / max(size)
    part = (width * scale, width * scale / wide)
    x, y = (
        min(max(0.0, (first + last) * scale / 2 - length / 2), full - length)
        for first, last, length, full in zip((left, top), (right, bottom), part, picture.size, strict=True)
    )
    shown = picture.crop((round(x), round(y), round(x + part[0]), round(y + part[1])))
    shown.thumbnail(_SHOWN, Image.Resampling.LANCZOS)
    return shown


def _image_path(run: RunRecord, record: Mapping[str, Any]) -> Path:
    assert run.folder is not None
    dataset = load_yaml(JobFolder(run.folder).config.read_text(encoding="utf-8"))["dataset"]
    return run.folder / Path(dataset["root"], dataset[SPLIT].get("image_dir") or "", str(record["file_name"]))
