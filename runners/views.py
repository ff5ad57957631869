"""Several views of an image at test time: the pipeline that makes them, and the model that merges what is found.

Both are MMDetection's own (`TestTimeAug`, `DetTTAModel`); here the job's named test stages become their pipeline.
"""

from collections.abc import Mapping
from typing import Any

from mmdet.models.detectors import BaseDetector
from mmdet.models.test_time_augs import DetTTAModel
from mmengine.config import ConfigDict
from mmengine.model import BaseTTAModel

from runners.contract.errors import UserError
from runners.contract.evaluations import Tta

# The image sizes of MMDetection's own test-time augmentation, as parts of the size that the job tests at.
SCALES = (0.5, 1.0, 1.5)

# Where a model's test settings have none, these are those of MMDetection's examples.
_USUAL_NMS = {"type": "nms", "iou_threshold": 0.5}
_USUAL_MAX_PER_IMG = 100
_META_KEYS = ("img_id", "img_path", "ori_shape", "img_shape", "scale_factor", "flip", "flip_direction")


def views_pipeline(stages: Mapping[str, Mapping[str, Any] | None], tta: Tta) -> dict[str, Any]:
    """Return test stages that make several views of each image, for the config's ``pipeline.test``.

    Every view is resized first and mirrored then; whatever else the stages do follows, so that an image is padded
    behind and never before its mirroring.

    Args:
        stages: the job's own, by name; None leaves a stage out.
        tta: mirrored as well, or that at three scales.

    Raises:
        UserError: there is no stage that resizes, or not one alone.
    """
    kept = {name: dict(stage) for name, stage in stages.items() if stage is not None}
    resizing = [name for name, stage in kept.items() if str(stage["type"]).endswith("Resize") and "scale" in stage]
    if len(resizing) != 1:
        raise UserError(
            f"tta={tta} in pipeline.test: {len(resizing)} stages resize to a scale ({', '.join(kept)}); it wants one, "
            "whose images are then also mirrored"
        )
    (resize,) = resizing
    names = list(kept)
    before, after = names[: names.index(resize)], names[names.index(resize) + 1 :]
    factors = SCALES if tta == "multiscale" else (1.0,)
    resized = [{**kept[resize], "scale": _scaled(kept[resize]["scale"], factor)} for factor in factors]
    mirrored = [{"type": "RandomFlip", "prob": 1.0}, {"type": "RandomFlip", "prob": 0.0}]
    rest = [[_fitted(kept[name], max(factors))] for name in after]
    return {
        **{name: kept[name] for name in before},
        "views": {"type": "TestTimeAug", "transforms": [resized, mirrored, *rest]},
    }


def views_model(model: BaseDetector, test_cfg: Mapping[str, Any] | None) -> BaseTTAModel:
    """Return the model that merges what a detector finds in the views, by its own non-maximum suppression.

    Args:
        model: the detector.
        test_cfg: the model's test settings; of one with two stages, the second's count.
    """
    settings = dict(test_cfg or {})
    settings = dict(settings.get("rcnn") or settings)
    nms = settings.get("nms") or _USUAL_NMS
    kept = settings.get("max_per_img") or _USUAL_MAX_PER_IMG
    return DetTTAModel(tta_cfg=ConfigDict(nms=dict(nms), max_per_img=kept), module=model)


def _scaled(scale: Any, factor: float) -> Any:
    if isinstance(scale, list | tuple):
        return type(scale)(_scaled(side, factor) for side in scale)
    return scale if factor == 1.0 else round(scale * factor)


def _fitted(stage: Mapping[str, Any], largest: float) -> dict[str, Any]:
    """Return a later stage as all views can take it: room for the largest, and what was done told to who merges."""
    stage = dict(stage)
    if stage["type"] == "Pad" and stage.get("size") is not None:
        stage["size"] = _scaled(stage["size"], largest)
    if stage["type"] == "PackDetInputs":
        stage["meta_keys"] = list(dict.fromkeys([*stage.get("meta_keys", ()), *_META_KEYS]))
    return stage
