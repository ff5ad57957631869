"""The model of a config of MMDetection in our dialect: the data's classes, and the weights that it starts from."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from sweeper.planning.mm_refusals import without_scope

CLASSES = "${count:${dataset.classes}}"
# Proposals have no classes, or one.
PROPOSING = "rpn_head"

# How mmengine's configs say what their bases are to be replaced by; nothing of it is left to say.
_READING_KEYS = ("_delete_", "_scope_")
# Batches that a model's preprocessor resizes again, to sizes of its own.
_RESIZING = ("BatchResize", "BatchSyncRandomResize")


def without_reading_keys(node: Any) -> Any:
    """Return plain data without what only the reading of a config needed."""
    if isinstance(node, Mapping):
        return {key: without_reading_keys(value) for key, value in node.items() if key not in _READING_KEYS}
    if isinstance(node, list | tuple):
        return type(node)(without_reading_keys(entry) for entry in node)
    return node


def with_classes_of_data(node: Any, above: str = "") -> Any:
    """Return a model's config whose numbers of classes follow the data set; those of proposals stay."""
    if isinstance(node, Mapping):
        return {
            key: CLASSES if key == "num_classes" and above != PROPOSING else with_classes_of_data(value, key)
            for key, value in node.items()
        }
    if isinstance(node, list | tuple):
        return type(node)(with_classes_of_data(entry, above) for entry in node)
    return node


def without_pretrained(node: Any, *, thawed: bool = False) -> Any:
    """Return a model's config whose parts are loaded from nowhere.

    Args:
        node: the config.
        thawed: nothing is frozen either, and batch norm learns its statistics: for a start from scratch.
    """
    if isinstance(node, Mapping):
        opened = {key: without_pretrained(value, thawed=thawed) for key, value in node.items()}
        if thawed and "frozen_stages" in opened:
            opened["frozen_stages"] = -1
        if thawed and opened.get("norm_eval"):
            opened["norm_eval"] = False
        if "pretrained" in opened:
            opened["pretrained"] = None
        return opened | ({"init_cfg": _initialized(opened["init_cfg"])} if "init_cfg" in opened else {})
    if isinstance(node, list | tuple):
        return type(node)(without_pretrained(entry, thawed=thawed) for entry in node)
    return node


def with_placed_weights(node: Any) -> Any:
    """Return a model's config whose files of weights a job finds from its own folder."""
    if isinstance(node, Mapping):
        opened = {key: with_placed_weights(value) for key, value in node.items()}
        if node.get("type") == "Pretrained" and isinstance(node.get("checkpoint"), str):
            opened["checkpoint"] = placed_weights(node["checkpoint"])
        return opened
    if isinstance(node, list | tuple):
        return type(node)(with_placed_weights(entry) for entry in node)
    return node


def placed_weights(address: str) -> str:
    """Return an address as it is, and a path as an absolute one."""
    return address if "://" in address else str(Path(address).expanduser().absolute())


def without_resized_batches(model: Mapping[str, Any]) -> dict[str, Any]:
    """Return a model's config whose images keep the size that the pipeline gave them."""
    preprocessor = model.get("data_preprocessor")
    if not isinstance(preprocessor, Mapping) or not preprocessor.get("batch_augments"):
        return dict(model)
    kept = [entry for entry in preprocessor["batch_augments"] if without_scope(entry.get("type")) not in _RESIZING]
    return {**model, "data_preprocessor": {**preprocessor, "batch_augments": kept or None}}


def mask_heads(model: Mapping[str, Any], place: str = "model") -> Iterator[str]:
    """Yield the places of heads that are trained on masks."""
    for key, value in model.items():
        if key == "mask_head" and value is not None:
            yield f"{place}.{key}"
        elif isinstance(value, Mapping):
            yield from mask_heads(value, f"{place}.{key}")


def _initialized(init: Any) -> Any:
    """Return how a part is initialized, without weights that it would be loaded from."""
    if isinstance(init, Mapping):
        return None if init.get("type") == "Pretrained" else init
    if isinstance(init, list | tuple):
        return type(init)(
            entry for entry in init if not (isinstance(entry, Mapping) and entry.get("type") == "Pretrained")
        )
    return init
