"""In a project the team's groups come before the shipped ones, its machine's settings between defaults and recipe."""

from pathlib import Path
from typing import Any

import pytest
from hydra._internal.utils import create_config_search_path
from omegaconf import OmegaConf

from runners.contract.errors import UserError
from sweeper.planning.compose import Composer
from sweeper.planning.resolvers import register
from sweeper.project.project import SHIPPED_CONF

SHAPES = "dataset=shapes"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project; the working directory is a folder below it."""
    register()
    deep = tmp_path / "team" / "notebooks"
    deep.mkdir(parents=True)
    (tmp_path / "team" / "detsweep.yaml").touch()
    monkeypatch.chdir(deep)
    return tmp_path / "team"


def write(root: Path, name: str, text: str) -> Path:
    path = root / "conf" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def value(key: str, *overrides: str) -> Any:
    return OmegaConf.select(Composer.of_folder(SHIPPED_CONF).compose([SHAPES, *overrides]), key)


def refused(*overrides: str) -> str:
    with pytest.raises(UserError) as caught:
        Composer.of_folder(SHIPPED_CONF).compose(list(overrides))
    return "\n".join(caught.value.problems)


NET = """\
# @package _global_
defaults: [/backbone/resnet50, _self_]
backbone: {name: ours}
model: {backbone: {norm_eval: false}}
"""


def test_an_option_of_the_team_extends_a_shipped_one(root: Path) -> None:
    write(root, "backbone/ours.yaml", NET)
    composer = Composer.of_folder(SHIPPED_CONF)
    config = composer.compose([SHAPES, "backbone=ours"])
    assert (config.model.backbone.depth, config.model.backbone.norm_eval) == (50, False)
    assert {"ours", "resnet50"} < set(composer.groups()["backbone"])
    assert "choices: ours, resnet101" in refused(SHAPES, "backbone=our")


def test_an_option_of_the_team_stands_for_a_shipped_one_of_the_same_name(root: Path) -> None:
    write(root, "neck/fpn.yaml", "# @package _global_\ndefaults: [/neck/pafpn, _self_]\nneck: {name: fpn}\n")
    assert value("model.neck.type", "neck=fpn") == "PAFPN"
    assert value("model.neck.type") == "PAFPN"


def test_a_recipe_of_the_team_chooses_its_data(root: Path) -> None:
    write(
        root, "dataset/mine.yaml", "# @package _global_\ndefaults: [/dataset/shapes, _self_]\ndataset: {name: mine}\n"
    )
    write(root, "recipe/mine.yaml", "# @package _global_\ndefaults:\n  - override /dataset: mine\nbatch_size: 3\n")
    config = Composer.of_folder(SHIPPED_CONF).compose(["recipe=mine"])
    assert (config.dataset.name, config.batch_size) == ("mine", 3)


def test_without_a_marker_nothing_of_it_is_read_and_a_hint_tells_so(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(root, "backbone/ours.yaml", NET)
    write(root, "local.yaml", "seed: 4\n")
    write(root, "config.yaml", "nonsense: true\n")
    (root / "detsweep.yaml").unlink()
    monkeypatch.chdir(root)
    assert value("output_dir") == "outputs"
    told = refused(SHAPES, "backbone=ours")
    assert (
        f"{root}/conf/backbone/ours.yaml is not read, for this folder is no project: detsweep init makes it one" in told
    )


def test_a_config_of_another_program_never_stands_for_ours(root: Path) -> None:
    path = write(root, "config.yaml", "seed: 5\n")
    assert f"a file that would replace detsweep's own in {path}" in refused(SHAPES)


def test_another_programs_composition_is_left_alone(root: Path, tmp_path: Path) -> None:
    write(root, "backbone/ours.yaml", NET)
    other = create_config_search_path(str(tmp_path / "elsewhere"))
    assert "project" not in [entry.provider for entry in other.get_path()]
    ours = create_config_search_path(str(SHIPPED_CONF))
    assert [entry.provider for entry in ours.get_path()] == ["hydra", "project", "main", "schema"]


def test_sweeps_go_to_the_projects_root(root: Path) -> None:
    assert value("output_dir") == str(root / "outputs")


def test_this_machines_settings_count_over_the_defaults_and_under_recipe_and_command_line(root: Path) -> None:
    write(root, "local.yaml", "gpus: none\njobs_per_gpu: 3\nn_workers: 1\noutput_dir: runs\n")
    write(root, "recipe/mine.yaml", "# @package _global_\njobs_per_gpu: 2\n")
    assert value("jobs_per_gpu") == 3
    config = Composer.of_folder(SHIPPED_CONF).compose([SHAPES, "recipe=mine", "n_workers=5"])
    assert (config.gpus, config.jobs_per_gpu, config.n_workers) == ("none", 2, 5)
    assert config.output_dir == str(root / "runs")


def test_what_was_said_of_one_machine_is_forgotten_with_its_file(root: Path) -> None:
    path = write(root, "local.yaml", "jobs_per_gpu: 3\ntracking.experiment: trash\n")
    assert value("tracking.experiment") == "trash"
    path.unlink()
    assert (value("jobs_per_gpu"), value("tracking.experiment")) == (1, "detsweep")


def test_this_machines_store_is_for_those_who_name_none(root: Path) -> None:
    write(root, "local.yaml", "tracking.uri: http://host:5000\ntracking.experiment: trash\n")
    write(root, "recipe/quiet.yaml", '# @package _global_\ndefaults:\n  - override /tracking: "off"\n')
    assert (value("tracking.uri"), value("tracking.experiment")) == ("http://host:5000", "trash")
    assert value("tracking.uri", "tracking.uri=http://other") == "http://other"
    assert value("tracking.uri", "tracking=off") is None
    assert value("tracking.uri", "recipe=quiet") is None
    server = Composer.of_folder(SHIPPED_CONF).compose([SHAPES, "tracking=server", "tracking.uri=http://other"])
    assert (server.tracking.uri, server.tracking.experiment) == ("http://other", "trash")


def test_relative_paths_begin_at_the_root_in_files_and_where_one_stands_on_the_command_line(root: Path) -> None:
    write(
        root, "dataset/mine.yaml", "# @package _global_\ndefaults: [/dataset/coco, _self_]\ndataset: {root: ../data}\n"
    )
    composer = Composer.of_folder(SHIPPED_CONF)
    assert composer.compose(["dataset=mine"]).dataset.root == str(root.parent / "data")
    assert composer.compose(["dataset=mine", "dataset.root=data"]).dataset.root == "data"
    assert composer.compose([SHAPES]).dataset.root is None


def test_errors_name_the_teams_file(root: Path) -> None:
    path = write(root, "backbone/ours.yaml", NET + "neck: {name: '${nope.x}', other: '???'}\n")
    assert f"missing value in neck.other: ??? in {path}" in refused(SHAPES, "backbone=ours")
    path.write_text(NET + "x: '${nope.y}'\n")
    assert f"broken interpolation in x: ${{nope.y}} in {path}" in refused(SHAPES, "backbone=ours")
    path.write_text("# @package _global_\n\tx: 1\n")
    assert f"broken YAML in {path}" in refused(SHAPES, "backbone=ours")
    path.write_bytes(b"# @package _global_\nx: \xff\n")
    assert f"broken text in {path}: no UTF-8 at byte 23" in refused(SHAPES, "backbone=ours")
    write(root, "local.yaml", "lr: 3\n")
    assert f"no machine setting in {root}/conf/local.yaml: lr" in refused(SHAPES)
