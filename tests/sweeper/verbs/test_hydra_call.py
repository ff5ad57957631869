"""Hydra's verbs in a project: its options are shown and completed, its machine's settings act and are checked."""

from pathlib import Path

import pytest

from sweeper.cli import main
from sweeper.verbs.completion import candidates, run_completion


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with an option of its own; the working directory is a folder below it."""
    (tmp_path / "conf" / "neck").mkdir(parents=True)
    (tmp_path / "deep").mkdir()
    (tmp_path / "detsweep.yaml").touch()
    (tmp_path / "conf" / "neck" / "ours.yaml").write_text("# @package _global_\ndefaults: [/neck/fpn, _self_]\n")
    monkeypatch.chdir(tmp_path / "deep")
    return tmp_path


def shown(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(list(words)) == 0
    return capsys.readouterr().out


def test_help_and_completion_know_the_teams_options(
    root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "neck: fpn, ours, pafpn" in shown(capsys, "train", "--help")
    monkeypatch.setenv("COMP_LINE", "detsweep train neck=o")
    monkeypatch.setenv("COMP_POINT", "21")
    assert run_completion(["query"]) == 0
    assert capsys.readouterr().out.split() == ["neck=ours"]


def test_completion_looks_for_sweeps_in_the_projects_root(root: Path) -> None:
    (root / "outputs" / "one").mkdir(parents=True)
    (root / "outputs" / "one" / "sweep.yaml").touch()
    (root / "runs" / "two").mkdir(parents=True)
    (root / "runs" / "two" / "sweep.yaml").touch()
    assert candidates("detsweep status ", lambda _: "") == ["one "]
    (root / "conf" / "local.yaml").write_text("output_dir: runs\n")
    assert candidates("detsweep status ", lambda _: "") == ["two "]


def test_the_word_sqlite_means_the_database_in_the_output_folder_whatever_the_machine_says(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (root / "conf" / "local.yaml").write_text("tracking.uri: http://host:5000\n")
    asked = ("train", "--cfg", "job", "--package", "tracking", "dataset=shapes")
    assert "uri: http://host:5000\n" in shown(capsys, *asked)
    assert "uri: null\n" in shown(capsys, *asked, "tracking=sqlite")
    assert "uri: http://other\n" in shown(capsys, *asked, "tracking=sqlite", "tracking.uri=http://other")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "jobs_per_gpu: 0\n",
            "value out of range in jobs_per_gpu: 0 in {}/conf/local.yaml; a whole number from 1 to 64",
        ),
        ("share: all\n", "value out of range in share: all in {}/conf/local.yaml; one of private, group"),
        ("n_epochs: 3\n", "no machine setting in {}/conf/local.yaml: n_epochs; "),
    ],
)
def test_what_the_machine_cannot_be_is_told_with_its_file(
    root: Path, capsys: pytest.CaptureFixture[str], text: str, told: str
) -> None:
    (root / "conf" / "local.yaml").write_text(text)
    assert main(["plan", "dataset=shapes"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert told.format(root) in line


@pytest.mark.parametrize("verb", ["status", "ls", "report", "resume", "sync", "clean", "stop", "attach", "verify"])
def test_verbs_about_sweeps_look_into_this_machines_output_folder(
    root: Path, capsys: pytest.CaptureFixture[str], verb: str
) -> None:
    (root / "conf" / "local.yaml").write_text("output_dir: runs\n")
    main([verb])
    told = capsys.readouterr()
    if verb != "clean":  # which has nothing to name
        assert f"{root}/runs" in told.out + told.err
    (root / "conf" / "local.yaml").write_text("seed: 3\n")
    assert main([verb]) == 2
    assert "no machine setting" in capsys.readouterr().err
