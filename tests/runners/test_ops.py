"""The bridge that stands in for mmcv's compiled operators: what it serves, and what it says of the rest."""

import pytest
import torch
from mmcv.utils import ext_loader

from runners.ops import UnservedOpError


def test_unserved_operator_exists_and_says_so_only_when_called() -> None:
    extension = ext_loader.load_ext("_ext", ["prroi_pool_forward"])
    with pytest.raises(UnservedOpError, match=r"'prroi_pool_forward' is not served.*compiled mmcv"):
        extension.prroi_pool_forward(torch.zeros(1))
