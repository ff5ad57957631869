"""The data side of a config of MMDetection in our dialect: its transforms as named stages, its wrappers undone."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from runners.contract.errors import UserError
from sweeper.planning.mm_files import MmFile
from sweeper.planning.mm_refusals import stage_problem, without_scope

# Stages that our own pipelines have too are called as there; all others by their type.
STAGE_NAMES = {
    "FilterAnnotations": "filter",
    "LoadAnnotations": "annotations",
    "LoadImageFromFile": "load",
    "Mosaic": "mosaic",
    "PackDetInputs": "pack",
    "PhotoMetricDistortion": "photometric",
    "RandomAffine": "affine",
    "RandomFlip": "flip",
    "RandomRotate90": "rotate",
    "Resize": "resize",
}
_BALANCING = "ClassBalancedDataset"
_MIXING = ("Mosaic", "MixUp", "CopyPaste")
# What an evaluation asks of each image.
_META_KEYS = ("img_id", "img_path", "ori_shape", "img_shape", "scale_factor")

Stages = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class MmData:
    """How a config goes through its data.

    Attributes:
        train: stages of training.
        test: stages of evaluation.
        filter_cfg: which training images are left out.
    """

    train: Stages
    test: Stages
    filter_cfg: dict[str, Any]


@dataclass(frozen=True)
class MmEpoch:
    """What an epoch of a config is, whatever is done to its images.

    Attributes:
        n_repeats: how often it goes through the data.
        balance: the wrapper that shows images of rare classes more often; None without one.
        batch_size: images on each of its devices.
    """

    n_repeats: int
    balance: dict[str, Any] | None
    batch_size: int


def read_epoch(file: MmFile) -> MmEpoch:
    """Return what an epoch of a config is."""
    loader = file.config.get("train_dataloader") or {}
    n_repeats, balance = 1, None
    dataset = loader.get("dataset")
    while isinstance(dataset, Mapping):
        kind = without_scope(dataset.get("type"))
        if kind == "RepeatDataset":
            n_repeats *= int(dataset["times"])
        elif kind == _BALANCING:
            balance = {"type": _BALANCING, "oversample_thr": dataset["oversample_thr"]}
        dataset = dataset.get("dataset")
    return MmEpoch(n_repeats, balance, int(loader.get("batch_size") or 1))


def read_data(file: MmFile) -> MmData | None:
    """Return the data side of a config; None if it says nothing of it.

    Raises:
        UserError: a wrapper or a transform that detsweep does not have; all such problems.
    """
    loader = file.config.get("train_dataloader")
    tested = file.config.get("val_dataloader") or file.config.get("test_dataloader")
    if loader is None and tested is None:
        return None
    for name, entry in (("train_dataloader", loader), ("val_dataloader", tested)):
        if not isinstance(entry, Mapping) or not isinstance(entry.get("dataset"), Mapping):
            raise UserError(
                f"no single data set in {file.path}: {name}; give a config with one for training and one for val"
            )
    assert isinstance(loader, Mapping)
    assert isinstance(tested, Mapping)
    _refuse_sampler(file, loader)
    train, test = _unwrapped(file, loader["dataset"]), _unwrapped(file, tested["dataset"])
    problems = [stage_problem(stage, file.path) for stage in (*train.stages, *test.stages)]
    if any(problems):
        raise UserError(*dict.fromkeys(problem for problem in problems if problem))
    return MmData(
        named_stages(train.stages),
        named_stages(_with_truth(test.stages)),
        dict(train.dataset.get("filter_cfg") or {}),
    )


def named_stages(transforms: Iterable[Mapping[str, Any]]) -> Stages:
    """Return transforms by name, in their order: as ours are called, or by their type; repeated ones are counted."""
    stages: Stages = {}
    for transform in transforms:
        kind = without_scope(transform["type"])
        name = STAGE_NAMES.get(kind) or snake_case(kind)
        n_alike = sum(re.fullmatch(rf"{name}(_\d+)?", known) is not None for known in stages)
        stages[f"{name}_{n_alike + 1}" if n_alike else name] = {
            key: None if key == "backend_args" else value
            for key, value in transform.items()
            if key != "file_client_args"
        }
    return stages


def snake_case(name: str) -> str:
    """Return ``RandomChoiceResize`` as ``random_choice_resize``, ``YOLOXHSVRandomAug`` as ``yoloxhsv_random_aug``."""
    name = name.replace("IoU", "Iou")
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


@dataclass(frozen=True)
class _Unwrapped:
    dataset: Mapping[str, Any]
    stages: Sequence[Mapping[str, Any]]


def _unwrapped(file: MmFile, dataset: Mapping[str, Any]) -> _Unwrapped:
    """Return the data set within all wrappers, and what is done to its images."""
    kind = without_scope(dataset.get("type"))
    if kind in ("RepeatDataset", _BALANCING):
        return _unwrapped(file, dataset["dataset"])
    if kind == "MultiImageMixDataset":
        inner, outer = _unwrapped(file, dataset["dataset"]), list(dataset["pipeline"])
        if without_scope((outer or [{}])[0].get("type")) not in _MIXING:
            raise UserError(
                f"pipeline not possible in {file.path}: that of MultiImageMixDataset does not begin with one of "
                f"{', '.join(_MIXING)}; move what is before it into the inner data set"
            )
        return _Unwrapped(inner.dataset, [*inner.stages, *outer])
    if kind == "ConcatDataset":
        parts = [_unwrapped(file, part) for part in dataset["datasets"]]
        if any(part.stages != parts[0].stages for part in parts):
            raise UserError(f"several pipelines in {file.path}: the data sets of a ConcatDataset differ; make them one")
        return parts[0]
    if "pipeline" not in dataset:
        raise UserError(
            f"wrapper of the data set not possible in {file.path}: {kind}; detsweep has RepeatDataset, "
            f"{_BALANCING}, ConcatDataset and MultiImageMixDataset"
        )
    return _Unwrapped(dataset, list(dataset["pipeline"]))


def _refuse_sampler(file: MmFile, loader: Mapping[str, Any]) -> None:
    kind = without_scope((loader.get("sampler") or {}).get("type", "DefaultSampler"))
    if kind not in ("DefaultSampler", "InfiniteSampler"):
        raise UserError(
            f"sampler not possible in {file.path}: {kind}; detsweep draws every image once an epoch (DefaultSampler)"
        )


def _with_truth(stages: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the stages of a test with the boxes loaded, and with what an evaluation asks of each image."""
    kinds = [without_scope(stage.get("type")) for stage in stages]
    loading = [] if "LoadAnnotations" in kinds else [{"type": "LoadAnnotations", "with_bbox": True}]
    result: list[Mapping[str, Any]] = []
    for kind, stage in zip(kinds, stages, strict=True):
        if kind == "PackDetInputs":
            result += loading
            keys = stage.get("meta_keys")
            if keys is not None:
                missing = tuple(key for key in _META_KEYS if key not in keys)
                stage = {**stage, "meta_keys": tuple(keys) + missing}
        result.append(stage)
    return result
