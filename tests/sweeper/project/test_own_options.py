"""Options that Hydra would misplace without a word, or could not name, are told."""

from pathlib import Path

import pytest

from sweeper.project.own_options import misplaced_options, unreadable_options
from sweeper.project.project import Project, find_project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    (tmp_path / "conf" / "backbone").mkdir(parents=True)
    (tmp_path / "detsweep.yaml").touch()
    return find_project(tmp_path)


def write(project: Project, name: str, text: str) -> Path:
    path = project.root / "conf" / f"{name}.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return path


def test_an_option_without_a_package_is_told(project: Project) -> None:
    path = write(project, "backbone/mine", "backbone: {name: mine}\n")
    (line,) = misplaced_options(project, {"backbone": "mine", "neck": "fpn", "recipe": None})
    assert line.startswith(f"no package in {path}: without one its keys become backbone.KEY")
    path.write_text("# ours\n# @package _global_\nbackbone: {name: mine}\n")
    assert misplaced_options(project, {"backbone": "mine"}) == []


def test_only_what_is_used_is_looked_at_and_that_as_far_as_it_extends(project: Project) -> None:
    write(project, "backbone/unused", "backbone: {}\n")
    base = write(project, "backbone/base", "defaults: [/backbone/resnet50]\n")
    write(project, "backbone/a", "# @package _global_\ndefaults: [base, _self_]\n")
    write(project, "backbone/b", "# @package _global_\ndefaults: [/backbone/base@_global_, {neck: fpn}]\n")
    for option in ("a", "b"):
        (line,) = misplaced_options(project, {"backbone": option})
        assert str(base) in line


def test_a_group_of_the_teams_own_may_be_placed_as_it_likes(project: Project) -> None:
    write(project, "ours/a", "x: 1\n")
    assert misplaced_options(project, {"ours": "a"}) == []


def test_an_option_that_extends_itself_is_named(project: Project) -> None:
    one = write(project, "backbone/resnet50", "# @package _global_\ndefaults: [/backbone/resnet50]\n")
    (line,) = unreadable_options(project)
    assert line.startswith(f"option extends itself in {one}: its defaults lead back to backbone/resnet50")
    one.write_text("defaults: [two]\n")
    write(project, "backbone/two", "defaults: [three]\n")
    write(project, "backbone/three", "defaults: [/backbone/two]\n")
    assert [line.partition(":")[0] for line in unreadable_options(project)] == [
        f"option extends itself in {project.conf}/backbone/{name}.yaml" for name in ("three", "two")
    ]


def test_outside_a_project_there_is_nothing_to_tell(tmp_path: Path) -> None:
    assert unreadable_options(Project(tmp_path, False)) == []
    assert misplaced_options(Project(tmp_path, False), {"backbone": "mine"}) == []
