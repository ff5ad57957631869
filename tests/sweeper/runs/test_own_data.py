"""What detsweep made of a run's data, and is gone, is made again; data that has changed is refused."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from runners.contract.errors import UserError
from runners.contract.folder import JobFolder, SweepFolder
from sweeper.planning.dataset import PreparedDataset, prepare_dataset
from sweeper.planning.shapes import write_shapes
from sweeper.runs.own_data import with_own_data


@pytest.fixture
def planned(tmp_path: Path) -> tuple[JobFolder, dict[str, Any], PreparedDataset]:
    """A job of a sweep with the second of two folds, its config, and its data set."""
    root = tmp_path / "data"
    write_shapes(root, n_train=8, n_val=2, n_test=2, image_px=32, difficulty=0.0, n_classes=2, seed=0)
    (root / "val.json").unlink()
    node = {"name": "coco", "root": str(root), "classes": None, "n_folds": 2, "group_by": None, "split_seed": 0}
    splits = {"train": {"ann_file": "train.json", "image_dir": "images/"}, "val": None, "test": None}
    found = prepare_dataset({**node, **splits}, tmp_path / "out", 1)
    sweep = SweepFolder(tmp_path / "out" / "20261103-101500_folds_7f3a")
    (sweep.jobs / "0001").mkdir(parents=True)
    stored = {
        "jobs": [{"id": "0001", "title": "x", "fingerprint": found.fingerprint}],
        "datasets": [{"fingerprint": found.fingerprint, "source": found.source}],
        **{"settings": {}, "axes": {}, "versions": {}},
    }
    sweep.sweep.write_text(yaml.safe_dump(stored))
    return sweep.job("0001"), {"dataset": found.node, "fold": 1}, found


def test_a_fold_that_is_gone_is_held_out_again(
    planned: tuple[JobFolder, dict[str, Any], PreparedDataset], tmp_path: Path
) -> None:
    job, config, found = planned
    assert with_own_data(job, config, "val", tmp_path / "elsewhere") == config
    before = json.loads(Path(found.node["val"]["ann_file"]).read_text())
    shutil.rmtree(tmp_path / "out" / "splits")
    node = with_own_data(job, config, "val", tmp_path / "elsewhere")["dataset"]
    made = Path(node["val"]["ann_file"])
    assert made.is_relative_to(tmp_path / "elsewhere")
    assert json.loads(made.read_text()) == before
    assert node["classes"] == found.classes


def test_data_that_has_changed_is_refused(
    planned: tuple[JobFolder, dict[str, Any], PreparedDataset], tmp_path: Path
) -> None:
    job, config, _ = planned
    shutil.rmtree(tmp_path / "out" / "splits")
    path = tmp_path / "data" / "train.json"
    path.write_text(path.read_text() + "\n")
    with pytest.raises(UserError, match=r"data set changed in .*data: fingerprint [0-9a-f]{12} -> [0-9a-f]{12}"):
        with_own_data(job, config, "val", tmp_path / "elsewhere")
    path.unlink()
    assert with_own_data(job, config, "val", tmp_path / "elsewhere") == config  # told when it is looked at
