"""The file ``config.py``: a job's config as plain MMDetection loads it, without detsweep where that is possible."""

import copy
import keyword
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config

from runners.contract.jsonfile import write_text
from runners.pipeline import OWN_TRANSFORMS, TRANSFORMS_MODULE

_WIDTH, _INDENT = 120, 4


def write_mm_file(mm_cfg: Config, path: Path, plugins: Sequence[str] = ()) -> None:
    """Write the config of mmengine's Runner as a Python file that MMDetection's own tools load.

    Args:
        mm_cfg: what `build_mm_config` gave; it is not changed.
        path: the file.
        plugins: modules of the project's own that the config needs; to be found by Python where it is loaded.
    """
    # Not `Config.pretty_text`: its formatter takes half a second of every job's start.
    text = "".join(f"{name} = {_source(value)}\n" for name, value in plain_mm_config(mm_cfg, plugins).to_dict().items())
    write_text(path, text)


def plain_mm_config(mm_cfg: Config, plugins: Sequence[str] = ()) -> Config:
    """Return the config without the types that only detsweep knows; a transform of ours is imported from `runners`.

    Args:
        mm_cfg: what `build_mm_config` gave; it is not changed.
        plugins: modules that are imported with it.
    """
    plain = copy.deepcopy(mm_cfg.to_dict())
    del plain["work_dir"]  # the attempt's own; mmdet makes one by the file's name
    if not plain["custom_hooks"]:
        del plain["custom_hooks"]
    if plain["optim_wrapper"]["type"] == "AutocastOptimWrapper":
        # The same on a GPU; on the CPU, mmengine's own wrapper refuses.
        plain["optim_wrapper"]["type"] = "AmpOptimWrapper"
    if plain["test_dataloader"] is None and plain["val_dataloader"] is not None:
        # MMDetection's functions look there for what is done with an image.
        plain["test_dataloader"], plain["test_evaluator"] = plain["val_dataloader"], plain["val_evaluator"]
        plain["test_cfg"] = {"type": "TestLoop"}
    has_own = bool(_types(plain["train_dataloader"]).intersection(OWN_TRANSFORMS))
    imports = [*([TRANSFORMS_MODULE] if has_own else []), *plugins]
    if imports:
        plain["custom_imports"] = {"imports": imports, "allow_failed_imports": False}
    return Config(plain)


def _source(value: Any, margin: int = 0) -> str:
    """Return plain data as Python source, in as many lines as its width asks for.

    Args:
        value: mappings, lists, tuples, and what their `repr` says completely.
        margin: columns before it.
    """
    if not isinstance(value, dict | list | tuple) or not value:
        return repr(value)
    inner = margin + _INDENT
    if isinstance(value, dict):
        has_names = all(isinstance(key, str) and key.isidentifier() and not keyword.iskeyword(key) for key in value)
        opening, closing = ("dict(", ")") if has_names else ("{", "}")
        heads = [f"{key}=" if has_names else f"{key!r}: " for key in value]
        entries = [f"{head}{_source(entry, inner)}" for head, entry in zip(heads, value.values(), strict=True)]
    else:
        opening, closing = ("(", ",)" if len(value) == 1 else ")") if isinstance(value, tuple) else ("[", "]")
        entries = [_source(entry, inner) for entry in value]
    flat = f"{opening}{', '.join(entries)}{closing}"
    if "\n" not in flat and margin + len(flat) < _WIDTH:
        return flat
    lines = "".join(f"{' ' * inner}{entry},\n" for entry in entries)
    return f"{opening}\n{lines}{' ' * margin}{closing.lstrip(',')}"


def _types(value: Any) -> set[str]:
    """Return every ``type`` in a nested config."""
    if isinstance(value, dict):
        own = {value["type"]} if isinstance(value.get("type"), str) else set()
        return own.union(*(_types(entry) for entry in value.values()))
    if isinstance(value, list | tuple):
        return set().union(*(_types(entry) for entry in value))
    return set()
