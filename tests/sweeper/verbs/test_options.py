"""``detsweep options``: what there is to choose from, whose it is, and what each is for."""

import json
from pathlib import Path

import pytest
from hydra import version
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.utils import create_config_search_path
from hydra.types import RunMode

from sweeper.cli import main
from sweeper.planning.compose import Composer
from sweeper.verbs.option_groups import OptionGroup, find_groups
from tests.composition import CONF


def groups_with(own: Path) -> dict[str, OptionGroup]:
    """Return the groups where a folder of the team's own is searched before ours."""
    version.setbase("1.3")
    search_path = create_config_search_path(str(CONF))
    search_path.prepend("own", f"file://{own}", "main")
    loader = ConfigLoaderImpl(search_path)
    composer = Composer(loader, loader.load_configuration("config", [], RunMode.RUN))
    return {group.name: group for group in find_groups(composer, CONF)}


def write_option(own: Path, option: str, text: str) -> None:
    path = own / f"{option}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def test_all_groups_stand_in_the_table_with_their_options(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["options"]) == 0
    shown = capsys.readouterr().out
    for word in ("backbone", "resnet50", "image_size", "recipe", "tracking", "sqlite"):
        assert word in shown
    for word in ("optimizer_defaults", "hydra", "job_logging"):
        assert word not in shown


def test_a_group_shows_what_each_option_is_for_and_how_large_it_makes_the_detector(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["options", "backbone"]) == 0
    lines = {line.split()[0]: line for line in reversed(capsys.readouterr().out.splitlines()) if line.strip()}
    assert "41.8 M" in lines["resnet50"]
    assert "wants adamw" in lines["swin_t"]


def test_programs_read_the_same_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["options", "image_size", "--json"]) == 0
    (group,) = json.loads(capsys.readouterr().out)["groups"]
    assert group["default"] == "512px"
    names = [option["name"] for option in group["options"]]
    assert names == ["512px", "96px", "160px", "256px", "640px", "1024px", "coco"]
    first = group["options"][0]
    assert first["command"] == "detsweep train image_size=512px"
    assert "512 pixels" in first["purpose"]
    assert not first["own"]


@pytest.mark.parametrize(
    ("typed", "told"), [("bakbone", "did you mean 'backbone'"), ("swin_t", "it is an option of backbone")]
)
def test_what_is_no_group_is_told_with_what_is_meant(typed: str, told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["options", typed]) == 2
    assert told in capsys.readouterr().err


def test_own_options_and_groups_are_told_from_ours(tmp_path: Path) -> None:
    own = tmp_path / "conf"
    write_option(own, "backbone/tiny", "# @package _global_\n# detsweep train backbone=tiny width=narrow\n\n# Ours.\n")
    write_option(own, "neck/fpn", "# @package _global_\nneck: {name: fpn}\n")
    write_option(own, "camera/left", "# Pictures of the left camera.\ncamera: left\n")
    groups = groups_with(own)
    tiny = next(option for option in groups["backbone"].options if option.name == "tiny")
    assert (tiny.purpose, tiny.command) == ("Ours.", "detsweep train backbone=tiny width=narrow")
    assert (tiny.is_own, tiny.hides_shipped, tiny.parameters_m) == (True, False, None)
    fpn = groups["neck"].options[0]
    assert (fpn.is_own, fpn.hides_shipped, fpn.purpose) == (True, True, "")
    assert fpn.command == "detsweep train neck=fpn"
    assert [option.purpose for option in groups["camera"].options] == ["Pictures of the left camera."]
    assert list(groups)[-1] == "camera"


def test_in_a_project_its_own_options_are_there_without_a_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "detsweep.yaml").touch()
    write_option(tmp_path / "conf", "backbone/tiny", "# @package _global_\n# Ours.\nbackbone: {name: tiny}\n")
    monkeypatch.chdir(tmp_path)
    assert main(["options", "backbone"]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("tiny")]
    assert len(lines) == 1
    assert lines[0].split() == ["tiny", "own", "Ours."]
    assert main(["options"]) == 0
    shown = capsys.readouterr().out
    assert "tiny*" in shown
    assert "* of this project's conf/" in shown


def test_every_shipped_group_and_option_says_what_it_is_for(tmp_path: Path) -> None:
    silent = [
        f"{group.name}={option.name}"
        for group in groups_with(tmp_path).values()
        for option in group.options
        if not (group.purpose and option.purpose and option.command.startswith("detsweep train "))
    ]
    assert silent == []
