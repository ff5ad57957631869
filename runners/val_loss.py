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


def validation_losses(model: BaseDetector, inputs: Tensor, samples: Sequence[DetDataSample]) -> dict[str, Tensor]:
    """Return the losses of one batch, ``loss`` (the sum that training minimises) first; lower is better.

    The model should be in evaluation mode, so that no running statistics change; the samples stay as they are.

    Args:
        model: a detector of MMDetection.
        inputs: (B, 3, H, W), preprocessed.
        samples: with ground truth in original pixels and the ``scale_factor`` of the resize.
    """
    losses = model(inputs, [_with_rescaled_truth(sample) for sample in samples], mode="loss")
    _, values = model.parse_losses(losses)
    return {name: value for name, value in values.items() if "loss" in name}


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
    width_factor, height_factor = sample.scale_factor
    for instances in (rescaled.gt_instances, rescaled.ignored_instances):
        factors = instances.bboxes.new_tensor((width_factor, height_factor, width_factor, height_factor))
        instances.bboxes = instances.bboxes * factors
    return rescaled
