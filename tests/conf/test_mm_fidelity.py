"""A config of mmdet's zoo that detsweep reads is trained as it says, field by field, but for what is named below."""

from pathlib import Path
from typing import Any

import pytest
from mmengine.config import Config

from runners.contract.records import AttemptSpec
from runners.mm_config import build_mm_config
from sweeper.planning.compose import Composer
from sweeper.planning.resolvers import register
from sweeper.planning.settings import resolve
from tests.composition import CONF
from tests.conf.test_fidelity import COCO, DIFFERENCES, N_COCO_IMAGES, ZOO, _differences

NAMES = [
    "faster_rcnn/faster-rcnn_r50_fpn_1x_coco",
    "retinanet/retinanet_r50_fpn_1x_coco",
    "rtmdet/rtmdet_tiny_8xb32-300e_coco",
    "yolox/yolox_tiny_8xb8-300e_coco",
    "deformable_detr/deformable-detr_r50_16xb2-50e_coco",
    "dino/dino-4scale_r50_8xb2-12e_coco",
    "fcos/fcos_r50-caffe_fpn_gn-head_1x_coco",
    "atss/atss_r50_fpn_1x_coco",
    "cascade_rcnn/cascade-rcnn_r50_fpn_20e_coco",
    "swin/mask-rcnn_swin-t-p4-w7_fpn_amp-ms-crop-3x_coco",
    "ssd/ssd300_coco",
    "hrnet/fcos_hrnetv2p-w18-gn-head_4xb4-1x_coco",
]

SECTIONS = ("model", "optim_wrapper", "param_scheduler", "custom_hooks", "train_dataloader", "val_dataloader")

# Beside what differs for our own groups too.
OTHERS = {
    "train_dataloader.batch_sampler": "images of one orientation are always together",
    "train_dataloader.pin_memory": "by the cores of the slot",
    "val_dataloader.pin_memory": "by the cores of the slot",
    "val_dataloader.batch_size": "every image alone, whatever it is padded to",
    "optim_wrapper.type": "the precision is the job's own setting",
    "optim_wrapper.loss_scale": "the precision is the job's own setting",
}
# Of one config only.
OWN = {
    # Norms that exchange statistics with other devices are plain ones on one.
    "rtmdet/rtmdet_tiny_8xb32-300e_coco": {f"model.{part}.norm_cfg.type" for part in ("backbone", "neck", "bbox_head")},
    # Epochs that go through the data five times are five of ours; its hooks check what is checked already.
    "ssd/ssd300_coco": {"train_dataloader.dataset", "param_scheduler", "custom_hooks"},
    # One of its hooks is for several devices; classes come from the annotation file within the wrapper, too.
    "yolox/yolox_tiny_8xb8-300e_coco": {"custom_hooks", "train_dataloader.dataset.dataset.metainfo"},
}


@pytest.fixture(scope="module")
def composer(tmp_path_factory: pytest.TempPathFactory) -> Composer:
    register()
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield Composer.of_folder(CONF)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_trained_is_what_the_config_says(composer: Composer, name: str) -> None:
    theirs = Config.fromfile(ZOO / f"{name}.py").to_dict()
    coco = [line for line in COCO if not line.startswith("image_size")]
    job = resolve(composer.compose([*coco, "detector=zoo", f"detector.config={name}"]))
    n_base = job["optimizer"]["base_batch_size"]
    job = resolve(composer.compose([*coco, "detector=zoo", f"detector.config={name}", f"batch_size={n_base}"]))
    spec = AttemptSpec(attempt=1, device="cuda", n_threads=1, n_workers=0, batch_per_step=n_base, accumulation=1)
    ours = build_mm_config(job, spec, Path("work"), N_COCO_IMAGES).to_dict()
    assert ours["train_cfg"]["max_epochs"] % theirs["train_cfg"]["max_epochs"] == 0
    found: dict[str, Any] = {}
    for section in SECTIONS:
        found |= _differences(ours[section], theirs.get(section, []), section)
    allowed = {*DIFFERENCES, *OTHERS, *OWN.get(name, ())}
    assert {field for field in OWN.get(name, ()) if not any(told.startswith(field) for told in found)} == set()
    assert {field: told for field, told in found.items() if not any(field.startswith(each) for each in allowed)} == {}
