"""Configs of MMDetection on the real command line: shown, planned beside ours, overridden, refused in one line."""

from pathlib import Path

import pytest
import yaml

from sweeper.cli import main
from sweeper.planning.held_words import chooses_reading, held_words, holding_back
from tests.contract.test_mm_sources import write

RTMDET = ("detector=zoo", "detector.config=rtmdet/rtmdet_tiny_8xb32-300e_coco")
OWN = "_base_ = 'mmdet::rtmdet/rtmdet_tiny_8xb32-300e_coco.py'\ntrain_cfg = dict(max_epochs=9)\n"
USUAL = ("dataset=shapes", "dataset.shapes.n_train=20", "gpus=none", "tracking=off", "weights=none")


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "200")
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    return tmp_path / "project"


def test_its_settings_are_shown_as_they_are_overridden(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--cfg", "job", *RTMDET, "dataset=shapes", "pipeline.train.cached_mix_up.prob=0.1"]) == 0
    shown = yaml.safe_load(capsys.readouterr().out)
    assert shown["pipeline"]["train"]["cached_mix_up"]["prob"] == 0.1
    assert shown["model"]["bbox_head"]["num_classes"] == "${count:${dataset.classes}}"
    assert shown["optim_wrapper"]["optimizer"]["lr"] == "${lr_effective}"


def test_it_is_planned_beside_ours(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(project / "own.py", OWN)
    words = ["detector=file,retinanet", "detector.config=own.py", "optimizer.lr=0.01,0.002"]
    assert main(["plan", *USUAL, *words]) == 0
    told = capsys.readouterr().out
    assert "4 jobs" in told
    for title in ("own_scratch_lr=0.01", "own_scratch_lr=0.002", "retinanet_resnet50_fpn_sgd_512_scratch_lr=0.002"):
        assert title in told


@pytest.mark.parametrize(
    ("text", "words", "told"),
    [
        (
            OWN,
            ["~pipeline.train.mosaic"],
            "no setting 'pipeline.train.mosaic'; did you mean 'pipeline.train.cached_mosaic'?",
        ),
        (OWN, ["backbone=resnet18"], "group without effect in backbone: detector=file brings its own"),
        ("data = dict()\noptimizer = dict()\nmodel = dict(type='SSD')\n", [], "config of mmdet 2.x in "),
        ("_base_ = ['../elsewhere.py']\n", [], "config outside the trusted folders in "),
        ("a = (\n", [], "broken Python in "),
    ],
)
def test_mistakes_are_one_line(
    project: Path, capsys: pytest.CaptureFixture[str], text: str, words: list[str], told: str
) -> None:
    write(project / "own.py", text)
    write(project.parent / "elsewhere.py", "a = 1\n")
    assert main(["plan", *USUAL, "detector=file", "detector.config=own.py", *words]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {told}")
    assert not (project / "outputs").exists()


def test_hydra_is_not_shown_what_it_cannot_know() -> None:
    words = [
        *RTMDET,
        "pipeline.train.pad.size=[1,2]",
        "~model.neck",
        "model=x",
        "seed=1",
        "optimizer=sgd",
        "optimizer.lr=1",
    ]
    with holding_back(words) as shown:
        assert shown == [RTMDET[0], "model=x", "seed=1", "optimizer=sgd"]
        assert held_words() == [RTMDET[1], "pipeline.train.pad.size=[1,2]", "~model.neck", "optimizer.lr=1"]
    assert held_words() == []
    ours = ["detector=retinanet", "model.backbone.depth=18"]
    assert not chooses_reading(ours)
    with holding_back(ours) as shown:
        assert shown == ours
