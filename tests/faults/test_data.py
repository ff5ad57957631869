"""Rows 37 and 38: images that cannot be read, and what has changed before a sweep is resumed."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.faults.driver import Driver

Numbers = dict[str, dict[str, float]]


@pytest.fixture
def data(killed: Path, tmp_path: Path) -> Path:
    """A data set of a user's own."""
    (made,) = (killed.parent / "data").iterdir()
    return Path(shutil.copytree(made, tmp_path / "data"))


def _images(data: Path, split: str) -> list[Path]:
    content = json.loads((data / f"{split}.json").read_text(encoding="utf-8"))
    (folder,) = {path.parent for path in data.rglob(content["images"][0]["file_name"])}
    return [folder / image["file_name"] for image in content["images"]]


def test_row_37_images_that_cannot_be_read_are_listed_before_anything_starts_or_left_out(
    drive: Driver, data: Path
) -> None:
    broken = _images(data, "train")[:3]
    broken[0].write_bytes(broken[0].read_bytes()[:200])
    broken[1].write_bytes(b"")
    broken[2].write_text("no image")
    words = ("dataset=coco", f"dataset.root={data}")
    refused = drive.run("train", *_without_shapes(), *words)
    assert refused.process.returncode == 2, refused.said
    for path in broken:
        assert path.name in refused.said
    assert not drive.sweeps
    skipped = drive.run("train", *_without_shapes(), *words, "dataset.skip_broken_images=true")
    assert skipped.process.returncode == 0, skipped.said
    assert "3 " in next(line for line in skipped.said.splitlines() if "note:" in line)


def _without_shapes() -> list[str]:
    from tests.faults.driver import WORDS

    return [word for word in WORDS if not word.startswith("dataset")] + ["gpus=none", "tracking=off"]


def test_row_38_changed_data_is_refused_with_the_difference(drive: Driver, data: Path) -> None:
    words = [*_without_shapes(), "dataset=coco", f"dataset.root={data}"]
    command = drive.begin("train", *words, env={"DETSWEEP_FAILPOINT": "spawn.before"})
    assert command.wait() == 77
    content = json.loads((data / "train.json").read_text(encoding="utf-8"))
    del content["annotations"][0]
    (data / "train.json").write_text(json.dumps(content), encoding="utf-8")
    _refused_and_accepted(drive, f"data set changed in {data}")


def test_row_38_a_changed_config_is_refused_with_the_difference(killed_here: Driver, undisturbed: Numbers) -> None:
    config = killed_here.sweep.job("0002").config
    config.write_text(config.read_text(encoding="utf-8") + "# edited\n", encoding="utf-8")
    _refused_and_accepted(killed_here, f"config changed in {config}")
    assert killed_here.numbers() == undisturbed


def test_row_38_a_changed_version_is_refused_with_the_difference(killed_here: Driver, undisturbed: Numbers) -> None:
    journal = killed_here.sweep.journal
    events: list[dict[str, Any]] = [json.loads(line) for line in journal.read_text(encoding="utf-8").splitlines()]
    events[0]["versions"]["torch"] = "1.0.0"
    journal.write_text("".join(json.dumps(event) + "\n" for event in events), encoding="utf-8")
    _refused_and_accepted(killed_here, "version changed of torch: 1.0.0 -> ")
    assert killed_here.numbers() == undisturbed


def _refused_and_accepted(drive: Driver, words: str) -> None:
    n_started = len(drive.events("started"))
    refused = drive.run("resume")
    assert refused.process.returncode == 2, refused.said
    assert words in refused.said
    assert len(drive.events("started")) == n_started
    accepted = drive.run("resume", "accept_change=true")
    assert accepted.process.returncode == 0, accepted.said
    assert words in drive.events("sweep_started")[-1]["accepted"][0]
