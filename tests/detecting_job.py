"""A quick job that leaves detections, too: ``detsweep train ... entry=tests.detecting_job optimizer.lr=0.4,0.8``.

It finds the share of val's and test's objects that its learning rate says, give or take what its seed adds, so that an
axis of rates has arms whose truth is known. Of jobs that learn (`tests.quick_job.Play`) it is the AP that they come to.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from runners.contract.folder import AttemptFolder
from tests import quick_job

SEED_SD = 0.01


def run_attempt(folder: AttemptFolder) -> int:
    """Execute an attempt; detections of val and test are there before its result is."""
    config = yaml.safe_load(folder.job.config.read_text(encoding="utf-8"))
    predictions = Path(folder.job.predictions)
    predictions.mkdir(exist_ok=True)
    for split, name in (("val", "val_last"), ("test", "test")):
        if config["dataset"][split] is not None:
            found = json.dumps(_detections(folder, config, split))
            (predictions / f"a{folder.number}_{name}.json").write_text(found, encoding="utf-8")
    return quick_job.run_attempt(folder)


def _detections(folder: AttemptFolder, config: Mapping[str, Any], split: str) -> list[dict[str, Any]]:
    dataset, optimizer, seed = config["dataset"], config["optimizer"], int(config["seed"])
    truth = json.loads((folder.job.path / dataset["root"] / dataset[split]["ann_file"]).read_text(encoding="utf-8"))
    # What val's draws were before there were others stays as it was.
    more = ([] if config.get("fold") is None else [int(config["fold"]) + 1]) + ([] if split == "val" else [99])
    draw = np.random.default_rng([seed, round(1000 * optimizer["lr"]), *more])
    learns = quick_job.Play.from_environment().learns
    rate = (quick_job.reachable_ap(optimizer) if learns else optimizer["lr"]) + draw.normal(0, SEED_SD)
    return [
        {"score": float(draw.uniform(0.3, 1.0)), **{key: entry[key] for key in ("image_id", "category_id", "bbox")}}
        for entry in truth.get("annotations", [])
        if draw.random() < rate
    ]
