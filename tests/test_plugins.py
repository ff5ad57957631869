"""A sweep with a project's own parts as a user runs it: transform, backbone, loss and hook by name."""

import subprocess
from pathlib import Path

import pytest

from runners.contract.folder import SweepFolder
from runners.contract.records import AttemptResult
from tests.plugin_project import OVERRIDES, write_package
from tests.test_sweep import SHAPES, detsweep

pytestmark = pytest.mark.train


def test_own_parts_are_trained_with_and_go_along_with_the_sweep(tmp_path: Path) -> None:
    package = write_package(tmp_path)
    words = ["train", *SHAPES, *OVERRIDES, "n_epochs=1", "gpus=none", "tracking=off"]
    shown = subprocess.run(detsweep(*words), cwd=tmp_path, capture_output=True, text=True)
    assert shown.returncode == 0, shown.stdout + shown.stderr
    (path,) = (path.parent for path in tmp_path.glob("outputs/*/sweep.yaml"))
    job = SweepFolder(path).job("0001")
    attempt = job.newest_attempt()
    assert attempt is not None
    result = AttemptResult.read(attempt)
    assert result is not None
    assert "watched val/bbox_mAP" in attempt.log.read_text(encoding="utf-8")
    (copy,) = (path / "plugins").iterdir()
    assert {file.name for file in (copy / "trash_augs").iterdir()} == {file.name for file in package.glob("*.py")}
    assert not (path / "trial").exists()
    exported = job.mmdet_config.read_text(encoding="utf-8")
    assert "custom_imports = dict(imports=['trash_augs'], allow_failed_imports=False)" in exported
    for part in ("TrashNet", "SquaredLoss", "Darken", "EMAHook", "WatchHook"):
        assert f"type='{part}'" in exported
