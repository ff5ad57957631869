"""A quick job that leaves detections, too: ``detsweep train ... entry=tests.detecting_job optimizer.lr=0.4,0.8``.

It finds the share of val's objects that its learning rate says, give or take what its seed adds, so that an axis of
rates has arms whose truth is known.
"""

import json
from pathlib import Path

import numpy as np
import yaml

from runners.contract.folder import AttemptFolder
from tests import quick_job

SEED_SD = 0.01


def run_attempt(folder: AttemptFolder) -> int:
    """Execute an attempt; detections of val are there before its result is."""
    config = yaml.safe_load(folder.job.config.read_text(encoding="utf-8"))
    dataset, seed = config["dataset"], int(config["seed"])
    truth = json.loads((folder.job.path / dataset["root"] / dataset["val"]["ann_file"]).read_text(encoding="utf-8"))
    fold = [] if config.get("fold") is None else [int(config["fold"]) + 1]
    draw = np.random.default_rng([seed, round(1000 * config["optimizer"]["lr"]), *fold])
    rate = config["optimizer"]["lr"] + draw.normal(0, SEED_SD)
    found = [
        {"score": float(draw.uniform(0.3, 1.0)), **{key: entry[key] for key in ("image_id", "category_id", "bbox")}}
        for entry in truth["annotations"]
        if draw.random() < rate
    ]
    predictions = Path(folder.job.predictions)
    predictions.mkdir(exist_ok=True)
    (predictions / f"a{folder.number}_val_last.json").write_text(json.dumps(found), encoding="utf-8")
    return quick_job.run_attempt(folder)
