"""Arms that differ in nothing but how they are evaluated: with equal seeds they may hold the very same weights.

Such an axis (NMS, a score threshold, the size of test images) trains every arm by itself. Where training is
deterministic, as on a CPU, equal seeds come out equal, and the arms are one set of nets judged in two ways: their
difference is then one of pairs, and holds no noise of training. On a GPU they are as unlike as any two runs.
"""

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from reports.judging.arms import CellRuns
from reports.records import RunRecord
from runners.contract.folder import JobFolder
from runners.contract.metrics import TRAIN_LOSS
from runners.contract.yamlfile import load_yaml

# Parts of a config that no training reads, unless it takes its proposals from there: its losses then differ.
EVALUATION_ONLY = ("model.test_cfg", "pipeline.test")
# What a job is called.
_NAME = "title"


def share_weights(axis: str, treatment: CellRuns, baseline: CellRuns) -> bool:
    """Whether two arms hold the same weights, run by run.

    They do if the axis changes evaluation only (which was settled before the first run), the seeds are the same, the
    configs differ nowhere else, and every epoch of training ended with the same loss, to the last digit.

    Args:
        axis: the key that the arms differ in by design.
        treatment: the runs of one arm in one block.
        baseline: those of the other.
    """
    if not _is_below(axis, EVALUATION_ONLY) or treatment.seeds != baseline.seeds:
        return False
    return all(map(_are_one, treatment.runs, baseline.runs))


def _are_one(one: RunRecord, other: RunRecord) -> bool:
    curves = [run.curves.get(TRAIN_LOSS, ()) for run in (one, other)]
    if not curves[0] or curves[0] != curves[1] or not all(math.isfinite(point.value) for point in curves[0]):
        return False
    configs = [_trained_by(run) for run in (one, other)]
    return bool(configs[0]) and configs[0] == configs[1]


def _trained_by(run: RunRecord) -> dict[str, Any]:
    """Return what of a run's config its weights depend on, key by key; nothing where the config is not here."""
    path = None if run.folder is None else JobFolder(run.folder).config
    return dict(_settings(path)) if path is not None and path.is_file() else {}


def _settings(path: Path) -> Iterator[tuple[str, Any]]:
    for key, value in _leaves("", load_yaml(path.read_text(encoding="utf-8"))):
        if key != _NAME and not _is_below(key, EVALUATION_ONLY):
            yield key, value


def _leaves(key: str, node: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(node, Mapping) and node:
        for name, value in node.items():
            yield from _leaves(f"{key}.{name}" if key else str(name), value)
    else:
        yield key, node


def _is_below(key: str, parts: tuple[str, ...]) -> bool:
    return any(key == part or key.startswith(f"{part}.") for part in parts)
