"""Which config of MMDetection a job names: by ``detector.config``, on the command line or in a recipe."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf, open_dict

from runners.contract.naming import DETECTOR_CONFIG as CONFIG
from runners.contract.naming import READ_DETECTORS as READING
from sweeper.planning.mm_files import MmFile, read_mm_file
from sweeper.planning.mm_placing import place_mm_file
from sweeper.planning.mm_refusals import refuse_unfit
from sweeper.planning.zoo_configs import find_zoo_config
from sweeper.project.project import anchored, find_project

# What every job imports.
_IMPORTED_ANYWAY = ("mmcv", "mmdet", "mmengine")


def reading_option(config: DictConfig) -> str | None:
    """Return the chosen detector if it is one that reads a config.

    Args:
        config: composed by Hydra, its own node included.
    """
    option = config.hydra.runtime.choices.get("detector")
    return option if option in READING else None


def place_named(
    config: DictConfig, kind: str, typed: str | None, chosen: Collection[str], recipe: Mapping[str, Any]
) -> MmFile | None:
    """Read the config that is named, and put it in its place; return it, or None if none is named.

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
        return None
    file = _read(kind, named, is_typed=typed is not None)
    place_mm_file(config, file, kind, chosen)
    with open_dict(config):
        config.merge_with(recipe)
        config.detector.config = named
    return file


def import_problems(file: MmFile, plugins: Any) -> list[str]:
    """Return a line if a config imports code that is not among the plug-ins of its job.

    Args:
        file: the config.
        plugins: what the job's config names as plug-ins.
    """
    told = file.config.get("custom_imports") or {}
    names = told.get("imports") if isinstance(told, Mapping) else told
    imported = [names] if isinstance(names, str) else list(names or ())
    known = {str(name).partition(".")[0] for name in ([plugins] if isinstance(plugins, str) else plugins or ())}
    roots = dict.fromkeys(str(name).partition(".")[0] for name in imported)
    missing = [root for root in roots if root not in known and root not in _IMPORTED_ANYWAY]
    if not missing:
        return []
    return [
        f"imports of its own in {file.path}: custom_imports names {', '.join(map(str, imported))}; code comes in by "
        f"plugins=[{','.join(missing)}], from the project's folder or an installation"
    ]


def unread(override: Override) -> str:
    """Return what is wrong with naming a config where the detector reads none."""
    return (
        f"config without a reader in override '{override.input_line}': the detector is one of ours; give detector=file "
        "(a path) or detector=zoo (a name) with it"
    )


def without_effect(override: Override) -> str:
    """Return what is wrong with setting a size that pipelines of the config's own do not follow."""
    return (
        f"no effect in override '{override.input_line}': the pipelines are the config's own and do not follow it; "
        "change pipeline.train... and pipeline.test..., or give image_size=512px, which takes our pipelines instead"
    )


def _read(kind: str, named: str, *, is_typed: bool) -> MmFile:
    project = find_project()
    if kind == "zoo":
        path = find_zoo_config(named)
    else:  # as all paths: those of a project's files begin at its root, those of a command line where it is typed
        path = Path(named).expanduser() if is_typed or not project.is_marked else Path(anchored(project.root, named))
    file = read_mm_file(path, project.trusted_folders)
    refuse_unfit(file)
    return file
