"""Which configs of MMDetection are none that detsweep can train: another version, another task, nothing whole."""

from collections.abc import Iterator, Mapping
from typing import Any

from runners.contract.errors import UserError
from sweeper.planning.mm_files import MmFile

# By these a config of 2.x is told; a 3.x config may use such a word for a value of its own.
_KEYS_OF_2X = ("data", "optimizer", "optimizer_config", "lr_config", "runner", "total_epochs")

_TRACKS = "follows objects through videos"
_READS_TEXT = "is trained with text beside boxes"
# Models that no boxes and classes alone can train, and what each does.
UNFIT = {
    "BaseReID": _TRACKS,
    "ByteTrack": _TRACKS,
    "DeepSORT": _TRACKS,
    "Mask2FormerVideo": _TRACKS,
    "MaskTrackRCNN": _TRACKS,
    "OCSORT": _TRACKS,
    "QDTrack": _TRACKS,
    "SORT": _TRACKS,
    "StrongSORT": _TRACKS,
    "GLIP": _READS_TEXT,
    "GroundingDINO": _READS_TEXT,
    "Detectron2Wrapper": "is a model of Detectron2",
    "FastRCNN": "wants proposals from a file",
    "ImageClassifier": "classifies whole images",
    "KnowledgeDistillationSingleStageDetector": "learns from another detector",
    "LAD": "learns from another detector",
    "RPN": "proposes boxes without classes",
    "SOLO": "segments without boxes",
    "SOLOv2": "segments without boxes",
    "SoftTeacher": "learns from images without labels",
}
_UNFIT_STAGES = {
    "LoadPanopticAnnotations": "wants panoptic segmentations",
    "LoadProposals": "wants proposals from a file",
    "LoadTrackAnnotations": _TRACKS,
    "TestTimeAug": "tests with augmentation, which detsweep evaluate RUN tta=flip does",
}


def refuse_unfit(file: MmFile) -> None:
    """Refuse a config from which no job can be made, whatever is laid over it.

    Raises:
        UserError: all reasons, one line each.
    """
    problems = list(_problems(file))
    if problems:
        raise UserError(*problems)


def stage_problem(stage: Mapping[str, Any], path: object) -> str | None:
    """Return a line if a transform wants more than images with boxes."""
    kind = without_scope(stage.get("type"))
    reason = _UNFIT_STAGES.get(kind)
    if kind == "LoadAnnotations" and stage.get("with_seg"):
        reason = "wants semantic segmentations (with_seg)"
    return f"no data for {kind} in {path}: it {reason}; take a config that is trained on boxes" if reason else None


def without_scope(name: Any) -> str:
    """Return a type without the scope that some configs write before it."""
    return str(name).removeprefix("mmdet.").removeprefix("mmcv.").removeprefix("mmengine.")


def _problems(file: MmFile) -> Iterator[str]:
    config, path = file.config, file.path
    of_2x = [key for key in _KEYS_OF_2X if key in config]
    if of_2x and "train_dataloader" not in config:
        yield (
            f"config of mmdet 2.x in {path}: {', '.join(of_2x)} at its top; detsweep runs 3.x: take the zoo's of the "
            "same detector (detector=zoo detector.config=FAMILY lists a family), or rewrite it by mmdet's migration "
            "guide"
        )
        return
    scope = config.get("default_scope")
    if scope not in (None, "mmdet"):
        yield f"other library's config in {path}: default_scope is {scope}; detsweep trains detectors of mmdet"
        return
    model = config.get("model")
    if not isinstance(model, Mapping) or not isinstance(model.get("type"), str):
        yield f"no model in {path}: it says nothing of what to train; give a whole config, not a part of one"
        return
    kind = without_scope(model["type"])
    if kind in UNFIT:
        yield f"no detector of boxes in {path}: {kind} {UNFIT[kind]}; take a config that is trained on boxes"
    if any(isinstance(text, str) and ("${" in text or text == "???") for text in _texts(config)):
        yield f"text not possible in {path}: ${{ or ??? in a value, which Hydra would replace; write it otherwise"


def _texts(node: Any) -> Iterator[Any]:
    if isinstance(node, Mapping):
        for key, entry in node.items():
            yield key
            yield from _texts(entry)
    elif isinstance(node, list | tuple):
        for entry in node:
            yield from _texts(entry)
    else:
        yield node
