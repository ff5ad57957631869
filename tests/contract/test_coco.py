"""Reading COCO files and fingerprints."""

import json
import os
from pathlib import Path

import pytest

from runners.contract.coco import fingerprint, read_classes, read_coco, split_files
from runners.contract.errors import UserError
from tests.contract.sample_set import SampleSet

NAMES = ["プラスチック", "Büchse, rot", "a/b=c:d", 'it\'s "quoted"', "[x] {y}", "${z}", "🙂", "-1"]


def test_classes_are_those_of_the_file_in_any_script_and_in_its_order(tmp_path: Path) -> None:
    path = tmp_path / "train.json"
    categories = [{"id": 90 - number, "name": name} for number, name in enumerate(NAMES)]
    path.write_text(json.dumps({"images": [], "categories": categories}, ensure_ascii=False), encoding="utf-8")
    assert read_coco(path).classes == NAMES
    assert read_classes(path) == NAMES


def test_classes_are_read_again_after_an_edit(sample: SampleSet) -> None:
    path = sample.root / "train.json"
    assert read_classes(path) == ["square", "circle"]
    sample.edit("train", lambda coco: coco["categories"][0].update(name="box, red"))
    assert read_classes(path) == ["box, red", "circle"]


@pytest.mark.parametrize("change", [lambda coco: coco.pop("annotations"), lambda coco: coco.update(annotations=[])])
def test_a_file_without_annotations_is_not_labelled(sample: SampleSet, change: object) -> None:
    sample.edit("test", change)  # type: ignore[arg-type]
    coco = read_coco(sample.root / "test.json")
    assert not coco.is_labelled
    assert coco.annotations == []


def test_broken_json_names_line_and_column(tmp_path: Path) -> None:
    path = tmp_path / "train.json"
    path.write_text('{"images": [],\n "categories": [{"id": 1')
    with pytest.raises(UserError, match=r"broken JSON in .*train\.json.*line 2, column 25"):
        read_coco(path)


def test_split_paths_are_relative_to_the_root_or_absolute(tmp_path: Path) -> None:
    node = {"root": "/data", "train": {"ann_file": "train.json", "image_dir": ""}, "val": None}
    files = split_files(node, "train")
    assert files is not None
    assert (files.ann_file, files.image_dir) == (Path("/data/train.json"), Path("/data"))
    assert split_files(node, "val") is None
    elsewhere = split_files({**node, "train": {"ann_file": str(tmp_path / "a.json"), "image_dir": "x"}}, "train")
    assert elsewhere is not None
    assert elsewhere.ann_file == tmp_path / "a.json"


class TestFingerprint:
    def fingerprint(self, sample: SampleSet) -> str:
        return fingerprint([(read_coco(sample.root / "train.json"), sample.root / "images")])

    def test_fits_the_tracking_store_and_repeats(self, sample: SampleSet) -> None:
        assert len(self.fingerprint(sample)) <= 36
        assert self.fingerprint(sample) == self.fingerprint(sample)

    def test_does_not_depend_on_where_the_data_lies(self, sample: SampleSet, tmp_path: Path) -> None:
        before = self.fingerprint(sample)
        moved = SampleSet(sample.root.rename(tmp_path / "moved"))
        assert self.fingerprint(moved) == before

    def test_changes_with_one_annotation(self, sample: SampleSet) -> None:
        before = self.fingerprint(sample)
        sample.edit("train", lambda coco: coco["annotations"].pop())
        assert self.fingerprint(sample) != before

    def test_changes_with_the_length_of_one_image_and_with_a_missing_one(self, sample: SampleSet) -> None:
        before = self.fingerprint(sample)
        os.truncate(sample.image(), 100)
        cut = self.fingerprint(sample)
        sample.image().unlink()
        assert len({before, cut, self.fingerprint(sample)}) == 3
