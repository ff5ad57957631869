"""Detectors that are trained on masks, on data that may have none: mmdet would end on a missing key."""

import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from sweeper.planning.dataset import PreparedDataset
from sweeper.planning.mm_model import mask_heads


def mask_problems(config: DictConfig, dataset: PreparedDataset) -> list[str]:
    """Return a line if a job loads masks that its data set has not, with what trains it on boxes.

    Args:
        config: a composed config.
        dataset: its data set, prepared.
    """
    # Unresolved: neither the keys asked for here nor what they hold follow anything else.
    node = OmegaConf.to_container(OmegaConf.masked_copy(config, ["pipeline", "custom_hooks", "model"]), resolve=False)
    assert isinstance(node, dict)
    places = [place for part in ("pipeline", "custom_hooks") for place in _loading_masks(node.get(part), part)]
    if not places:
        return []
    path = Path(dataset.node["root"], dataset.node["train"]["ann_file"])
    status = path.stat()
    if _has_masks(path, status.st_mtime_ns, status.st_size):
        return []
    heads = [place for place in mask_heads(node["model"]) if place.startswith("model.roi_head.")]
    told = [f"{place}=false" for place in places] + [f"{place}=null" for place in heads]
    return [
        f"masks missing in {path}: {places[0]} is true, and its annotations are boxes without segmentation; to train "
        f"on boxes give {' '.join(told)}{'' if heads else ', if the detector can do without masks; else take another'}"
    ]


def _loading_masks(node: Any, place: str) -> Iterator[str]:
    if isinstance(node, Mapping):
        if node.get("with_mask"):
            yield f"{place}.with_mask"
        for key, value in node.items():
            yield from _loading_masks(value, f"{place}.{key}")
    elif isinstance(node, list):
        for number, value in enumerate(node):
            yield from _loading_masks(value, f"{place}.{number}")


@lru_cache(maxsize=8)
def _has_masks(path: Path, mtime_ns: int, n_bytes: int) -> bool:
    """Whether any object has a mask; an edited file is looked at again."""
    content = json.loads(path.read_bytes())
    return any(annotation.get("segmentation") for annotation in content.get("annotations", ()))
