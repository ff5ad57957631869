"""What MMDetection 3.x left in a work dir: its config, the checkpoint that counts, and what its log says."""

import ast
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from runners.contract import metrics as names
from runners.contract.errors import UserError
from runners.contract.records import MetricRecord

_STARTED = re.compile(r"\d{8}_\d{6}")
_NUMBERED = re.compile(r"(?:epoch|iter)_(\d+)\.pth")
# The top level of a config that MMDetection 2.x wrote down.
_KEYS_OF_2X = frozenset(["data", "optimizer_config", "lr_config", "runner", "total_epochs"])


@dataclass(frozen=True)
class WorkDir:
    """One training of MMDetection.

    Attributes:
        path: the folder.
        config: its Python config, bases resolved.
        checkpoint: the best weights by its own choice, else the last ones.
        logs: what it logged of its scalars, oldest first; none where that is gone.
    """

    path: Path
    config: Path
    checkpoint: Path
    logs: Sequence[Path]

    @property
    def name(self) -> str:
        """What it is called."""
        return self.path.name


def read_work_dir(path: Path) -> WorkDir:
    """Look into a work dir; nothing of it is executed.

    Raises:
        UserError: it is none, one of mmdet 2.x, or lacks config or checkpoint; all problems.
    """
    problems: list[str] = []
    config = checkpoint = None
    runs = sorted(entry for entry in path.iterdir() if entry.is_dir() and _STARTED.fullmatch(entry.name))
    for find in (_find_config, _find_checkpoint):
        try:
            if find is _find_config:
                config = find(path, runs)
            else:
                checkpoint = find(path, runs)
        except UserError as error:
            problems += error.problems
    if config is None and checkpoint is None and not runs:
        raise UserError(f"nothing to import in {path}: neither a sweep's folder nor a work dir of mmdet 3.x")
    if problems or config is None or checkpoint is None:
        raise UserError(*problems)
    return WorkDir(path.absolute(), config, checkpoint, [log for run in runs for log in _logs(run)])


def read_log(work_dir: WorkDir) -> list[MetricRecord]:
    """Return the course of a training by its own log: train loss, learning rate and val AP of each epoch.

    Epochs that were trained again count as they were the last time. The log says when it began, and not when each line
    was written: times in between are spread evenly up to its last change.
    """
    values: dict[int, dict[str, float]] = {}
    since = until = None
    for log in work_dir.logs:
        since = since or _began(log)
        until = log.stat().st_mtime
        for epoch, found in _epochs(log).items():
            values = {known: entry for known, entry in values.items() if known != epoch} | {
                epoch: {**values.get(epoch, {}), **found}
            }
    epochs = sorted(values)
    if since is None or until is None:
        return []
    step_s = max(until - since, float(len(epochs))) / max(len(epochs), 1)
    return [
        MetricRecord(since + number * step_s, 1, epoch, values[epoch], {"phase": "train", "epoch": epoch})
        for number, epoch in enumerate(epochs, start=1)
    ]


def _find_config(path: Path, runs: Sequence[Path]) -> Path:
    found = sorted(path.glob("*.py"))
    if not found:
        found = [run / "vis_data" / "config.py" for run in runs[-1:] if (run / "vis_data" / "config.py").is_file()]
    if len(found) != 1:
        listed = f"{len(found)} ({', '.join(config.name for config in found)})" if found else "no .py file"
        raise UserError(f"config of a work dir in {path}: {listed}; leave the one that was trained with")
    (config,) = found
    of_2x = sorted(_KEYS_OF_2X.intersection(_top_level(config)))
    if of_2x and "train_dataloader" not in _top_level(config):
        raise UserError(
            f"work dir of mmdet 2.x in {path}: {config.name} has {', '.join(of_2x)} at its top; detsweep runs 3.x: "
            "evaluate its checkpoint with a config of 3.x: detsweep evaluate CHECKPOINT detector=..."
        )
    return config.absolute()


def _top_level(config: Path) -> set[str]:
    """Return the names that a config assigns; none of one that is no Python, which its reader tells of."""
    try:
        tree = ast.parse(config.read_text(encoding="utf-8"))
    except (SyntaxError, ValueError, OSError):
        return set()
    assigned = (target for node in tree.body if isinstance(node, ast.Assign) for target in node.targets)
    return {target.id for target in assigned if isinstance(target, ast.Name)}


def _find_checkpoint(path: Path, runs: Sequence[Path]) -> Path:
    best = sorted(path.glob("best_*.pth"), key=lambda file: file.stat().st_mtime)
    if best:
        return best[-1].absolute()
    pointer = path / "last_checkpoint"
    if pointer.is_file():
        named = path / Path(pointer.read_text(encoding="utf-8", errors="replace").strip()).name
        if named.is_file():
            return named.absolute()
    numbered = [(int(match[1]), file) for file in path.glob("*.pth") if (match := _NUMBERED.fullmatch(file.name))]
    if not numbered:
        raise UserError(f"no checkpoint in {path}: no best_*.pth, epoch_N.pth or iter_N.pth; put one of them there")
    return max(numbered)[1].absolute()


def _logs(run: Path) -> Iterator[Path]:
    for log in (run / "vis_data" / "scalars.json", run / "vis_data" / f"{run.name}.json"):
        if log.is_file():
            yield log
            return


def _began(log: Path) -> float:
    return datetime.strptime(log.parent.parent.name, "%Y%m%d_%H%M%S").timestamp()


def _epochs(log: Path) -> dict[int, dict[str, float]]:
    """Return what a log says of each epoch; a line that is torn, or counts in iterations alone, is passed over."""
    losses: dict[int, list[float]] = {}
    values: dict[int, dict[str, float]] = {}
    for line in _lines(log):
        aps = {key.rpartition("/")[2]: value for key, value in line.items() if key.rpartition("/")[2] in names.AP_NAMES}
        if "loss" in line and isinstance(line.get("epoch"), int):
            epoch = line["epoch"]
            losses.setdefault(epoch, []).append(line["loss"])
            if _is_number(line.get("lr")):
                values.setdefault(epoch, {})[names.LEARNING_RATE] = float(line["lr"])
        elif aps and isinstance(line.get("step"), int):
            # COCO's -1 is no value.
            kept = {names.metric("val", key): float(y) for key, y in aps.items() if _is_number(y) and y >= 0}
            values.setdefault(line["step"], {}).update(kept)
    for epoch, found in losses.items():
        finite = [float(loss) for loss in found if _is_number(loss)]
        if finite:
            values.setdefault(epoch, {})[names.TRAIN_LOSS] = sum(finite) / len(finite)
    # A log that counts iterations has its validations there: no epoch is that long.
    return values if losses else {}


def _lines(log: Path) -> Iterator[Mapping[str, Any]]:
    for text in log.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            line = json.loads(text)
        except ValueError:
            continue
        if isinstance(line, dict):
            yield line


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
