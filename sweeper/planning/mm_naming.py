"""Which config of MMDetection a job names: by ``detector.config``, on the command line or in a recipe."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf, open_dict

from sweeper.planning.mm_files import MmFile, read_mm_file
from sweeper.planning.mm_placing import place_mm_file
from sweeper.planning.mm_refusals import refuse_unfit
from sweeper.planning.zoo_configs import find_zoo_config
from sweeper.project.project import anchored, find_project

# Options of the group `detector` that read a config, and the setting that names it.
READING = ("file", "zoo")
CONFIG = "detector.config"


def reading_option(config: DictConfig) -> str | None:
    """Return the chosen detector if it is one that reads a config.

    Args:
        config: composed by Hydra, its own node included.
    """
    option = config.hydra.runtime.choices.get("detector")
    return option if option in READING else None


def place_named(
    config: DictConfig, kind: str, typed: str | None, chosen: Collection[str], recipe: Mapping[str, Any]
) -> bool:
    """Read the config that is named, and put it in its place; return whether one is named.

    Args:
        config: composed by Hydra; it is changed.
        kind: one of `READING`.
        typed: what the command line says of `CONFIG`; None where a recipe does, or nobody.
        chosen: groups of which an option was asked for.
        recipe: what a recipe says of single values; it wins over the config.

    Raises:
        UserError: there is no such config, or it cannot be read, or no job can be made of it.
    """
    told = OmegaConf.select(config, CONFIG)
    named = typed if typed is not None else told
    if not isinstance(named, str) or not named:
        return False
    place_mm_file(config, _read(kind, named, is_typed=typed is not None), kind, chosen)
    with open_dict(config):
        config.merge_with(recipe)
        config.detector.config = named
    return True


def _read(kind: str, named: str, *, is_typed: bool) -> MmFile:
    project = find_project()
    if kind == "zoo":
        path = find_zoo_config(named)
    else:  # as all paths: those of a project's files begin at its root, those of a command line where it is typed
        path = Path(named).expanduser() if is_typed or not project.is_marked else Path(anchored(project.root, named))
    file = read_mm_file(path, project.trusted_folders)
    refuse_unfit(file)
    return file
