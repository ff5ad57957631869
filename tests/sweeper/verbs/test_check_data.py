"""``detsweep check data``: what a person sees of a data set, and the exit code that says if it can be trained on."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from sweeper.cli import main
from sweeper.verbs.completion import candidates
from tests.contract.sample_set import SampleSet

Check = Callable[..., int]


@pytest.fixture
def sample(tmp_path: Path) -> SampleSet:
    return SampleSet.write(tmp_path / "sample")


@pytest.fixture
def check(sample: SampleSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Check:
    """Check that set, as typed in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    return lambda *words: main(["check", "data", f"dataset.root={sample.root}", *words])


def page(tmp_path: Path, name: str = "sample") -> str:
    return (tmp_path / "outputs" / "data" / name / "index.html").read_text(encoding="utf-8")


def test_a_sound_set_is_shown_with_its_page(check: Check, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check() == 0
    shown = capsys.readouterr().out
    for word in ("Splits", "Classes", "square", "64 x 64", "outputs/data/sample/index.html"):
        assert word in shown
    assert "data:image/jpeg" in page(tmp_path)
    assert sorted(path.name for path in (tmp_path / "outputs").iterdir()) == ["data"]


def test_suspects_do_not_keep_a_set_from_being_trained_on(
    check: Check, sample: SampleSet, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(sample.image("train", 1), sample.image("val", 0))
    sample.edit("train", lambda content: content["annotations"][0].update(bbox=[50, 10, 30, 20], area=600))
    assert check() == 0
    shown = capsys.readouterr().out
    assert "Same image in two splits" in shown
    # The check of a sweep tells the same in other words: once is enough.
    assert shown.count("beyond the image") == 2  # in the table, and what it means
    assert "note:" not in shown


def test_an_error_is_an_error_and_the_rest_is_shown_all_the_same(
    check: Check, sample: SampleSet, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sample.edit("val", lambda content: content["annotations"][0].update(bbox=[1, 2, -3, 4]))
    sample.image("train", 2).unlink()
    assert check() == 2
    shown = capsys.readouterr()
    assert "box of zero or negative size" in shown.err
    assert "image missing" in shown.err
    assert "Splits" in shown.out
    assert "It cannot be trained on" in page(tmp_path)


def test_a_set_that_is_not_there_is_one_line(check: Check, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "data", "dataset.root=nowhere"]) == 2
    assert "data root missing in dataset.root" in capsys.readouterr().err


def test_each_fold_is_a_data_set_of_its_own(check: Check, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check("dataset.val=null", "dataset.n_folds=2", "fold=0,1", "seed=0,1") == 0
    shown = capsys.readouterr().out
    assert shown.count("Splits") == 2
    for fold in (0, 1):
        assert "val_" not in page(tmp_path, f"sample-fold{fold}")


def test_data_in_the_output_folder_is_left_as_it_is(
    sample: SampleSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    moved = tmp_path / "outputs" / "data" / "sample"
    moved.parent.mkdir(parents=True)
    sample.root.rename(moved)
    before = sorted(moved.iterdir())
    assert main(["check", "data", f"dataset.root={moved}"]) == 0
    assert sorted(moved.iterdir()) == before
    assert page(tmp_path, "sample-page")


def test_a_misspelt_setting_is_told_before_any_image_is_looked_at(
    check: Check, capsys: pytest.CaptureFixture[str]
) -> None:
    assert check("dataset.trian=x") == 2
    assert "did you mean" in capsys.readouterr().err


def test_the_models_half_steps_and_says_nothing_of_the_data(
    sample: SampleSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[3]))
    sample.edit("test", lambda content: content.update(annotations=[]))
    words = [
        f"dataset.root={sample.root}",
        "weights=none",
        "batch_size=2",
        "entry=tests.quick_job",
        "backbone=resnet18",
    ]
    assert main(["check", "models", *words, "seed=0,1"]) == 0
    told = capsys.readouterr().out
    assert "2 jobs composed; 1 distinct models" in told
    assert told.count("ok     faster-rcnn_resnet18") == 2
    assert "not labelled" not in told
    assert main(["check", *words]) == 0
    told = capsys.readouterr().out
    assert "not labelled" in told
    assert "detsweep check data shows" in told


def test_the_parts_of_check_are_completed() -> None:
    assert candidates("detsweep check da", lambda words: "dataset=") == ["data ", "dataset="]
    assert candidates("detsweep check data mod", lambda words: "") == []
