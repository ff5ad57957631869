"""Trained weights into a detector: a run's own, whose digest is known, or those of another program's training."""

import pickle
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from mmdet.models.detectors import BaseDetector

from runners.contract.digest import refuse_changed_checkpoint
from runners.contract.errors import UserError
from runners.pretrained import read_weights, state_dict_of

# With less of a model's tensors than this, the file is of another architecture.
MATCHED_SHARE = 0.5
_N_NAMED = 3
# What tells a web page that was saved in a checkpoint's place.
_N_HEAD_BYTES = 512


@dataclass(frozen=True)
class TrainedWeights:
    """What a checkpoint holds.

    Attributes:
        path: the file.
        tensors: by name, without the prefix that a wrapped model gives them.
        classes: in the order of the labels; None where the file does not say.
        epoch: after which it was saved, from 1; None where the file does not say.
    """

    path: Path
    tensors: Mapping[str, torch.Tensor]
    classes: Sequence[str] | None
    epoch: int | None = None


def read_trained(path: Path, digest: str, device: str) -> TrainedWeights:
    """Read the weights of a checkpoint; nothing in it is executed, and what else it holds is passed over.

    Args:
        path: the file.
        digest: SHA-256 that it has to have, in hex.
        device: where the tensors go.

    Raises:
        UserError: there is no such file, it has changed, is cut short, or holds something else than weights.
    """
    refuse_changed_checkpoint(path, digest)
    try:
        content = read_weights(str(path), device)
    except pickle.UnpicklingError as error:
        raise UserError(_not_weights(path, str(error))) from error
    except (RuntimeError, EOFError, OSError) as error:
        raise UserError(
            f"checkpoint in {path}: cut short, or no torch file ({_first_line(error)}); fetch it again"
        ) from error
    state = state_dict_of(content)
    if state is None:
        raise UserError(f"checkpoint in {path}: holds {type(content).__name__} and no weights; give a state dict")
    tensors = {name.removeprefix("module."): value for name, value in state.items() if isinstance(value, torch.Tensor)}
    return TrainedWeights(path, tensors, _classes(content), _epoch(content))


def load_own(model: BaseDetector, weights: TrainedWeights) -> None:
    """Put the weights of a run into the model that it trained: all of them."""
    model.load_state_dict(dict(weights.tensors))


def load_foreign(model: BaseDetector, weights: TrainedWeights, n_classes: int) -> list[str]:
    """Put the weights of another training into a model, by name.

    Args:
        model: built by the config that is evaluated.
        weights: what the checkpoint holds.
        n_classes: of that config.

    Returns:
        Lines worth showing: what the file lacks, and what it holds that the model does not.

    Raises:
        UserError: they are of another architecture, or of another number of classes.
    """
    wanted = model.state_dict()
    shared = [name for name in wanted if name in weights.tensors]
    missing = [name for name in wanted if name not in weights.tensors]
    share = f"{len(shared)} of {len(wanted)} tensors of the model are in the file"
    if len(shared) < MATCHED_SHARE * len(wanted):
        raise UserError(
            f"checkpoint of another architecture in {weights.path}: {share}, the first that is not is {missing[0]}; "
            "choose the detector, backbone and neck that it was trained with"
        )
    other = [name for name in shared if wanted[name].shape != weights.tensors[name].shape]
    if other:
        raise UserError(_other_shapes(other, wanted, weights, n_classes))
    model.load_state_dict({name: weights.tensors[name] for name in shared}, strict=False)
    # Counters of batches are no part of what a model computes.
    missing = [name for name in missing if not name.endswith("num_batches_tracked")]
    surplus = [name for name in weights.tensors if name not in wanted]
    notes = []
    if missing:
        notes.append(f"{share}: these are not the numbers of what was trained; not there are {_named(missing)}")
    if surplus:
        notes.append(f"{len(surplus)} tensors of the file have no place in the model: {_named(surplus)}")
    return notes


def _other_shapes(
    names: Sequence[str], wanted: Mapping[str, torch.Tensor], weights: TrainedWeights, n_classes: int
) -> str:
    name = names[0]
    shapes = f"{name} is {tuple(weights.tensors[name].shape)} there and {tuple(wanted[name].shape)} here"
    there = f"{len(weights.classes)} classes ({', '.join(weights.classes)})" if weights.classes else "other classes"
    is_of_classes = weights.classes is not None and len(weights.classes) != n_classes
    what = f"it was trained for {there}, the data has {n_classes}" if is_of_classes else "the model is another one"
    return f"checkpoint that does not fit in {weights.path}: {len(names)} tensors have another shape ({shapes}); {what}"


def _classes(content: Any) -> list[str] | None:
    meta = content.get("meta") if isinstance(content, Mapping) else None
    told = meta.get("dataset_meta") if isinstance(meta, Mapping) else None
    # MMDetection wrote it in capitals before its release 3.
    classes = (told.get("classes") or told.get("CLASSES")) if isinstance(told, Mapping) else None
    return [str(name) for name in classes] if isinstance(classes, list | tuple) else None


def _epoch(content: Any) -> int | None:
    meta = content.get("meta") if isinstance(content, Mapping) else None
    epoch = meta.get("epoch") if isinstance(meta, Mapping) else None
    return epoch if isinstance(epoch, int) and epoch > 0 else None


def _not_weights(path: Path, said: str) -> str:
    with path.open("rb") as file:
        head = file.read(_N_HEAD_BYTES).lstrip().lower()
    if head.startswith((b"<!doctype", b"<html", b"<?xml")):
        return f"checkpoint in {path}: a web page and no torch file; download it again"
    return f"unsafe checkpoint in {path}: {_first_line(said)}; nothing of it was loaded, save its state dict alone"


def _first_line(error: object) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")


def _named(names: Sequence[str]) -> str:
    more = len(names) - _N_NAMED
    return ", ".join(names[:_N_NAMED]) + (f" and {more} more" if more > 0 else "")
