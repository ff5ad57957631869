"""Relative paths in a project's files begin at its root."""

from pathlib import Path

import pytest
from omegaconf import DictConfig, OmegaConf

from sweeper.planning.own_paths import anchor_paths


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "deep").mkdir()
    (tmp_path / "detsweep.yaml").touch()
    monkeypatch.chdir(tmp_path / "deep")
    return tmp_path


def config(**values: object) -> DictConfig:
    made = OmegaConf.create(
        {
            "dataset": {"root": "../data"},
            "weights": {"path": "w/best.pth"},
            "output_dir": "runs",
            "tracking": {"uri": "sqlite:///all.db"},
            "seed": 0,
            **values,
        }
    )
    OmegaConf.set_struct(made, True)
    return made


def test_every_path_begins_at_the_root(root: Path) -> None:
    made = config()
    anchor_paths(made)
    assert OmegaConf.to_container(made) == {
        "dataset": {"root": str(root.parent / "data")},
        "weights": {"path": f"{root}/w/best.pth"},
        "output_dir": f"{root}/runs",
        "tracking": {"uri": f"sqlite:///{root}/all.db"},
        "seed": 0,
    }


def test_what_a_command_line_says_begins_where_it_is_typed(root: Path) -> None:
    made = config()
    anchor_paths(made, {"output_dir", "dataset.root", "weights.path", "tracking.uri"})
    assert made == config()


def test_absolute_open_and_computed_values_stay(root: Path) -> None:
    values = {
        "dataset": {"root": "???"},
        "weights": {"path": "${seed}/a.pth"},
        "output_dir": "/runs",
        "tracking": {"uri": "http://host:5000"},
    }
    made = config(**values)
    anchor_paths(made)
    assert OmegaConf.to_container(made) == {**values, "seed": 0}
    made = config(dataset={"root": None}, weights={"name": "none"}, tracking={"uri": "sqlite:////abs.db"})
    before = OmegaConf.to_container(made)
    anchor_paths(made, {"output_dir"})
    assert OmegaConf.to_container(made) == before


def test_outside_a_project_nothing_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    made = config()
    anchor_paths(made)
    assert made == config()
