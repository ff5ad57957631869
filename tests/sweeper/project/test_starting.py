"""A project is made as a whole or not at all, and nothing that exists is touched."""

import os
from pathlib import Path

import pytest

from runners.contract.errors import UserError
from sweeper.planning.machine_rules import machine_problems
from sweeper.project.dataset_option import DatasetOption
from sweeper.project.found_data import find_data
from sweeper.project.project import find_project, local_settings
from sweeper.project.starter_texts import StarterFile, starter_files
from sweeper.project.starting import choose_conf, make_files
from tests.sweeper.project.coco_release import write_release


def files(
    tmp_path: Path, conf: str = "conf", has_readme: bool = False, has_gitignore: bool = False
) -> list[StarterFile]:
    found = find_data(write_release(tmp_path / "release"), {}, None)
    return starter_files(DatasetOption("trash", found, "../release"), conf, has_readme, has_gitignore)


def test_every_machine_setting_that_is_shown_is_one(tmp_path: Path) -> None:
    root = tmp_path / "team"
    make_files(root, files(tmp_path))
    project = find_project(root)
    assert (project.is_marked, local_settings(project)) == (True, {})
    lines = project.local.read_text().splitlines()
    shown = [line.removeprefix("# ") for line in lines[4:]]
    project.local.write_text("\n".join(shown))
    assert len(local_settings(project)) == len(shown) == 10
    assert machine_problems(project) == []


def test_in_a_repository_its_own_readme_and_rules_stay(tmp_path: Path) -> None:
    names = [file.name for file in files(tmp_path, has_readme=True, has_gitignore=True)]
    assert {"conf/README.md", "conf/.gitignore"} < set(names)
    assert not {"README.md", ".gitignore"} & set(names)


def test_a_conf_of_another_program_is_left_alone(tmp_path: Path) -> None:
    assert choose_conf(tmp_path) == "conf"
    (tmp_path / "conf" / "dataset").mkdir(parents=True)
    assert choose_conf(tmp_path) == "conf"
    (tmp_path / "conf" / "config.yaml").touch()
    assert choose_conf(tmp_path) == "detsweep_conf"
    root = tmp_path / "team"
    make_files(root, files(tmp_path, conf="detsweep_conf"))
    assert find_project(root).conf == root / "detsweep_conf"


def test_what_is_in_the_way_is_named_and_nothing_is_made(tmp_path: Path) -> None:
    root = tmp_path / "team"
    (root / "conf" / "recipe").mkdir(parents=True)
    (root / "conf" / "recipe" / "first.yaml").write_text("mine")
    (root / "detsweep.yaml").symlink_to("nowhere")
    before = sorted(root.rglob("*"))
    with pytest.raises(UserError) as caught:
        make_files(root, files(tmp_path))
    assert f"in the way in {root}: detsweep.yaml, conf/recipe/first.yaml; " in str(caught.value)
    assert sorted(root.rglob("*")) == before


def test_a_write_that_fails_takes_everything_back(tmp_path: Path) -> None:
    root = tmp_path / "team"
    wanted = [*files(tmp_path), StarterFile(f"{'x' * 300}/file", "", "too long a name")]
    with pytest.raises(UserError, match=f"cannot write in {root}: File name too long"):
        make_files(root, wanted)
    assert not root.exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    try:
        with pytest.raises(UserError, match="Permission denied"):
            make_files(tmp_path / "team", [StarterFile("a", "", "")])
    finally:
        tmp_path.chmod(0o755)
