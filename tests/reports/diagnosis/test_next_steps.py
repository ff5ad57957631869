"""Follow-up sweeps: which weakness leads to which, on what evidence, by a command line that composes."""

import shlex
import shutil
import subprocess
from typing import Any

import pytest
from omegaconf import OmegaConf

from reports.diagnosis.confusion import ConfusedObject, ConfusedPair
from reports.diagnosis.findings import MAIN_TYPES, ErrorType
from reports.diagnosis.fit import Fit, FitReport
from reports.diagnosis.next_steps import NextStep, next_steps
from reports.diagnosis.remedies import AUGMENTS, BIGGER_BACKBONE, LARGER_INPUT, Situation
from reports.diagnosis.sizes import COCO_BINS, SizeRow
from reports.diagnosis.tide import Diagnosis
from tests.composition import CONF, compose_unresolved

CHOICES = {
    "detector": "faster_rcnn",
    "backbone": "resnet50",
    "neck": "fpn",
    "box_loss": "zoo",
    "image_size": "512px",
    "augment": "flip",
    "optimizer": "sgd",
}
OVERRIDES = ("dataset=shapes", "dataset.root=my data's (new)", "detector=faster_rcnn", "optimizer.lr=0.01", "seed=7")
PAIR = ConfusedPair("Paper pack", "Paper", (ConfusedObject(1, 0, (), (), 0.9, 0.8, None),) * 41, 230)


def errors(**costs: float) -> Diagnosis:
    return Diagnosis(
        ap50=0.6,
        counts=dict.fromkeys(MAIN_TYPES, 0),
        costs={error: costs.get(error.word, 0.01) for error in MAIN_TYPES},
        false_positives=0.1,
        false_negatives=0.1,
        n_objects=1000,
        n_images=300,
    )


def sizes(*ap50: float, n_objects: int = 100) -> tuple[SizeRow, ...]:
    return tuple(SizeRow(size, n_objects, n_objects, ap, ap) for size, ap in zip(COCO_BINS, ap50, strict=True))


def fits(fit: Fit, **numbers: Any) -> FitReport:
    return FitReport(fit, "as measured", 12, **numbers)


def situation(**given: Any) -> Situation:
    choices = {**CHOICES, **given.pop("choices", {})}
    return Situation(**{"choices": choices, "overrides": OVERRIDES, **given})


def axes(steps: list[NextStep]) -> dict[str, tuple[str, ...]]:
    return {step.axis: step.values for step in steps}


