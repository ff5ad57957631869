"""A search and its confirmation as a report finds them: records, and folders with predictions on val and on test.

Every run finds an object with the probability of its trial, moved by what this trial has with this image and, less, by
what this run has with it: the luck with images that fresh seeds do not take away.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from reports.judging.average_precision import average_precision, mean_ap
from reports.judging.evaluation_set import read_evaluation_set
from reports.judging.run_values import matches_of
from reports.records import Point, RunRecord, RunSet, SweepRecord
from runners.contract.search import read_search
from runners.contract.states import JobState
from runners.contract.trials import Origin, Trial
from runners.contract.yamlfile import dump_yaml

AP = "val/bbox_mAP_50"
SPACE: Mapping[str, Any] = {
    "optimizer": {"choices": ["sgd", "adamw"]},
    "optimizer.lr": {"low": 0.001, "high": 1.0, "log": True},
}
IMAGE_SD, RUN_SD = 0.15, 0.08
SEARCH_SEED = 0


@dataclass
class PlayedSearch:
    """A search over made-up detectors.

    Attributes:
        root: where its files go.
        n_images: of val and of test, with three objects each.
        seed: of all that chance decides.
    """

    root: Path
    n_images: Mapping[str, int] = field(default_factory=lambda: {"val": 40, "test": 40})
    seed: int = 0
    runs: list[RunRecord] = field(default_factory=list)
    settings: dict[str, Any] = field(default_factory=dict)
    n_jobs: int = 0

    def __post_init__(self) -> None:
        self.root.mkdir(parents=True, exist_ok=True)
        for split, n_images in self.n_images.items():
            (self.root / f"{split}.json").write_text(json.dumps(_truth(n_images)), encoding="utf-8")

    def trials(self, rates: Sequence[float]) -> None:
        """Train the default and trials, of which each finds a share of the objects."""
        for number, rate in enumerate(rates):
            self._train(number, rate, SEARCH_SEED, "sampled" if number else "default")

    def confirm(self, rates: Sequence[float], chosen: Sequence[int], seeds: Sequence[int]) -> None:
        """Train the default and chosen trials again."""
        for seed in seeds:
            for number in (0, *chosen):
                self._train(number, rates[number], seed, "confirm")

    def best(self, n_best: int) -> list[int]:
        """Return the numbers of the best trials on val, the default aside."""
        found = [run for run in self.runs if run.trial is not None and run.trial.origin == "sampled"]
        found.sort(key=lambda run: -run.curves[AP][-1].value)
        return [run.trial.number for run in found if run.trial is not None][:n_best]

    def run_set(self) -> RunSet:
        """Return all as a report reads it."""
        node = {"name": "toy", "space": SPACE, "objectives": [AP], "confirm": 3, "candidates": 2, **self.settings}
        search = read_search({"sampler": "random", "pruner": "none", **node}, "toy.yaml")
        command = ("detsweep", "train", "search=toy")
        return RunSet("toy", (SweepRecord("sweep", "toy", command, search=search.describe()),), tuple(self.runs))

    def _train(self, number: int, rate: float, seed: int, origin: Origin) -> None:
        self.n_jobs += 1
        job_id = f"{self.n_jobs:04d}"
        folder = self.root / "sweep" / "jobs" / job_id
        (folder / "predictions").mkdir(parents=True)
        nodes = {split: {"ann_file": f"{split}.json"} for split in self.n_images}
        config = {"dataset": {"root": str(self.root), **nodes, "group_by": None}}
        (folder / "config.yaml").write_text(dump_yaml(config), encoding="utf-8")
        values = {}
        for split, name in (("val", "val_last"), ("test", "test")):
            path = folder / "predictions" / f"a1_{name}.json"
            path.write_text(json.dumps(self._detections(split, number, rate, seed)), encoding="utf-8")
            on = read_evaluation_set(self.root / f"{split}.json")
            once = average_precision(matches_of(path, on), np.ones((1, self.n_images[split])))
            values[f"{split}/bbox_mAP_50"] = float(mean_ap(once, 0, 0)[0])
        params = {"optimizer": "adamw" if number else "sgd", "optimizer.lr": 0.01 * (number + 1)}
        trial = Trial(number, params, origin, of=f"{number + 1:04d}" if origin == "confirm" else "")
        self.runs.append(
            RunRecord(
                sweep_id="sweep",
                job_id=job_id,
                title=f"toy_trial{number}_seed{seed}",
                state=JobState.COMPLETED,
                params={
                    **{"optimizer": str(params["optimizer"]), "lr": str(params["optimizer.lr"])},
                    **{"seed": str(seed), "batch_size": "4", "n_epochs": "4"},
                },
                metrics=values,
                curves={AP: (Point(4, values[AP]),)},
                dataset="toy",
                fingerprint="f" * 32,
                labelled={"val": True, "test": True},
                folder=folder,
                recipe=f"recipe {number}",
                trial=trial,
            )
        )

    def _detections(self, split: str, number: int, rate: float, seed: int) -> list[dict[str, Any]]:
        salt = ("val", "test").index(split)
        of_trial = np.random.default_rng([self.seed, salt, number])
        of_run = np.random.default_rng([self.seed, salt, number, seed])
        n_images = self.n_images[split]
        chances = rate + of_trial.normal(0, IMAGE_SD, n_images) + of_run.normal(0, RUN_SD, n_images)
        truth = json.loads((self.root / f"{split}.json").read_text(encoding="utf-8"))
        return [
            {"score": float(of_run.uniform(0.3, 1.0)), **{key: box[key] for key in ("image_id", "category_id", "bbox")}}
            for box in truth["annotations"]
            if of_run.random() < chances[box["image_id"] - 1]
        ]


def _truth(n_images: int) -> dict[str, Any]:
    annotations = [
        {
            "id": image * 10 + number,
            "image_id": image,
            "category_id": 1,
            "bbox": [100.0 * number, 50.0, 60.0, 60.0],
            "area": 3600.0,
            "iscrowd": 0,
        }
        for image in range(1, n_images + 1)
        for number in range(3)
    ]
    images = [
        {"id": image, "width": 400, "height": 200, "file_name": f"{image}.png"} for image in range(1, n_images + 1)
    ]
    return {"images": images, "categories": [{"id": 1, "name": "paper"}], "annotations": annotations}
