"""The confirmation of a search as a person meets it: trained, judged on images that the search never saw, and told."""

import json
from pathlib import Path

from runners.contract.yamlfile import load_yaml
from tests.faults.driver import Driver
from tests.quick_job import Play

LEARNS = Play(n_iterations=1, iteration_s=0.0, learns=True)
SEARCH = (
    *("search=narrow_optimizer", "dataset.shapes.n_train=8", "dataset.shapes.n_val=80", "dataset.shapes.n_test=4"),
    *("dataset.shapes.image_px=96", "n_epochs=3", "entry=tests.detecting_job", "tracking=off", "gpus=none"),
    *("search.pruner.name=none", "search.n_trials=3", "search.confirm=3", "search.candidates=1", "dataset.test=null"),
    # A default that can be beaten.
    "demo_lr.sgd=0.012",
)


def test_the_best_is_judged_on_the_part_of_val_that_was_held_back(drive: Driver) -> None:
    ended = drive.run("train", *SEARCH, "dataset.hold_back=0.5", play=LEARNS)
    assert ended.process.returncode == 0, ended.said
    (candidates, of_default) = _confirming(drive)
    assert len(candidates) == len(of_default) == 3
    config = load_yaml(drive.sweep.job(candidates[0]).config.read_text(encoding="utf-8"))
    images = {split: _images(Path(config["dataset"][split]["ann_file"])) for split in ("val", "test")}
    assert len(images["val"]) + len(images["test"]) == 80
    assert not images["val"] & images["test"]
    told = (drive.sweep.path / "report" / "report.md").read_text(encoding="utf-8")
    assert "Take trial" in told
    assert "97.5 %" not in told  # one candidate is no family
    assert "on images that the search never saw: " in told


def _confirming(drive: Driver) -> tuple[list[str], list[str]]:
    """Return the jobs that train the candidate again, and those that train the default again."""
    jobs = load_yaml(drive.sweep.sweep.read_text(encoding="utf-8"))["jobs"]
    found = [(job["id"], job["trial"]["of"]) for job in jobs if job["trial"]["origin"] == "confirm"]
    return [job for job, of in found if of != "0001"], [job for job, of in found if of == "0001"]


def _images(path: Path) -> set[int]:
    return {image["id"] for image in json.loads(path.read_text(encoding="utf-8"))["images"]}
