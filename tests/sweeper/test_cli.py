"""The command line as a person meets it: in a process of its own, in a folder of their own."""

import subprocess
import sys
from pathlib import Path

import pytest

from sweeper.cli import main

ROOT = Path(__file__).parents[2]
SMALL = [
    "dataset=shapes",
    "dataset.shapes.n_train=8",
    "dataset.shapes.n_val=4",
    "dataset.shapes.n_test=4",
    "batch_size=4",
]
MODEL = ["backbone=resnet18", "width=narrow", "weights=none", "image_size=96px"]


def detsweep(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("detsweep")
    return subprocess.run([program, *words], cwd=folder, capture_output=True, text=True)


def test_help_names_every_command() -> None:
    shown = detsweep(ROOT, "--help")
    assert shown.returncode == 0
    for command in ("train", "resume", "sync", "plan", "check", "report", "report submission"):
        assert f"detsweep {command} " in shown.stdout


def test_plan_prints_the_jobs_and_starts_nothing(tmp_path: Path) -> None:
    shown = detsweep(tmp_path, "plan", *SMALL, *MODEL[1:], "backbone=resnet18,resnet34", "seed=0,1")
    assert shown.returncode == 0, shown.stderr
    for title in (
        "faster-rcnn_resnet18_fpn_sgd_96_scratch_narrow_seed0",
        "faster-rcnn_resnet34_fpn_sgd_96_scratch_narrow_seed1",
    ):
        assert title in shown.stdout
    assert not list(tmp_path.glob("outputs/*/sweep.yaml"))


def test_m_is_optional_and_may_stand_anywhere(tmp_path: Path) -> None:
    words = [*SMALL, *MODEL, "optimizer=sgd,adamw"]
    shown = {
        detsweep(tmp_path, "plan", *order).stdout
        for order in ([*words], ["-m", *words], [*words[:3], "-m", *words[3:]])
    }
    assert len(shown) == 1
    assert "2 jobs" in shown.pop()


def test_hydras_own_flags_keep_working(tmp_path: Path) -> None:
    shown = detsweep(tmp_path, "train", "--cfg", "job", "--package", "optimizer", "dataset=shapes", "optimizer=adamw")
    assert shown.returncode == 0, shown.stderr
    assert "name: adamw" in shown.stdout


def test_our_conf_wins_in_a_folder_that_has_packages_of_the_same_names(tmp_path: Path) -> None:
    for package in ("conf", "runners", "sweeper", "reports", "tests"):
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").write_text("raise RuntimeError('this is the project, not detsweep')\n")
    shown = detsweep(tmp_path, "plan", *SMALL, *MODEL)
    assert shown.returncode == 0, shown.stderr


def test_gpus_is_one_setting_and_no_axis(tmp_path: Path) -> None:
    shown = detsweep(tmp_path, "plan", *SMALL, *MODEL, "gpus=0,1")
    assert shown.returncode == 0, shown.stderr
    assert "1 job" in shown.stdout


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["trian"], "no command 'trian'"),
        (["report", "output_dir=nowhere"], "found none; run one first"),
        (["report", "colour=red"], "no setting 'colour'"),
        (["report", "submission"], "0 given; name one"),
        (["train", *SMALL, *MODEL, "gpus=7"], "no GPU 7 on this machine"),
        (["plan", *SMALL, *MODEL, "job_limit=3", "seed=0,1,2,3"], "4 jobs (4 seed), limit 3; raise job_limit"),
        (["plan", *SMALL, *MODEL, "name=../../etc"], "value out of range in name: ../../etc"),
        (["plan", *SMALL, *MODEL, "batch_size=9"], "batch_size: 9; the training split has 8 images"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(
    words: list[str], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert told in error
    assert len(error.splitlines()) == 1
    assert not list(tmp_path.glob("outputs/*/sweep.yaml"))


def test_all_mistakes_are_told_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["train", *SMALL, *MODEL, "optimizer.lr=abc", "n_epoch=3", "neck=fpm"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3
    assert all(line.startswith("error: ") for line in lines)
