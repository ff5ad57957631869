"""How much of a forward pass a training step has to keep in memory until its backward pass is done."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from mmdet.models.detectors import BaseDetector
from mmdet.structures import DetDataSample
from torch import Tensor, nn

from runners.complexity import proposals


def count_saved_bytes(model: BaseDetector, inputs: Tensor, n_rois: int) -> int:
    """Return the bytes that autograd keeps of one forward pass of training, losses not counted.

    Tensors that several operations keep count once; parameters, buffers and the images do not count. Where blocks are
    computed again in the backward pass (``with_cp``), the largest of them counts as a whole, once.

    Args:
        model: a detector of MMDetection on the CPU; left in the mode it is in.
        inputs: (1, 3, H, W), preprocessed.
        n_rois: regions of interest that the RoI heads learn from; one-stage detectors have none.
    """
    was_training = model.training
    model.train()
    recomputed = [module for module in model.modules() if getattr(module, "with_cp", False)]
    try:
        saved = _Saved(model, inputs)
        with saved.counting():
            _forward(model, inputs, n_rois)
        return saved.n_bytes + (_largest_block(model, recomputed, inputs, n_rois) if recomputed else 0)
    finally:
        model.train(was_training)


class _Saved:
    """Sums the storages that autograd keeps."""

    def __init__(self, model: nn.Module, inputs: Tensor) -> None:
        fixed = [inputs, *model.parameters(), *model.buffers()]
        self._known = {tensor.untyped_storage().data_ptr() for tensor in fixed}
        self._kept: list[Tensor] = []  # an address that is given up would be taken for the next one's
        self.n_bytes = 0

    @contextmanager
    def counting(self) -> Iterator[None]:
        """Count what is saved within the block."""
        with torch.autograd.graph.saved_tensors_hooks(self._note, lambda tensor: tensor):
            yield

    def _note(self, tensor: Tensor) -> Tensor:
        kept = tensor.detach()  # an operation that keeps its own result would hold itself for ever
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in self._known:
            self._known.add(storage.data_ptr())
            self._kept.append(kept)
            self.n_bytes += storage.nbytes()
        return kept


def _forward(model: BaseDetector, inputs: Tensor, n_rois: int) -> Any:
    features = model.extract_feat(inputs)
    if not hasattr(model, "rpn_head"):
        return model.bbox_head(features)
    sample = DetDataSample(metainfo={"img_shape": tuple(inputs.shape[-2:])})
    # The results hold the graph, and with it what was saved.
    return model.rpn_head(features), model.roi_head.forward(features, [proposals(inputs, n_rois)], [sample])


def _largest_block(model: BaseDetector, blocks: list[nn.Module], inputs: Tensor, n_rois: int) -> int:
    """Return the bytes that the largest of some blocks keeps of its own forward pass."""
    saved = _Saved(model, inputs)
    before: dict[nn.Module, int] = {}
    sizes: list[int] = []

    def enter(block: nn.Module, _inputs: tuple[Any, ...]) -> None:
        before[block] = saved.n_bytes

    def leave(block: nn.Module, _inputs: tuple[Any, ...], _outputs: Any) -> None:
        sizes.append(saved.n_bytes - before[block])

    handles = [block.register_forward_pre_hook(enter) for block in blocks]
    handles += [block.register_forward_hook(leave) for block in blocks]
    try:
        for block in blocks:
            block.with_cp = False  # type: ignore[assignment]
        with saved.counting():
            _forward(model, inputs, n_rois)
    finally:
        for block in blocks:
            block.with_cp = True  # type: ignore[assignment]
        for handle in handles:
            handle.remove()
    return max(sizes)
