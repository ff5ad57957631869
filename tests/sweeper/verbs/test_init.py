"""``detsweep init`` as a person types it: what is made, what is said, and that a mistake makes nothing."""

import re
from pathlib import Path

import pytest

from sweeper.cli import main
from tests.sweeper.project.coco_release import write_images, write_labels, write_release


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory: a competition's release lies in it, smaller than a batch."""
    write_release(tmp_path / "trash_cup", n_train=10)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    before = sorted(Path.cwd().rglob("*"))
    assert main(["init", *words]) == 2
    assert sorted(Path.cwd().rglob("*")) == before
    shown = capsys.readouterr()
    assert shown.out == ""
    (line,) = shown.err.splitlines()
    return line


def test_a_project_is_made_and_its_first_command_works(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["init", "team", "data=trash_cup"]) == 0
    shown = capsys.readouterr().out
    made = {path.relative_to(folder / "team").as_posix() for path in (folder / "team").rglob("*") if path.is_file()}
    assert made == {
        "detsweep.yaml",
        "conf/dataset/trash_cup.yaml",
        "conf/recipe/first.yaml",
        "conf/recipe/quick.yaml",
        "conf/hypothesis/README.md",
        "conf/local.yaml",
        ".gitignore",
        "README.md",
    }
    assert all(f"  {name} " in shown for name in made)
    assert "classes: can, cup" in shown
    assert shown.splitlines()[-1] == "next: cd team && detsweep check data dataset=trash_cup"
    monkeypatch.chdir(folder / "team")
    assert main(["plan", "recipe=first"]) == 0
    assert "faster-rcnn_resnet50_fpn_sgd_512" in capsys.readouterr().out


def test_the_readmes_commands_compose(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    main(["init", "data=trash_cup", "name=cup"])
    capsys.readouterr()
    (folder / "notebooks").mkdir()
    monkeypatch.chdir(folder / "notebooks")
    commands = re.findall(r"^detsweep train (.*?) +#", (folder / "README.md").read_text(), re.MULTILINE)
    assert len(commands) == 4
    jobs = []
    for command in commands:
        assert main(["plan", *command.split()]) == 0
        jobs.append(re.search(r"^(\d+) jobs", capsys.readouterr().out, re.MULTILINE)[1])  # type: ignore[index]
    assert jobs == ["2", "2", "2", "10"]
    assert not (folder / "notebooks" / "outputs").exists()


def test_a_folder_that_holds_its_data_needs_no_words(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder / "trash_cup")
    assert main(["init"]) == 0
    assert "root: . #" in (folder / "trash_cup" / "conf" / "dataset" / "trash_cup.yaml").read_text()


def test_data_elsewhere_is_named_by_its_whole_path(folder: Path) -> None:
    assert main(["init", "deep/down/team", "data=trash_cup"]) == 0
    text = (folder / "deep" / "down" / "team" / "conf" / "dataset" / "trash_cup.yaml").read_text()
    assert f"root: {folder}/trash_cup\n" in text


def test_a_project_takes_one_more_data_set_from_anywhere_below_it(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    main(["init", "data=trash_cup"])
    capsys.readouterr()
    write_images(folder / "more", ["a.jpg"])
    write_labels(folder / "more" / "labels.json", ["a.jpg"])
    monkeypatch.chdir(folder / "more")
    assert main(["init", "name=second", "train=labels.json"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "next: detsweep check data dataset=second"
    assert (folder / "conf" / "dataset" / "second.yaml").is_file()
    assert not (folder / "more" / "detsweep.yaml").exists()
    assert f"a project already in {folder}" in refused(capsys)
    assert "in the way in" in refused(capsys, "name=second", "train=labels.json")


def test_a_repository_keeps_what_it_has(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    repository = folder / "repo"
    own = ["README.md", ".gitignore", "conf/config.yaml", "runners/__init__.py", "tests/test_it.py"]
    for name in own:
        (repository / name).parent.mkdir(parents=True, exist_ok=True)
        (repository / name).write_text("theirs")
    assert main(["init", "repo", "data=trash_cup"]) == 0
    assert all((repository / name).read_text() == "theirs" for name in own)
    assert (repository / "detsweep_conf" / "dataset" / "trash_cup.yaml").is_file()
    assert (repository / "detsweep_conf" / ".gitignore").read_text() == "/local.yaml\n"
    shown = capsys.readouterr().out
    assert "conf/ is another program's" in shown
    assert "add /outputs/ to it" in shown


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["team", "data=gone"], "folder missing in data=: {}/gone (no such folder)"),
        (["team", "data=trash_cup/train.json"], "folder missing in data=: {}/trash_cup/train.json (a file)"),
        (["team", "train=gone.json"], "annotation file missing in train=: {}/gone.json (no such file)"),
        (["team", "train=trash_cup"], "annotation file missing in train=: {}/trash_cup (a folder)"),
        (["team", "train=trash_cup/images/000.jpg"], "broken JSON in {}/trash_cup/images/000.jpg"),
        (["team", "train=null"], "annotation file missing in train=: {}/null (no such file)"),
        (["team", "train=trash_cup/test.json"], "no boxes in {}/trash_cup/test.json: train is not labelled"),
        (["team", "data=trash_cup", "images=gone"], "folder missing in images=: {}/gone (no such folder)"),
        (["team", "data=trash_cup", "name=a/b"], "name in name=: 'a/b' cannot stand behind dataset="),
        (["team", "data=trash_cup", "name=shapes"], "name taken in name=: shapes"),
        (["trash_cup/train.json"], "{}/trash_cup/train.json is a file; name a folder"),
        (["team"], "no data in detsweep init: {}/team is not there yet"),
        (["trash_cup/images"], "no annotation file in {}/trash_cup/images"),
        (["team", "dat=trash_cup"], "no setting 'dat' in detsweep init team dat=trash_cup; did you mean 'data'?"),
        (["team", "other", "data=trash_cup"], "too many folders in detsweep init team other data=trash_cup: 2 given"),
        (["team", "name="], "no value in 'name='"),
        (["--force", "team"], "no flag '--force' in detsweep init --force team"),
    ],
)
def test_a_mistake_is_one_line_and_makes_nothing(
    folder: Path, capsys: pytest.CaptureFixture[str], words: list[str], told: str
) -> None:
    assert told.format(folder) in refused(capsys, *words)


def test_two_files_that_fit_are_a_choice(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_labels(folder / "trash_cup" / "old" / "train.json", ["000.jpg"])
    assert "train.json, old/train.json; name it with train=FILE" in refused(capsys, "team", "data=trash_cup")
    assert main(["init", "team", "data=trash_cup", "train=trash_cup/old/train.json"]) == 0
