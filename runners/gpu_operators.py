"""Each served operator on CUDA against itself on the CPU: values and gradients, in single precision."""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

_TOLERANCE = 1e-4
_N_BOXES = 500


def compare_operators() -> None:
    """Compare them, in a process that has not imported mmcv.

    Raises:
        AssertionError: one differs; the message begins with its name.
    """
    from runners import ops

    ops.install()
    import torch

    torch.manual_seed(0)
    # Rounding inside of a product of matrices is not what is looked for.
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    for name, operator, given, fixed in _cases():
        found = [_values(operator, given, fixed, device) for device in ("cpu", "cuda")]
        for on_cpu, on_cuda in zip(*found, strict=True):
            try:
                torch.testing.assert_close(on_cuda, on_cpu, rtol=_TOLERANCE, atol=_TOLERANCE)
            except AssertionError as error:
                raise AssertionError(f"{name}: {' '.join(str(error).split())}") from error


def _values(
    operator: Callable[..., "Tensor"], given: Sequence["Tensor"], fixed: Sequence["Tensor"], device: str
) -> list["Tensor"]:
    """Return the operator's result and the gradients of what is given, on the CPU."""
    import torch

    placed = [value.detach().clone().to(device).requires_grad_() for value in given]
    output = operator(*placed, *(value.to(device) for value in fixed))
    # The sum of squares, so that the result and not only its sum comes back in the gradients.
    gradients = torch.autograd.grad(output.square().sum(), placed) if placed else ()
    return [value.detach().cpu() for value in (output, *gradients)]


def _cases() -> Iterator[tuple[str, Callable[..., "Tensor"], list["Tensor"], list["Tensor"]]]:
    """Yield name, operator, what it is differentiated by, and what else it takes."""
    import torch
    from mmcv import ops
    from mmcv.ops.multi_scale_deform_attn import MultiScaleDeformableAttnFunction

    features = torch.randn(2, 8, 32, 32)
    corners, sides = torch.rand(_N_BOXES, 2) * 100, torch.rand(_N_BOXES, 2) * 27 + 1
    boxes, scores = torch.cat((corners, corners + sides), 1), torch.rand(_N_BOXES)
    rois = torch.cat((torch.randint(0, 2, (_N_BOXES, 1)).float(), boxes), 1)
    yield "roi_align", lambda x, r: ops.roi_align(x, r, 7, 0.25, 0, "avg", True), [features], [rois]
    yield "roi_pool", lambda x, r: ops.roi_pool(x, r, 7, 0.25), [features], [rois]
    yield "nms", lambda b, s: ops.nms(b, s, 0.5)[1].float(), [], [boxes, scores]
    yield "soft_nms", lambda b, s: ops.soft_nms(b, s, 0.5)[0], [], [boxes, scores]

    logits, target = torch.randn(_N_BOXES, 10), torch.randint(0, 11, (_N_BOXES,))
    yield "sigmoid_focal_loss", lambda z, t: ops.sigmoid_focal_loss(z, t, 2.0, 0.25, None, "sum"), [logits], [target]
    of_softmax = torch.randint(0, 10, (_N_BOXES,))
    yield (
        "softmax_focal_loss",
        lambda z, t: ops.softmax_focal_loss(z, t, 2.0, 0.25, None, "sum"),
        [logits],
        [of_softmax],
    )

    offset, mask = torch.randn(2, 36, 32, 32), torch.rand(2, 18, 32, 32)
    weight, bias = torch.randn(4, 4, 3, 3) / 6, torch.randn(4)
    geometry = (1, 1, 1, 2, 2)  # stride, padding, dilation, groups, deformable groups
    yield "deform_conv", lambda x, o, w: ops.deform_conv2d(x, o, w, *geometry), [features, offset, weight], []
    yield (
        "modulated_deform_conv",
        lambda x, o, m, w, b: ops.modulated_deform_conv2d(x, o, m, w, b, *geometry),
        [features, offset, mask, weight, bias],
        [],
    )

    shapes, starts = torch.tensor([[16, 20], [8, 10]]), torch.tensor([0, 320])
    yield (
        "ms_deform_attn",
        lambda v, places, weights, s, first: MultiScaleDeformableAttnFunction.apply(v, s, first, places, weights, 64),
        [torch.randn(2, 400, 4, 8), torch.rand(2, 50, 4, 2, 4, 2), torch.rand(2, 50, 4, 2, 4)],
        [shapes, starts],
    )
    yield "carafe", lambda x, m: ops.carafe(x, m, 5, 1, 2), [features, torch.rand(2, 25, 64, 64)], []
    yield (
        "masked_conv2d",
        lambda x, m, w, b: ops.masked_conv2d(x, m, w, b, 1),
        [],
        [features[:1], (torch.rand(1, 32, 32) > 0.5).float(), torch.randn(4, 8, 3, 3), torch.randn(4)],
    )
