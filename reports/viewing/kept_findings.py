"""The findings of a run with the boxes that they are about, computed once and kept beside the run."""

import json
import os
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from reports.diagnosis.error_types import find_errors
from reports.diagnosis.findings import Findings
from runners.contract.coco import CocoFile
from runners.contract.digest import sha256_of
from runners.contract.errors import UserError

# Raised with every change of what is computed: what an older version kept is then computed anew.
VERSION = 1
FOLDER = "viewing"


@dataclass(frozen=True)
class BoxedFindings:
    """What `Findings` say, and where.

    Attributes:
        findings: a row for each detection and each missed object.
        boxes: (R, 4) xywh of each row's detection in original pixels; NaN for a missed object.
    """

    findings: Findings
    boxes: NDArray[np.float64]


def boxed_findings(predictions: Path, coco: CocoFile, kept: Path) -> BoxedFindings:
    """Return the findings of a file of predictions: what is kept of them, else computed, and kept then.

    Args:
        predictions: COCO results.
        coco: the annotation file of the images.
        kept: where they are kept, an ``.npz`` file.

    Raises:
        UserError: the predictions are missing or damaged.
    """
    try:
        key = f"{VERSION} {sha256_of(predictions)} {coco.digest}"
        known = _read(kept, key)
        if known is None:
            known = _compute(json.loads(predictions.read_text(encoding="utf-8")), coco)
            _keep(kept, key, known)
        return known
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"predictions damaged in {predictions}: {error}; train or evaluate the run again") from None


def _compute(detections: list[dict[str, Any]], coco: CocoFile) -> BoxedFindings:
    findings = find_errors(coco.content, detections)
    boxes = np.full((len(findings.detection), 4), np.nan)
    is_detection = findings.detection >= 0
    every = np.array([entry["bbox"] for entry in detections], dtype=np.float64).reshape(-1, 4)
    boxes[is_detection] = every[findings.detection[is_detection]]
    return BoxedFindings(findings, boxes)


def _keep(path: Path, key: str, found: BoxedFindings) -> None:
    """Write them in one piece; a run that is another person's is looked at all the same, and nothing is kept."""
    try:
        path.parent.mkdir(exist_ok=True)
        # Two pages may be opened at once; what is torn is computed anew.
        temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        with temporary.open("wb") as file:
            np.savez_compressed(file, key=np.array(key), boxes=found.boxes, **vars(found.findings))
        temporary.replace(path)
    except PermissionError:
        return


def _read(path: Path, key: str) -> BoxedFindings | None:
    """Return what is kept, if it is of these predictions on these images."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            if str(stored["key"]) != key:
                return None
            findings = Findings(**{field.name: stored[field.name] for field in fields(Findings)})
            return BoxedFindings(findings, stored["boxes"])
    except (OSError, ValueError, KeyError, BadZipFile):  # not there, cut short, or of another version
        return None
