"""What is known of an arm, and what practice recommends against each kind of weakness.

The rules are no forecast: a sweep finds out whether it helps.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from reports.diagnosis.confusion import ConfusedPair
from reports.diagnosis.findings import ErrorType
from reports.diagnosis.fit import Fit, FitLimits, FitReport
from reports.diagnosis.sizes import SizeRow
from reports.diagnosis.tide import Diagnosis

# What costs less, or lies less behind, is not worth a sweep: AP50, 0-1.
_WORTH_TRYING = 0.02
_WEAK_BY = 0.10
# Detectors whose fields are our own groups'; of a config of mmdet only the length can be named.
_TWO_STAGES = ("faster_rcnn", "cascade_rcnn")
_DETECTORS = (*_TWO_STAGES, "retinanet")
# The next larger option of conf/image_size and conf/backbone, each of its own kind.
LARGER_INPUT = {"96px": "160px", "160px": "256px", "256px": "512px", "512px": "1024px", "640px": "1024px"}
BIGGER_BACKBONE = {
    "resnet18": "resnet34",
    "resnet34": "resnet50",
    "resnet50": "resnet101",
    "resnet101": "resnext101_32x4d",
    "resnext101_32x4d": "resnext101_64x4d",
    "swin_t": "swin_s",
    "swin_s": "swin_b",
    "swin_b": "swin_l",
}
AUGMENTS = ("photometric", "multiscale", "mosaic")


@dataclass(frozen=True)
class Situation:
    """What is known of an arm.

    Attributes:
        choices: its options by group (``backbone``, ``neck`` ...).
        overrides: the words of a command line that trains it again, one value each (``dataset.root=data``,
            ``backbone=resnet50``), as Hydra takes them; without seed.
        fit: how it fits.
        diagnosis: its errors, means over its runs.
        sizes: precision by size, the smallest first; COCO's bins or the data's own.
        pairs: the classes that it confuses, the most frequent first.
        n_empty_images: training images without an object.
        tried: options that were compared already, by axis; they are not proposed again.
    """

    choices: Mapping[str, str]
    overrides: Sequence[str]
    fit: FitReport | None = None
    diagnosis: Diagnosis | None = None
    sizes: Sequence[SizeRow] = ()
    pairs: Sequence[ConfusedPair] = ()
    n_empty_images: int = 0
    tried: Mapping[str, frozenset[str]] = field(default_factory=dict)

    @property
    def costliest(self) -> ErrorType | None:
        """The error type that costs most, if that is worth a sweep."""
        most = None if self.diagnosis is None else self.diagnosis.costliest
        return most if most is not None and self.cost(most) >= _WORTH_TRYING else None

    def cost(self, error: ErrorType) -> float:
        """Return the AP50 that a type of error costs, 0-1."""
        return 0.0 if self.diagnosis is None else self.diagnosis.costs[error]

    def given(self, key: str, default: str) -> str:
        """Return the value that the command line gives a setting."""
        return next((word.partition("=")[2] for word in self.overrides if key_of(word) == key), default)

    def untried(self, axis: str, values: Sequence[str | None]) -> list[str]:
        """Return those values that were not compared yet."""
        return [value for value in values if value is not None and value not in self.tried.get(axis, ())]


@dataclass(frozen=True)
class Remedy:
    """Something to try against a weakness.

    Attributes:
        title: what is tried, in words.
        evidence: the numbers that speak for it.
        axis: the setting that is varied.
        values: its values, today's first.
        points: AP50 that the evidence is about, 0-1.
        without: settings of today's arm that would hinder the others; the command line leaves them out.
    """

    title: str
    evidence: str
    axis: str
    values: Sequence[str]
    points: float
    without: Sequence[str] = ()


def key_of(word: str) -> str:
    """Return the setting that a word of a command line gives."""
    return word.partition("=")[0].lstrip("+")


def _is_ours(situation: Situation) -> bool:
    return situation.choices.get("detector") in _DETECTORS


def _for_small_objects(situation: Situation) -> list[Remedy]:
    """Small objects lag behind, or objects are missed: show them larger, or join the levels twice."""
    weak, points = _weak_small(situation.sizes)
    if not weak and situation.costliest is ErrorType.MISSED:
        points = situation.cost(ErrorType.MISSED)
        weak = f"missed objects cost {_points(points)} points of AP50, the most of all errors"
    if not weak or not _is_ours(situation):
        return []
    size, found = situation.choices.get("image_size", ""), []
    larger = situation.untried("image_size", [LARGER_INPUT.get(size)])
    if larger:
        found.append(Remedy("larger input", weak, "image_size", [size, *larger], points))
    neck = situation.choices.get("neck")
    if neck == "fpn" and situation.untried("neck", ["pafpn"]):
        found.append(Remedy("PAFPN, which joins the levels twice", weak, "neck", ["fpn", "pafpn"], points / 2))
    scales = "model.rpn_head.anchor_generator.scales"
    is_usual = situation.choices.get("detector") in _TWO_STAGES and situation.given(scales, "[8]") == "[8]"
    if not larger and is_usual and situation.untried(scales, ["[4]"]):
        found.append(Remedy("anchors of half the size", weak, scales, ["[8]", "[4]"], points / 2))
    return found


def _weak_small(sizes: Sequence[SizeRow]) -> tuple[str, float]:
    """Return how far the smallest objects lie behind, in words, and in AP50 of the whole; nothing if they do not."""
    judged = [row for row in sizes if row.ap50 is not None and not row.is_too_few]
    if len(judged) < 2:
        return "", 0.0
    small, best = judged[0], max(judged[1:], key=lambda row: row.ap50 or 0.0)
    assert small.ap50 is not None
    assert best.ap50 is not None
    behind = best.ap50 - small.ap50
    if behind < _WEAK_BY:
        return "", 0.0
    share = small.n_objects / sum(row.n_objects for row in sizes)
    words = (
        f"AP50 of objects {small.size.sides} px is {_points(small.ap50)} ({small.n_objects} objects), "
        f"of those {best.size.sides} px {_points(best.ap50)}"
    )
    return words, behind * share


def _for_classes(situation: Situation) -> list[Remedy]:
    """Classes are confused: features that tell more apart."""
    backbone, cost = situation.choices.get("backbone", ""), situation.cost(ErrorType.CLASSIFICATION)
    bigger = situation.untried("backbone", [BIGGER_BACKBONE.get(backbone)])
    if situation.costliest is not ErrorType.CLASSIFICATION or not bigger or not _is_ours(situation):
        return []
    evidence = f"classification errors cost {_points(cost)} points of AP50, the most of all errors"
    if situation.pairs:
        evidence += f"; {situation.pairs[0].words}"
    return [Remedy("bigger backbone", evidence, "backbone", [backbone, *bigger], cost)]


def _for_boxes(situation: Situation) -> list[Remedy]:
    """Boxes are off: heads in a row that refine them, or a loss of the overlap itself."""
    cost, found = situation.cost(ErrorType.LOCALISATION), []
    if situation.costliest is not ErrorType.LOCALISATION or not _is_ours(situation):
        return []
    evidence = f"localisation errors cost {_points(cost)} points of AP50, the most of all errors"
    if situation.choices.get("detector") == "faster_rcnn" and situation.untried("detector", ["cascade_rcnn"]):
        values = ["faster_rcnn", "cascade_rcnn"]
        found.append(Remedy("heads in a row that refine boxes", evidence, "detector", values, cost))
    loss = situation.choices.get("box_loss", "")
    others = situation.untried("box_loss", [other for other in ("giou", "ciou") if other != loss])
    if loss and others:
        found.append(Remedy("a loss of the overlap itself", evidence, "box_loss", [loss, others[0]], cost / 2))
    return found


def _for_background(situation: Situation) -> list[Remedy]:
    """Something is seen where nothing is: training images that show just that."""
    cost, axis = situation.cost(ErrorType.BACKGROUND), "filter_cfg.filter_empty_gt"
    if situation.costliest is not ErrorType.BACKGROUND or not situation.n_empty_images or not _is_ours(situation):
        return []
    if situation.given(axis, "true").lower() != "true" or not situation.untried(axis, ["false"]):
        return []
    evidence = (
        f"background errors cost {_points(cost)} points of AP50, the most of all errors; "
        f"{situation.n_empty_images} training images show no object and are left out"
    )
    return [Remedy("training on images without objects", evidence, axis, ["true", "false"], cost)]


def _for_duplicates(situation: Situation) -> list[Remedy]:
    """One object is found twice: a stricter limit of overlap between detections."""
    cost, detector = situation.cost(ErrorType.DUPLICATE), situation.choices.get("detector")
    axis = f"model.test_cfg.{'rcnn.' if detector in _TWO_STAGES else ''}nms.iou_threshold"
    if situation.costliest is not ErrorType.DUPLICATE or not _is_ours(situation):
        return []
    if situation.given(axis, "0.5") != "0.5" or not situation.untried(axis, ["0.4"]):
        return []
    evidence = f"duplicates cost {_points(cost)} points of AP50, the most of all errors"
    return [Remedy("a stricter limit between detections", evidence, axis, ["0.5", "0.4"], cost)]


def _for_fit(situation: Situation) -> list[Remedy]:
    """The run could go on, learned by heart, or did not learn enough."""
    fit = situation.fit
    if fit is None:
        return []
    if fit.fit is Fit.STILL_IMPROVING:
        return _longer(situation, fit, max(fit.ap_gain or 0.0, _WORTH_TRYING))
    if fit.fit is Fit.OVERFITTING and _is_ours(situation):
        now, points = situation.choices.get("augment", "flip"), fit.gap or fit.ap_fall or _WORTH_TRYING
        others = situation.untried("augment", [other for other in AUGMENTS if other != now])[:2]
        if others:
            return [Remedy("more augmentation", f"overfitting: {fit.reason}", "augment", [now, *others], points)]
    if fit.fit is Fit.UNDERFITTING:
        points = max(FitLimits().low_train_ap - (fit.train_ap or 0.0), _WORTH_TRYING)
        return [*_other_optimizer(situation, fit, points), *_longer(situation, fit, points / 2)]
    return []


def _longer(situation: Situation, fit: FitReport, points: float) -> list[Remedy]:
    now, twice = str(fit.n_epochs), str(2 * fit.n_epochs)
    if not fit.n_epochs or not situation.untried("n_epochs", [twice]):
        return []
    evidence = f"{fit.fit.value}: {fit.reason}"
    return [Remedy("twice as many epochs", evidence, "n_epochs", [now, twice], points)]


def _other_optimizer(situation: Situation, fit: FitReport, points: float) -> list[Remedy]:
    now = situation.choices.get("optimizer", "")
    other = situation.untried("optimizer", ["sgd" if now == "adamw" else "adamw"])
    if not fit.is_plateaued or not now or not other or not _is_ours(situation):
        return []
    evidence = f"underfitting on a plateau: {fit.reason}; each optimizer at its own usual rate"
    # A rate that was set for one optimizer would ruin the other.
    return [Remedy("another optimizer", evidence, "optimizer", [now, *other], points, without=("optimizer.lr",))]


def _points(fraction: float) -> str:
    return f"{100 * fraction:.1f}"


RULES: Sequence[Callable[[Situation], list[Remedy]]] = (
    _for_fit,
    _for_small_objects,
    _for_classes,
    _for_boxes,
    _for_background,
    _for_duplicates,
)
