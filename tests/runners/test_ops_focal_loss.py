"""Sigmoid and softmax focal loss against their formula, differentiated by PyTorch."""

import pytest
import torch
from mmcv.ops import sigmoid_focal_loss, softmax_focal_loss


@pytest.mark.parametrize("weighted", [False, True])
def test_focal_loss_and_its_gradient_equal_the_formula(weighted: bool) -> None:
    generator = torch.Generator().manual_seed(2)
    logits = torch.randn(12, 4, generator=generator, dtype=torch.float32) * 3
    target = torch.tensor([0, 1, 2, 3, 4, 4, 4, 0, 1, 2, 3, 4])  # 4 is background
    weight = torch.tensor([0.5, 1.0, 2.0, 3.0]) if weighted else None
    gamma, alpha = 2.0, 0.25
    ours, reference = logits.clone().requires_grad_(), logits.double().requires_grad_()
    p = reference.sigmoid()
    is_positive = torch.nn.functional.one_hot(target, 5)[:, :4].bool()
    # Lin et al., 2017, equation 5.
    p_t = torch.where(is_positive, p, 1 - p)
    alpha_t = torch.where(is_positive, alpha, 1 - alpha)
    expected = -alpha_t * (1 - p_t) ** gamma * p_t.log()
    if weight is not None:
        expected = expected * torch.cat((weight, torch.ones(1)))[target][:, None]
    loss = sigmoid_focal_loss(ours, target, gamma, alpha, weight, "none")
    torch.testing.assert_close(loss.double(), expected, rtol=1e-5, atol=1e-7)
    sigmoid_focal_loss(ours, target, gamma, alpha, weight, "sum").backward()
    expected.sum().backward()
    assert ours.grad is not None
    torch.testing.assert_close(ours.grad.double(), reference.grad, rtol=1e-5, atol=1e-7)


def test_focal_loss_stays_finite_where_the_sigmoid_saturates() -> None:
    logits = torch.tensor([[200.0, -200.0]], requires_grad=True)
    loss = sigmoid_focal_loss(logits, torch.tensor([1]), 2.0, 0.25, None, "sum")
    loss.backward()
    assert loss.isfinite()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


@pytest.mark.parametrize("weighted", [False, True])
def test_softmax_focal_loss_and_its_gradient_equal_the_formula(weighted: bool) -> None:
    generator = torch.Generator().manual_seed(3)
    logits = torch.randn(10, 4, generator=generator) * 3
    target = torch.tensor([0, 1, 2, 3, 3, 2, 1, 0, -1, -1])  # -1 does not count
    weight = torch.tensor([0.5, 1.0, 2.0, 3.0]) if weighted else None
    gamma, alpha = 2.0, 0.25
    ours, reference = logits.clone().requires_grad_(), logits.double().requires_grad_()
    p_t = reference.softmax(1)[range(10), target]
    # Lin et al., 2017, equation 5.
    expected = -alpha * (1 - p_t) ** gamma * p_t.log() * (target >= 0)
    if weight is not None:
        expected = expected * weight[target]
    loss = softmax_focal_loss(ours, target, gamma, alpha, weight, "none")
    torch.testing.assert_close(loss.double(), expected, rtol=1e-5, atol=1e-7)
    softmax_focal_loss(ours, target, gamma, alpha, weight, "mean").backward()
    (expected.sum() / 10).backward()
    assert ours.grad is not None
    torch.testing.assert_close(ours.grad.double(), reference.grad, rtol=1e-5, atol=1e-7)


def test_softmax_focal_loss_stays_finite_where_a_probability_vanishes() -> None:
    logits = torch.tensor([[300.0, -300.0]], requires_grad=True)
    loss = softmax_focal_loss(logits, torch.tensor([1]), 2.0, 0.25, None, "sum")
    loss.backward()
    assert loss.isfinite()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()
