"""Configs of MMDetection are read once by a process of their own, found in the zoo by name, and refused where unfit."""

from pathlib import Path
from typing import Any

import pytest

from runners.contract.errors import UserError
from sweeper.planning import mm_files
from sweeper.planning.mm_files import MmFile, read_mm_file
from sweeper.planning.mm_refusals import refuse_unfit
from sweeper.planning.zoo_configs import find_zoo_config, zoo_checkpoint, zoo_names
from tests.contract.test_mm_sources import write


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    mm_files._told.cache_clear()
    return tmp_path / "cache" / "detsweep" / "configs"


def read_count(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Return a list that grows with every process of a reader."""
    started: list[Path] = []
    run = mm_files._run_reader

    def counted(path: Path, trusted: Any) -> str:
        started.append(path)
        return run(path, trusted)

    monkeypatch.setattr(mm_files, "_run_reader", counted)
    return started


class TestReading:
    def test_a_config_is_read_once_until_a_base_changes(
        self, tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        base = write(tmp_path / "base.py", "model = dict(type='A', size=(1, 2))\n")
        own = write(tmp_path / "own.py", "_base_ = 'base.py'\nmodel = dict(depth=50)\n")
        started = read_count(monkeypatch)
        for _ in range(3):
            file = read_mm_file(own, [tmp_path])
        assert file.config["model"] == {"type": "A", "size": (1, 2), "depth": 50}
        assert (file.name, len(started)) == ("own", 1)
        mm_files._told.cache_clear()  # as in another command
        assert read_mm_file(own, [tmp_path]) == file
        assert len(started) == 1
        base.write_text("model = dict(type='B')\n")
        assert read_mm_file(own, [tmp_path]).config["model"] == {"type": "B", "depth": 50}
        assert len(list(own_cache.iterdir())) == len(started) == 2

    def test_what_depends_on_the_world_is_not_kept(self, tmp_path: Path, own_cache: Path) -> None:
        own = write(tmp_path / "own.py", "import os\nmodel = dict(type=os.environ['HOME'])\n")
        assert read_mm_file(own, [tmp_path]).config["model"]["type"]
        assert not own_cache.exists()

    def test_a_damaged_cache_is_written_anew(self, tmp_path: Path, own_cache: Path) -> None:
        own = write(tmp_path / "own.py", "model = dict(type='A')\n")
        file = read_mm_file(own, [tmp_path])
        (kept,) = own_cache.iterdir()
        kept.write_text("{}")
        mm_files._told.cache_clear()
        assert read_mm_file(own, [tmp_path]) == file
        assert kept.read_text() != "{}"

    def test_a_folder_called_runners_in_the_way(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        write(tmp_path / "runners" / "__init__.py", "raise SystemExit('another runners was imported')\n")
        write(tmp_path / "sizes.txt", "7")
        own = write(tmp_path / "own.py", "model = dict(type='A', size=int(open('sizes.txt').read()))\n")
        monkeypatch.chdir(tmp_path)
        assert read_mm_file(own, [tmp_path]).config["model"]["size"] == 7

    @pytest.mark.parametrize(
        ("text", "told"),
        [("model = dict(type=nothing)\n", "NameError"), ("import os\nos._exit(3)\n", "its reader ended with 3")],
    )
    def test_what_fails_is_one_line(self, tmp_path: Path, text: str, told: str) -> None:
        own = write(tmp_path / "own.py", text)
        with pytest.raises(UserError) as refused:
            read_mm_file(own, [tmp_path])
        (problem,) = refused.value.problems
        assert problem.startswith(f"config cannot be read in {own}: ")
        assert told in problem


class TestZoo:
    def test_by_name_with_or_without_family(self) -> None:
        path = find_zoo_config("rtmdet/rtmdet_tiny_8xb32-300e_coco")
        assert path.is_file()
        assert find_zoo_config("rtmdet_tiny_8xb32-300e_coco.py") == path
        assert len(zoo_names()) > 700

    def test_a_family_lists_its_configs(self) -> None:
        with pytest.raises(
            UserError, match=r"family in detector.config: yolof; .*: yolof/yolof_r50-c5_8xb8-1x_coco, yolof/"
        ):
            find_zoo_config("yolof")

    def test_the_nearest_of_an_unknown_one(self) -> None:
        with pytest.raises(UserError, match="nearest are rtmdet/rtmdet_tiny_8xb32-300e_coco,"):
            find_zoo_config("rtmdet/rtmdet_tiny_8xb32_300e_coco")

    def test_weights_that_were_published(self) -> None:
        address = zoo_checkpoint(find_zoo_config("rtmdet/rtmdet_tiny_8xb32-300e_coco"))
        assert address.startswith("https://download.openmmlab.com/mmdetection/v3.0/rtmdet/rtmdet_tiny_8xb32-300e_coco/")
        with pytest.raises(UserError, match="no COCO weights in weights=coco: mmdet has published none of"):
            zoo_checkpoint(find_zoo_config("cityscapes/faster-rcnn_r50_fpn_1x_cityscapes").with_name("x.py"))


DETECTOR: dict[str, Any] = {"type": "RetinaNet", "bbox_head": {"type": "RetinaHead"}}


@pytest.mark.parametrize(
    ("config", "told"),
    [
        (
            {"data": True, "lr_config": True, "model": DETECTOR},
            "config of mmdet 2.x in own.py: data, lr_config at its top;",
        ),
        ({"default_scope": "mmpose", "model": DETECTOR}, "other library's config in own.py: default_scope is mmpose"),
        ({"train_cfg": {}}, "no model in own.py"),
        ({"model": {"type": "SOLO"}}, "no detector of boxes in own.py: SOLO segments without boxes"),
        (
            {"model": {"type": "mmdet.QDTrack"}},
            "no detector of boxes in own.py: QDTrack follows objects through videos",
        ),
        ({"model": {"type": "ImageClassifier"}}, "ImageClassifier classifies whole images"),
        ({"model": {**DETECTOR, "a": ["${x}"]}}, "text not possible in own.py"),
    ],
)
def test_what_no_job_can_be_made_of(config: dict[str, Any], told: str) -> None:
    with pytest.raises(UserError) as refused:
        refuse_unfit(MmFile(Path("own.py"), config))
    (problem,) = refused.value.problems
    assert told in problem


def test_a_3x_config_may_have_a_value_called_data() -> None:
    refuse_unfit(
        MmFile(Path("own.py"), {"data": True, "train_dataloader": {}, "model": DETECTOR, "default_scope": None})
    )
