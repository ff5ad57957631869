"""The file ``config.py``: a job's config as plain MMDetection loads it, without detsweep where that is possible."""

import copy
from pathlib import Path
from typing import Any

from mmengine.config import Config

from runners.contract.jsonfile import write_text
from runners.pipeline import OWN_TRANSFORMS, TRANSFORMS_MODULE


def write_mm_file(mm_cfg: Config, path: Path) -> None:
    """Write the config of mmengine's Runner as a Python file that MMDetection's own tools load.

    Args:
        mm_cfg: what `build_mm_config` gave; it is not changed.
        path: the file.
    """
    write_text(path, plain_mm_config(mm_cfg).pretty_text)


def plain_mm_config(mm_cfg: Config) -> Config:
    """Return the config without the types that only detsweep knows; a transform of ours is imported from `runners`."""
    plain = copy.deepcopy(mm_cfg.to_dict())
    del plain["work_dir"]  # the attempt's own; mmdet makes one by the file's name
    if plain["optim_wrapper"]["type"] == "AutocastOptimWrapper":
        # The same on a GPU; on the CPU, mmengine's own wrapper refuses.
        plain["optim_wrapper"]["type"] = "AmpOptimWrapper"
    if _types(plain["train_dataloader"]).intersection(OWN_TRANSFORMS):
        plain["custom_imports"] = {"imports": [TRANSFORMS_MODULE], "allow_failed_imports": False}
    return Config(plain)


def _types(value: Any) -> set[str]:
    """Return every ``type`` in a nested config."""
    if isinstance(value, dict):
        own = {value["type"]} if isinstance(value.get("type"), str) else set()
        return own.union(*(_types(entry) for entry in value.values()))
    if isinstance(value, list | tuple):
        return set().union(*(_types(entry) for entry in value))
    return set()
