"""Detections on disk: COCO results JSON, original pixels, the annotation file's own category ids."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from runners.contract.folder import AttemptFolder
from runners.contract.jsonfile import write_text


def write_predictions(folder: AttemptFolder, name: str, detections: Sequence[dict[str, Any]]) -> Path:
    """Write one file, ``predictions/a1_val_best.json``, in one piece.

    Args:
        folder: the attempt; the file's name carries its number.
        name: val_best, val_last or test.
        detections: ``image_id``, ``category_id``, ``bbox`` xywh in pixels, ``score`` 0-1.
    """
    predictions = folder.job.predictions
    predictions.mkdir(exist_ok=True)
    path = predictions / f"a{folder.number}_{name}.json"
    write_text(path, json.dumps(detections, separators=(",", ":")))
    return path
