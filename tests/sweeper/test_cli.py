"""The command line as a person meets it: in a process of its own, in a folder of their own."""

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from sweeper.cli import main
from sweeper.verbs.verbs import VERBS

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


def test_help_names_every_command_and_imports_nothing_that_takes_long() -> None:
    heavy = ("hydra", "yaml", "rich", "numpy", "mlflow", "torch")
    code = f"import sys, sweeper.cli; sweeper.cli.main(['--help']); print([m for m in {heavy} if m in sys.modules])"
    shown = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert shown.stdout.splitlines()[-1] == "[]"
    for verb, described in VERBS.items():
        assert f"  {verb} " in shown.stdout
        assert described.summary in shown.stdout


@pytest.mark.parametrize("verb", [verb for verb, described in VERBS.items() if not described.is_hydras])
def test_every_command_has_help_with_an_example(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([verb, "--help"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith(f"detsweep {verb} ")
    assert f"  detsweep {verb}" in shown.partition("for example:")[2]
    assert main([verb, "anything", "-h"]) == 0
    assert capsys.readouterr().out == shown


@pytest.mark.parametrize("verb", [verb for verb, described in VERBS.items() if not described.is_hydras])
def test_every_command_is_there(verb: str) -> None:
    module, function = VERBS[verb].runs
    assert callable(getattr(importlib.import_module(module), function))


def test_help_of_training_shows_the_groups_and_our_own_flags(tmp_path: Path) -> None:
    shown = detsweep(tmp_path, "train", "--help")
    assert shown.returncode == 0
    assert "--detach" in shown.stdout
    assert "backbone: resnet101, resnet18" in shown.stdout
    assert list(tmp_path.iterdir()) == []


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
    shown = detsweep(tmp_path, "plan", *SMALL, *MODEL, "gpus=98,99")
    assert shown.returncode == 2
    assert "no GPU 98, 99 on this machine" in shown.stderr


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["trian"], "no command 'trian' in detsweep trian; did you mean 'train'?; commands are train, plan"),
        (["check", "--detach"], "no flag '--detach' in detsweep check; it is there for train, resume"),
        (
            ["status", "--jsn"],
            "no flag '--jsn' in detsweep status --jsn: flags are --json, --all; did you mean '--json'?",
        ),
        (["status", "a", "b"], "too many names in detsweep status a b: 2 given; name one"),
        (["ls", "a"], "too many names in detsweep ls a: 1 given; it takes no name"),
        (["attach", "lr=1"], "no setting 'lr' in detsweep attach lr=1; the one setting is output_dir=FOLDER"),
        (["clean", "nothing"], "found none called 'nothing'"),
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
