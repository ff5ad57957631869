"""How big and how expensive a detector is, independent of data and of training."""

from typing import Any

import torch
from mmdet.models.detectors import BaseDetector, SingleStageDetector
from mmdet.models.roi_heads import CascadeRoIHead, StandardRoIHead
from mmdet.structures import DetDataSample
from mmengine.logging import print_log
from mmengine.structures import InstanceData
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode


def count_parameters(model: BaseDetector) -> int:
    """Return the number of parameters, trainable and frozen."""
    return sum(parameter.numel() for parameter in model.parameters())


def try_multiply_adds(model: BaseDetector, inputs: Tensor) -> int | None:
    """Return `count_multiply_adds`; None for a detector that cannot be counted, whose training is none the worse."""
    try:
        return count_multiply_adds(model, inputs)
    except Exception as error:  # anybody's detector, traced by hooks that it was never tried with
        print_log(f"multiply-adds not counted: {type(error).__name__}: {error}", logger="current")
        return None


def count_multiply_adds(model: BaseDetector, inputs: Tensor) -> int:
    """Return the multiply-adds of matrix products and convolutions in one forward pass.

    Faster and Cascade R-CNN are counted with as many proposals as they keep at most: how many an image really has
    depends on the image and on the state of training, which would make two jobs incomparable. Detectors that are
    neither of them nor of one stage are counted as they predict.

    Args:
        model: a detector of MMDetection; left in the mode it is in.
        inputs: (1, 3, H, W), preprocessed.
    """
    was_training = model.training
    model.eval()
    counter = FlopCounterMode(display=False)
    # It follows modules by their gradients, and a parameter that is handed to one as its input has none here.
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    shape = tuple(inputs.shape[-2:])
    shapes = dict.fromkeys(("img_shape", "ori_shape", "pad_shape", "batch_input_shape"), shape)
    sample = DetDataSample(metainfo={**shapes, "scale_factor": (1.0, 1.0)})
    try:
        for parameter in trained:
            parameter.requires_grad_(False)
        with torch.no_grad(), counter:
            if type(getattr(model, "roi_head", None)) in (StandardRoIHead, CascadeRoIHead) and hasattr(
                model, "rpn_head"
            ):
                features = model.extract_feat(inputs)
                model.rpn_head(features)
                n_proposals = model.test_cfg.rpn.max_per_img
                model.roi_head.forward(features, [proposals(inputs, n_proposals)], [sample])
            elif isinstance(model, SingleStageDetector):
                model.bbox_head(model.extract_feat(inputs))
            else:
                model(inputs, [sample], mode="predict")
    finally:
        model.train(was_training)
        for parameter in trained:
            parameter.requires_grad_(True)
    # PyTorch counts a multiply-add as two operations.
    return int(counter.get_total_flops()) // 2


def proposals(inputs: Tensor, number: int) -> Any:
    """Return `number` boxes (xyxy, input pixels) that each cover the whole image."""
    height, width = inputs.shape[-2:]
    return InstanceData(bboxes=inputs.new_tensor([[0, 0, width, height]]).expand(number, 4))
