"""Where sweeps go and are looked for: the project's root says it, this machine's file, then the command line."""

from pathlib import Path

import pytest

from sweeper.project.places import Places, asked_output_dir, find_places


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project; the working directory is a folder below it."""
    deep = tmp_path / "team" / "notebooks"
    deep.mkdir(parents=True)
    (tmp_path / "team" / "conf").mkdir()
    (tmp_path / "team" / "detsweep.yaml").touch()
    monkeypatch.chdir(deep)
    return tmp_path / "team"


def test_outside_a_project_it_is_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert find_places() == Places(tmp_path / "outputs", None, "detsweep")


def test_in_a_project_it_is_the_root_wherever_one_stands(root: Path) -> None:
    assert find_places() == Places(root / "outputs", None, "detsweep")


def test_the_machine_may_have_its_own_place(root: Path) -> None:
    (root / "conf" / "local.yaml").write_text(
        "output_dir: runs\ntracking: {uri: http://host:5000, experiment: trash}\n"
    )
    assert find_places() == Places(root / "runs", "http://host:5000", "trash")


def test_the_command_line_wins_and_means_the_working_directory(root: Path) -> None:
    (root / "conf" / "local.yaml").write_text("output_dir: runs\n")
    assert asked_output_dir(["3", "output_dir=a", "output_dir=b"]) == root / "notebooks" / "b"
    assert asked_output_dir(["3"]) == root / "runs"
    assert asked_output_dir(["output_dir="]) == root / "runs"
