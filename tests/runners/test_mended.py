"""Detectors that MMDetection 3.3.0 alone cannot use."""

from pathlib import Path

import mmdet
import pytest
import torch
from mmdet.models.dense_heads import SSDHead
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.registry import init_default_scope

from runners.mended import mend_mmdet

SSD = Path(mmdet.__file__).parent / ".mim" / "configs" / "ssd" / "ssdlite_mobilenetv2-scratch_8xb24-600e_coco.py"


@pytest.fixture
def untouched(monkeypatch: pytest.MonkeyPatch) -> None:
    """MMDetection as it is installed, whatever ran before in this process."""
    monkeypatch.delattr(SSDHead, "loss_cls", raising=False)


def test_ssd_predicts(untouched: None) -> None:
    init_default_scope("mmdet")
    config = Config.fromfile(SSD, import_custom_modules=False)
    model = MODELS.build(config.model).eval()
    sample = DetDataSample(metainfo={"img_shape": (320, 320), "scale_factor": (1.0, 1.0), "ori_shape": (320, 320)})
    mend_mmdet()
    mend_mmdet()
    with torch.no_grad():
        (predicted,) = model.predict(torch.zeros(1, 3, 320, 320), [sample])
    assert predicted.pred_instances.bboxes.shape[1] == 4
