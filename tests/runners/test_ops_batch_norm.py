"""mmcv's synchronised batch normalisation, in one process, against PyTorch's own batch normalisation."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from mmcv.ops import SyncBatchNorm
from torch import distributed
from torch.nn import BatchNorm2d


@pytest.fixture(autouse=True)
def group(tmp_path: Path) -> Iterator[None]:
    """A group of processes, of this one alone: mmcv's layer asks for one when it is made."""
    distributed.init_process_group("gloo", init_method=f"file://{tmp_path / 'group'}", rank=0, world_size=1)
    yield
    distributed.destroy_process_group()


def test_value_gradients_and_running_statistics_are_those_of_batch_normalisation() -> None:
    torch.manual_seed(8)
    ours, reference = SyncBatchNorm(4), BatchNorm2d(4).double()
    reference.load_state_dict(ours.state_dict())
    images = torch.randn(3, 4, 5, 6) * 2 + 1
    given, expected = images.clone().requires_grad_(), images.double().requires_grad_()
    weight = torch.randn(3, 4, 5, 6)
    for _ in range(2):
        output, wanted = ours(given), reference(expected)
        (output * weight).sum().backward()
        (wanted * weight).sum().backward()
    torch.testing.assert_close(output.double(), wanted, rtol=1e-5, atol=1e-6)
    found = {**ours.state_dict(), "of images": given.grad, "of weight": ours.weight.grad, "of bias": ours.bias.grad}
    sought = {
        **reference.state_dict(),
        "of images": expected.grad,
        "of weight": reference.weight.grad,
        "of bias": reference.bias.grad,
    }
    for name, value in found.items():
        torch.testing.assert_close(value.double(), sought[name].double(), rtol=1e-4, atol=1e-5, msg=name)


def test_half_precision_is_computed_in_single() -> None:
    torch.manual_seed(9)
    norm = SyncBatchNorm(4)
    images = (torch.randn(2, 4, 3, 3) + 3).half()
    output = norm(images)
    assert output.dtype == torch.float16
    expected = torch.nn.functional.batch_norm(images.float(), None, None, norm.weight, norm.bias, training=True)
    torch.testing.assert_close(output.float(), expected, rtol=2**-10, atol=2e-3)


@pytest.mark.parametrize("n_images", [1, 3])
def test_evaluation_takes_the_running_statistics(n_images: int) -> None:
    norm = SyncBatchNorm(2).eval()
    images = torch.randn(n_images, 2, 4, 4)
    torch.testing.assert_close(norm(images), images * norm.weight[:, None, None] / (1 + norm.eps) ** 0.5)
