"""Gradients of operators that are served by a formula in plain PyTorch: the formula is run again, and recorded."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from runners.ops.dtypes import computed_in


def gradients(formula: Callable[..., Tensor], inputs: Sequence[Tensor], grad_output: Tensor) -> tuple[Tensor, ...]:
    """Return the gradient of each input, in the precision the formula is computed in.

    Args:
        formula: differentiable in all its arguments.
        inputs: its arguments.
        grad_output: the gradient of its result.
    """
    with torch.enable_grad():
        recorded = [value.detach().to(computed_in(value)).requires_grad_() for value in inputs]
        output = formula(*recorded)
        return torch.autograd.grad(output, recorded, grad_output.to(output.dtype))
