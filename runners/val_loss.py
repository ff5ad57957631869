"""Validation loss: what training's loss would be on a split that is not trained on.

MMDetection has none. Its test pipeline loads the boxes after the image was resized, so they are in original pixels and
have to be rescaled before any loss is computed from them.
"""

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from mmdet.models.detectors import BaseDetector
from mmdet.structures import DetDataSample
from torch import Tensor

from runners.contract.errors import UserError

# What comes of it where a detector's loss wants something that only training has given it.
_NO_LOSS = (AttributeError, IndexError, KeyError, NotImplementedError, TypeError)

# Where MMDetection has the modules that ask whether they are trained in order to choose what they compute.
_STRUCTURE = (
    "mmdet.models.dense_heads.",
    "mmdet.models.detectors.",
    "mmdet.models.layers.transformer.",
    "mmdet.models.roi_heads.",
)


def validation_losses(model: BaseDetector, inputs: Tensor, samples: Sequence[DetDataSample]) -> dict[str, Tensor]:
    """Return the losses of one batch, ``loss`` (the sum that training minimises) first; lower is better.

    The model should be in evaluation mode, so that no running statistics change and nothing is dropped; the samples
    stay as they are. Heads that compute something else for a loss than for a prediction compute it for the loss.

    Args:
        model: a detector of MMDetection.
        inputs: (B, 3, H, W), preprocessed.
        samples: with ground truth in original pixels and the ``scale_factor`` of the resize.

    Raises:
        UserError: this kind of detector computes its losses while it is trained only.
    """
    try:
        with _structure_as_in_training(model):
            losses = model(inputs, [_with_rescaled_truth(sample) for sample in samples], mode="loss")
    except _NO_LOSS as error:
        told = " ".join(str(error).split())
        raise UserError(
            f"validation loss not possible in evaluation.val_loss: {type(model).__name__} computes no loss outside of "
            f"training ({type(error).__name__}: {told}); give evaluation.val_loss=false"
        ) from error
    _, values = model.parse_losses(losses)
    return {name: value for name, value in values.items() if "loss" in name}


@contextmanager
def _structure_as_in_training(model: BaseDetector) -> Iterator[None]:
    """Have detector and heads take training's branch, while their layers keep their statistics and drop nothing.

    FCOS gives boxes in other units for a prediction, and DINO has no denoising queries for one.
    """
    # A Trident's branches are counted by its backbone too, which has computed the features of one branch.
    switched = [
        module
        for module in model.modules()
        if not module.training and _is_structure(type(module)) and "Trident" not in type(model).__name__
    ]
    for module in switched:
        module.training = True
    try:
        yield
    finally:
        for module in switched:
            module.training = False


def _is_structure(kind: type) -> bool:
    return any(parent.__module__.startswith(_STRUCTURE) for parent in kind.__mro__)


@contextmanager
def shared_features(model: BaseDetector) -> Iterator[None]:
    """Compute a batch's features once although loss and prediction each ask for them; they are most of the work."""
    extract = model.extract_feat
    known: list[tuple[Tensor, Any]] = []

    def extract_once(inputs: Tensor) -> Any:
        if not (known and known[0][0] is inputs):
            known[:] = [(inputs, extract(inputs))]
        return known[0][1]

    model.extract_feat = extract_once
    try:
        yield
    finally:
        del model.extract_feat  # the class's own method shows again


def _with_rescaled_truth(sample: DetDataSample) -> DetDataSample:
    rescaled = copy.deepcopy(sample)
    # An image that its pipeline does not resize has none.
    width_factor, height_factor = sample.get("scale_factor", (1.0, 1.0))
    # CenterNet's images lie in the middle of a larger one: where they begin and end, from the top and from the left.
    top, _, left, _ = sample.get("border", (0.0, 0.0, 0.0, 0.0))
    for instances in (rescaled.gt_instances, rescaled.ignored_instances):
        factors = instances.bboxes.new_tensor((width_factor, height_factor, width_factor, height_factor))
        instances.bboxes = instances.bboxes * factors + factors.new_tensor((left, top, left, top))
        if "masks" in instances:
            instances.masks = instances.masks.resize(sample.img_shape[:2]).pad(sample.batch_input_shape)
    return rescaled
