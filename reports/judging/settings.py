"""The settings of a run that no arm should differ in by accident: read from the config that it was trained by."""

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from reports.judging.arms import CellRuns
from runners.contract.folder import JobFolder
from runners.contract.yamlfile import load_yaml

# Parts of a config, and what of them has a column of its own.
WATCHED = (
    "pipeline.train",
    "pipeline.test",
    "optim_wrapper",
    "param_scheduler",
    "filter_cfg",
    "custom_hooks",
    "model.test_cfg",
    "load_from",
)
_TOLD_ELSEWHERE = ("optim_wrapper.optimizer.lr",)
# What an axis changes beside itself, by the first word of its key: this is the axis, and no difference of its own.
_CHANGES: Mapping[str, tuple[str, ...]] = {
    "image_size": ("pipeline.train", "pipeline.test"),
    "augment": ("pipeline.train", "custom_hooks"),
    "optimizer": ("optim_wrapper",),
    "precision": ("optim_wrapper",),
    "schedule": ("param_scheduler",),
    "n_epochs": ("param_scheduler",),
    "batch_size": ("param_scheduler",),
    "weights": ("load_from",),
    # Of a transformer, what must not decay.
    "backbone": ("optim_wrapper.paramwise_cfg", "load_from"),
    "neck": ("load_from",),
    "width": ("model.test_cfg",),
    "detector": ("model.test_cfg", "load_from"),
}
_N_SHOWN = 3


def setting_differences(axis: str, treatment: CellRuns, baseline: CellRuns) -> Iterator[tuple[str, str]]:
    """Yield the watched parts in which two arms differ, each with what it is in either; none where a config is gone.

    Args:
        axis: the key that the arms differ in by design.
        treatment: the runs of one arm; all of one recipe, so that one config speaks for them.
        baseline: those of the other.
    """
    first, second = (_settings(cell) for cell in (treatment, baseline))
    if first is None or second is None:
        return
    exempt = (axis, *_CHANGES.get(axis.partition(".")[0], ()), *_TOLD_ELSEWHERE)
    for part in WATCHED:
        keys = sorted(
            key
            for key in {*first, *second}
            if _is_below(key, part) and not any(_is_below(key, name) for name in exempt)
        )
        differing = [key for key in keys if first.get(key) != second.get(key)]
        if differing:
            shown = ", ".join(_told(key, part, first, second) for key in differing[:_N_SHOWN])
            more = f" and {len(differing) - _N_SHOWN} more" if len(differing) > _N_SHOWN else ""
            yield part, f"{shown}{more}"


def _told(key: str, part: str, first: Mapping[str, str], second: Mapping[str, str]) -> str:
    name = key.removeprefix(part).lstrip(".") or part
    return f"{name} {first.get(key, 'none')} against {second.get(key, 'none')}"


def _is_below(key: str, part: str) -> bool:
    return bool(part) and (key == part or key.startswith(f"{part}."))


def _settings(cell: CellRuns) -> Mapping[str, str] | None:
    for run in cell.runs:
        path = None if run.folder is None else JobFolder(run.folder).config
        if path is not None and path.is_file():
            status = path.stat()
            return _read(path, status.st_mtime_ns)
    return None


@lru_cache(maxsize=64)
def _read(path: Path, mtime_ns: int) -> Mapping[str, str]:
    """Read a config once for all comparisons of its arm; one that was written anew is read again."""
    config = load_yaml(path.read_text(encoding="utf-8"))
    return {key: text for part in WATCHED for key, text in _leaves(part, _at(config, part.split(".")))}


def _at(node: Any, path: Sequence[str]) -> Any:
    for key in path:
        node = node.get(key) if isinstance(node, Mapping) else None
    return node


def _leaves(key: str, node: Any) -> Iterator[tuple[str, str]]:
    """Yield every value below a node with its path; what is null is as good as absent."""
    if isinstance(node, Mapping):
        for name, value in node.items():
            yield from _leaves(f"{key}.{name}", value)
    elif isinstance(node, list) and any(isinstance(value, Mapping) for value in node):
        for number, value in enumerate(node):
            yield from _leaves(f"{key}.{number}", value)
    elif node is not None:
        yield key, str(node)
