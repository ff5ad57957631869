"""``python -m runners.read_config FILE --trusted FOLDER ...``: a Python config of MMDetection as plain JSON.

A process of its own, for the controller never imports mmengine, and the config executes what it likes. Neither PyTorch
nor MMDetection is imported: half a second. What is printed is one JSON object (`runners.contract.tuple_json`) with
``config`` or with ``problems``, each one line.
"""

import argparse
import contextlib
import importlib
import io
import sys
import traceback
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from runners.contract.errors import UserError
from runners.contract.mm_sources import SHIPPED, find_sources, package_of
from runners.contract.tuple_json import dump_with_tuples

# What says how a detector is trained; the rest (work_dir, hooks that log, visualizers) is detsweep's own business.
KEYS = (
    "auto_scale_lr",
    "custom_hooks",
    "custom_imports",
    "default_scope",
    "load_from",
    "model",
    "optim_wrapper",
    "param_scheduler",
    "test_dataloader",
    "train_cfg",
    "train_dataloader",
    "val_dataloader",
)
# By these a config of mmdet 2.x is told, which mmengine reads without a word.
KEYS_OF_2X = ("data", "optimizer", "optimizer_config", "lr_config", "runner", "total_epochs", "evaluation")

# Classes of PyTorch that are registered under another name than their own.
_REGISTERED_AS = {
    "BatchNorm1d": "BN1d",
    "BatchNorm2d": "BN",
    "BatchNorm3d": "BN3d",
    "Conv2d": "Conv2d",
    "GroupNorm": "GN",
    "InstanceNorm2d": "IN",
    "LayerNorm": "LN",
    "SyncBatchNorm": "SyncBN",
}
_TYPE_KEYS = ("type", "constructor")


def main(words: Sequence[str] | None = None) -> int:
    """Print the config, or what is wrong with it; the exit code is 0 for both."""
    parser = argparse.ArgumentParser(prog="python -m runners.read_config", description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--trusted", type=Path, nargs="*", default=[], help="folders whose files may be executed")
    arguments = parser.parse_args(words)
    try:
        # What a config prints is not the answer.
        with contextlib.redirect_stdout(io.StringIO()):
            told: dict[str, Any] = {"config": read_config(arguments.file, arguments.trusted)}
    except UserError as error:
        told = {"problems": list(error.problems)}
    print(dump_with_tuples(told))
    return 0


def read_config(path: Path, trusted: Sequence[Path]) -> dict[str, Any]:
    """Read a config and all its bases; this executes them.

    Args:
        path: a config of mmdet 3.x, of either kind.
        trusted: folders whose Python files may be executed.

    Returns:
        The keys of `KEYS` that it has, as plain data with tuples; of one of mmdet 2.x also those of `KEYS_OF_2X`, as
        truths.

    Raises:
        UserError: all problems of it.
    """
    find_sources(path, trusted)
    try:
        read = _read(path)
    except Exception as error:
        raise UserError(f"config cannot be read in {path}: {_told(error)}; mend the config") from error
    problems: list[str] = []
    config = {key: _plain(read[key], key, problems) for key in KEYS if key in read}
    if problems:
        raise UserError(*(f"no plain data in {path}: {problem}; write it as text or numbers" for problem in problems))
    return config | {key: True for key in KEYS_OF_2X if key in read}


def _read(path: Path) -> dict[str, Any]:
    config: Any = importlib.import_module("mmengine.config.config")
    # Both ask pkg_resources, which newer setuptools do not bring.
    config.Config._get_cfg_path = staticmethod(_base_path)
    config.get_installed_path = lambda package: str(package_of(package))
    # It takes what Python has frozen, os among it, for somebody's package, whose import marks the newer kind.
    parsing: Any = importlib.import_module("mmengine.config.utils")
    config._is_builtin_module = parsing._is_builtin_module = _is_of_python
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        read: dict[str, Any] = config.Config.fromfile(path, import_custom_modules=False).to_dict()
    return read


def _is_of_python(module: str) -> bool:
    return module.startswith("mmengine.config") or module.partition(".")[0] in sys.stdlib_module_names


def _base_path(name: str, file: str) -> tuple[str, None]:
    """Return where a base lies; `find_sources` has seen that its package is there."""
    package, separator, rest = name.partition("::")
    folder = package_of(package) if separator else None
    return (str(Path(file).parent / name) if folder is None else str(folder / SHIPPED / rest)), None


def _plain(value: Any, place: str, problems: list[str]) -> Any:
    """Return a config's value as plain data; what is none is noted with its place."""
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                problems.append(f"key {key!r} at {place} is {type(key).__name__}")
        return {
            key: _registered_name(entry) if key in _TYPE_KEYS else _plain(entry, f"{place}.{key}", problems)
            for key, entry in value.items()
        }
    if isinstance(value, list | tuple):
        entries = [_plain(entry, f"{place}.{number}", problems) for number, entry in enumerate(value)]
        return tuple(entries) if isinstance(value, tuple) else entries
    if isinstance(value, Path):
        return str(value)
    if value is not None and not isinstance(value, str | int | float):
        problems.append(f"{place} is {type(value).__name__}")
    return value


def _registered_name(value: Any) -> Any:
    """Return the name under which a part is registered; configs of the newer kind give the class itself."""
    if not isinstance(value, str):
        # Of a function or class that is really imported, as older configs may.
        value = getattr(value, "__qualname__", value)
    if not isinstance(value, str):
        return repr(value)
    module, _, name = value.rpartition(".")
    if module.partition(".")[0] in ("torch", "mmengine", "mmcv", "mmdet") and module.count("."):
        return _REGISTERED_AS.get(name, name)
    return value


def _told(error: Exception) -> str:
    """Return an exception as one line, with the line of the config where that is known."""
    told = " ".join(str(error).split()) or "no message"
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "mmengine" not in frame.filename]
    at = f" at line {frames[-1].lineno} of {frames[-1].filename}" if frames and frames[-1].filename != __file__ else ""
    return f"{type(error).__name__}: {told}{at}"


if __name__ == "__main__":
    sys.exit(main())
