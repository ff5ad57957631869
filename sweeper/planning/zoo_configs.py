"""The configs that the installed mmdet ships, by name: ``rtmdet/rtmdet_tiny_8xb32-300e_coco``."""

import difflib
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from runners.contract.errors import UserError
from runners.contract.mm_sources import SHIPPED
from sweeper.planning.zoo import package_folder

_N_NEAREST = 5
# Folders that only hold what configs are based on.
_NO_FAMILIES = ("_base_", "common")


def zoo_folder() -> Path:
    """Return where the configs lie.

    Raises:
        UserError: mmdet is not installed.
    """
    return package_folder("mmdet") / SHIPPED


@lru_cache(maxsize=1)
def zoo_names() -> tuple[str, ...]:
    """Return every config by its family and name, without ``.py``."""
    folder = zoo_folder()
    paths = (path.relative_to(folder) for path in folder.glob("*/**/*.py"))
    return tuple(sorted(str(path.with_suffix("")) for path in paths if path.parts[0] not in _NO_FAMILIES))


def find_zoo_config(name: str) -> Path:
    """Return the file of a config; the family may be left out where that is no question.

    Raises:
        UserError: there is none of this name, with the nearest; or the name is that of a family, with its configs.
    """
    wanted = name.removesuffix(".py")
    known = zoo_names()
    named = [wanted] if wanted in known else [entry for entry in known if entry.rpartition("/")[2] == wanted]
    if len(named) == 1:
        return zoo_folder() / f"{named[0]}.py"
    if named:
        raise UserError(f"ambiguous name in detector.config: {name}; one of {', '.join(named)} is wanted")
    family = [entry for entry in known if entry.startswith(f"{wanted.rstrip('/')}/")]
    if family:
        raise UserError(f"family in detector.config: {name}; one of its configs is wanted: {', '.join(family)}")
    near = difflib.get_close_matches(wanted, known, n=_N_NEAREST, cutoff=0.0)
    raise UserError(
        f"unknown config in detector.config: {name} is not in mmdet's zoo; the nearest are {', '.join(near)}; a family "
        "alone (detector.config=rtmdet) lists its configs, detector=file takes one of your own"
    )


def zoo_checkpoint(path: Path) -> str:
    """Return the address of what the zoo trained by one of its configs.

    Raises:
        UserError: it has published nothing of this config.
    """
    metafile = path.parent / "metafile.yml"
    content = yaml.safe_load(metafile.read_text(encoding="utf-8")) if metafile.is_file() else []
    models: list[dict[str, Any]] = content["Models"] if isinstance(content, dict) else content
    for model in models:
        if Path(str(model.get("Config"))).stem == path.stem and "Weights" in model:
            return str(model["Weights"])
    raise UserError(
        f"no COCO weights in weights=coco: mmdet has published none of {path.stem}; leave weights out for what the "
        "config itself starts from, or give weights=none, or weights=file weights.path=..."
    )