UNDER = fits(Fit.UNDERFITTING, train_ap=0.6, loss_fall=0.001)
OVER = fits(Fit.OVERFITTING, train_ap=0.95, val_ap=0.65)
IMPROVING = fits(Fit.STILL_IMPROVING, ap_gain=0.04)
# By what is wrong: the situation, and the axes that it leads to.
CASES: dict[str, tuple[dict[str, Any], dict[str, tuple[str, ...]]]] = {
    "small": ({"sizes": sizes(0.3, 0.6, 0.8)}, {"image_size": ("512px", "1024px"), "neck": ("fpn", "pafpn")}),
    "small at the largest input": (
        {"sizes": sizes(0.3, 0.6, 0.8), "choices": {"image_size": "1024px", "neck": "pafpn"}},
        {"model.rpn_head.anchor_generator.scales": ("[8]", "[4]")},
    ),
    "missed": ({"diagnosis": errors(missed=0.1)}, {"image_size": ("512px", "1024px"), "neck": ("fpn", "pafpn")}),
    "classes": ({"diagnosis": errors(classification=0.1)}, {"backbone": ("resnet50", "resnet101")}),
    "classes, swin": (
        {"diagnosis": errors(classification=0.1), "choices": {"backbone": "swin_t"}},
        {"backbone": ("swin_t", "swin_s")},
    ),
    "boxes": (
        {"diagnosis": errors(localisation=0.1)},
        {"detector": ("faster_rcnn", "cascade_rcnn"), "box_loss": ("zoo", "giou")},
    ),
    "background": (
        {"diagnosis": errors(background=0.1), "n_empty_images": 50},
        {"filter_cfg.filter_empty_gt": ("true", "false")},
    ),
    "duplicates": (
        {"diagnosis": errors(duplicate=0.1)},
        {"model.test_cfg.rcnn.nms.iou_threshold": ("0.5", "0.4")},
    ),
    "duplicates of one stage": (
        {
            "diagnosis": errors(duplicate=0.1),
            "choices": {"detector": "retinanet"},
            "overrides": ("dataset=shapes", "detector=retinanet"),
        },
        {"model.test_cfg.nms.iou_threshold": ("0.5", "0.4")},
    ),
    "underfitting on a plateau": ({"fit": UNDER}, {"optimizer": ("sgd", "adamw"), "n_epochs": ("12", "24")}),
    "underfitting": ({"fit": fits(Fit.UNDERFITTING, train_ap=0.6, loss_fall=0.1)}, {"n_epochs": ("12", "24")}),
    "overfitting": ({"fit": OVER}, {"augment": ("flip", "photometric", "multiscale")}),
    "improving": ({"fit": IMPROVING}, {"n_epochs": ("12", "24")}),
    "a config of the zoo": (
        {"fit": UNDER, "diagnosis": errors(classification=0.1), "choices": {"detector": "rtmdet"}},
        {"n_epochs": ("12", "24")},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_weakness_leads_to_what_practice_recommends(name: str) -> None:
    given, expected = CASES[name]
    assert axes(next_steps(situation(**given))) == expected


def test_every_command_composes() -> None:
    known = [given for name, (given, _) in CASES.items() if "zoo" not in name]
    tried: set[tuple[str, str]] = set()
    for step in (step for given in known for step in next_steps(situation(**given))):
        verb, *words = shlex.split(step.command)[1:]
        assert verb == "train"
        *fixed, axis, _ = [word for word in words if not word.startswith("dataset.root")]
        assert axis == f"{step.axis}={','.join(step.values)}"
        # Composing takes its time: each option once.
        for value in (value for value in step.values if (step.axis, value) not in tried):
            tried.add((step.axis, value))
            config = compose_unresolved(*fixed, f"{step.axis}={value}")
            chosen = config.hydra.runtime.choices.get(step.axis, OmegaConf.select(config, step.axis))
            assert str(chosen).lower() == value
    assert len(tried) > 20


def test_every_larger_option_exists() -> None:
    for group, larger in (("image_size", LARGER_INPUT), ("backbone", BIGGER_BACKBONE)):
        options = {path.stem for path in (CONF / group).glob("*.yaml")}
        assert {*larger, *larger.values()} <= options
    assert {path.stem for path in (CONF / "augment").glob("*.yaml")} >= set(AUGMENTS)


@pytest.mark.parametrize("name", CASES)
def test_nothing_that_was_compared_is_proposed_again(name: str) -> None:
    given, expected = CASES[name]
    tried = {axis: frozenset(values[1:]) for axis, values in expected.items()}
    left = axes(next_steps(situation(**given, tried=tried)))
    for axis, values in left.items():
        assert not set(values[1:]) & tried.get(axis, frozenset())


def test_nothing_is_proposed_where_nothing_is_wrong() -> None:
    assert next_steps(situation()) == []
    fine = situation(diagnosis=errors(), sizes=sizes(0.75, 0.8, 0.8), fit=fits(Fit.CONVERGED))
    assert next_steps(fine) == []


def test_too_few_small_objects_lead_nowhere() -> None:
    rows = (SizeRow(COCO_BINS[0], 3, 3, 0.1, 0.1), *sizes(0.0, 0.75, 0.8)[1:])
    assert next_steps(situation(sizes=rows)) == []


def test_a_setting_that_is_no_longer_the_usual_one_is_left_alone() -> None:
    given = CASES["duplicates"][0]
    assert next_steps(situation(**given, overrides=("model.test_cfg.rcnn.nms.iou_threshold=0.4",))) == []
    given = CASES["background"][0]
    assert next_steps(situation(**given, overrides=("filter_cfg.filter_empty_gt=false",))) == []


def test_the_largest_evidence_comes_first_and_five_are_enough() -> None:
    everything = situation(
        diagnosis=errors(classification=0.15),
        sizes=sizes(0.3, 0.6, 0.8),
        fit=UNDER,
        pairs=[PAIR],
        overrides=("dataset=shapes",),
    )
    steps = next_steps(everything)
    assert [step.axis for step in steps] == ["optimizer", "image_size", "backbone", "n_epochs", "neck"]
    assert [step.points for step in steps] == sorted((step.points for step in steps), reverse=True)
    assert [step.axis for step in next_steps(everything, n_steps=2)] == ["optimizer", "image_size"]


def test_each_step_carries_its_numbers() -> None:
    small, _ = next_steps(situation(sizes=sizes(0.3, 0.6, 0.8)))
    assert small.evidence == "AP50 of objects under 32 px is 30.0 (100 objects), of those over 96 px 80.0"
    (classes,) = next_steps(situation(diagnosis=errors(classification=0.1), pairs=[PAIR]))
    assert classes.evidence == (
        "classification errors cost 10.0 points of AP50, the most of all errors; "
        "Paper pack called Paper, 41 times of 230"
    )
    (longer,) = next_steps(situation(fit=IMPROVING))
    assert longer.evidence == "still improving: as measured"


def test_the_command_trains_today_beside_the_change_with_seeds_of_its_own() -> None:
    (step,) = next_steps(situation(diagnosis=errors(classification=0.1)))
    assert shlex.split(step.command) == [
        "detsweep",
        "train",
        "dataset=shapes",
        "dataset.root=my data's (new)",
        "detector=faster_rcnn",
        "optimizer.lr=0.01",
        "backbone=resnet50,resnet101",
        "seed=0,1,2",
    ]


def test_a_rate_for_one_optimizer_is_not_given_to_another() -> None:
    step = next_steps(situation(fit=UNDER))[0]
    assert step.axis == "optimizer"
    assert "optimizer.lr" not in step.command
    assert "each optimizer at its own usual rate" in step.evidence


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_shells_take_the_command_as_it_is(shell: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"no {shell} on this machine")
    weak = situation(sizes=sizes(0.3, 0.6, 0.8), choices={"image_size": "1024px"})
    for step in next_steps(weak):
        words = step.command.removeprefix("detsweep")
        seen = subprocess.run([shell, "-fc", f"printf '%s\\n' {words}"], capture_output=True, text=True, check=True)
        assert seen.stdout.splitlines() == shlex.split(step.command)[1:]
    assert any("scales=[8],[4]" in step.command for step in next_steps(weak))


def test_the_costliest_type_is_what_counts() -> None:
    mixed = errors(classification=0.05, localisation=0.06)
    assert "backbone" not in axes(next_steps(situation(diagnosis=mixed)))
    assert mixed.costliest is ErrorType.LOCALISATION
