"""Verdicts in words: what a person reads, and types next."""

import math
import shlex
from collections.abc import Sequence

from reports.judging.arms import CellRuns, seed_of
from reports.judging.decision import FEW_OBJECTS, MIN_SEEDS, MOST_SEEDS, Verdict, Word
from reports.judging.judge import JudgedClaim, JudgedHypothesis, JudgedStep
from runners.contract.hypothesis import LOOKS, Question, is_average_precision, is_error_cost

_METRICS = {"bbox_mAP": "mAP", "bbox_mAP_50": "mAP50", "bbox_mAP_75": "mAP75"}
_SIZES = {"bbox_mAP_s": "AP small", "bbox_mAP_m": "AP medium", "bbox_mAP_l": "AP large"}
_SAME_LEVEL = 1e-9
_CLASS = "bbox_mAP_class/"
_ERROR = "error_"


def metric_words(metric: str) -> str:
    """Return what people call a metric: ``val mAP50``, ``val AP of Paper``, ``train loss``."""
    split, _, name = metric.partition("/")
    if name.startswith(_CLASS):
        return f"{split} AP of {name.removeprefix(_CLASS)}"
    if name.startswith(_ERROR):
        return f"{split} AP lost to {name.removeprefix(_ERROR)} errors"
    return f"{split} {_METRICS.get(name) or _SIZES.get(name) or name.replace('_', ' ')}"


def unit_words(question: Question) -> str:
    """Return the unit behind a difference, with a space; nothing where it has none."""
    return " points" if is_average_precision(question.metric) or is_error_cost(question.metric) else ""


def signed(value: float, question: Question) -> str:
    """Return a difference with its sign, as many digits as mean anything."""
    shown = value * question.scale
    digits = 1 if question.scale > 1 else max(0, 3 - len(str(int(abs(shown)))))
    return f"{shown:+.{digits}f}"


def effect_words(step: JudgedStep) -> str:
    """Return effect and interval, ``+1.8 [+0.9, +2.7]``, in the metric's own direction; nothing if none is known."""
    if step.verdict is None:
        return ""
    # The effect is kept so that higher is better; a loss is shown as it is measured.
    sign = 1 if step.question.higher_is_better else -1
    low, high = sorted(sign * end for end in step.verdict.interval)
    difference = sign * step.verdict.effect.difference
    return f"{signed(difference, step.question)} [{signed(low, step.question)}, {signed(high, step.question)}]"


def difference_words(step: JudgedStep) -> str:
    """Return effect and interval; of what could not be judged the bare difference, and nothing if none is known."""
    if step.verdict is not None or step.means is None:
        return effect_words(step)
    return signed(step.means[0] - step.means[1], step.question)


def objects_words(step: JudgedStep) -> str:
    """Return how many objects a verdict stands on; nothing where images play no part, or nothing is judged."""
    if step.verdict is None or step.n_objects is None:
        return ""
    few = f", fewer than {FEW_OBJECTS}: any one of them moves it" if step.n_objects < FEW_OBJECTS else ""
    return f"on {step.n_objects} objects in {step.n_images} images{few}"


def verdict_words(step: JudgedStep) -> str:
    """Return the decision, ``undecided, leans to better``; nothing if there is none."""
    verdict = step.verdict
    if verdict is None:
        return ""
    if verdict.word is not Word.UNDECIDED or verdict.lean == 0:
        return verdict.word.value
    return f"{verdict.word.value}, leans to {_leaning(verdict, step.question)}"


def _leaning(verdict: Verdict, question: Question) -> str:
    """Return on which side of what matters the difference lies, which an interval about it does not settle."""
    if verdict.lean > 0:
        return Word.BETTER.value
    if verdict.effect.difference < -verdict.margin:
        return Word.WORSE.value
    return f"a gain below {_plain(verdict.margin, question)}"


def _plain(value: float, question: Question) -> str:
    return signed(value, question).lstrip("+")


def noise_words(step: JudgedStep) -> str:
    """Return what is unusual about the noise that an interval holds; nothing if nothing is."""
    if step.verdict is None:
        return ""
    effect = step.verdict.effect
    if effect.is_paired:
        return "paired: same weights, run by run; only how they are evaluated differs"
    if effect.is_by_fold:
        return "noise as between folds, one seed in each"
    if effect.donors is None:
        return ""
    own = ", ".join(_plain(math.sqrt(term.own), step.question) for term in effect.terms if not math.isnan(term.own))
    lent = f"{effect.donors.n_arms} arms, whose runs deviate by {_plain(effect.donors.deviation, step.question)}"
    return f"seed noise partly borrowed from {lent}{f' (own runs by {own})' if own else ''}"


def outlook_words(step: JudgedStep) -> str:
    """Return what would decide an undecided comparison; nothing if it is decided."""
    if step.outlook is None or step.verdict is None:
        return ""
    if step.outlook.n_seeds is not None:
        return f"{step.outlook.n_seeds} seeds in each arm would probably decide"
    if step.verdict.effect.is_by_fold or step.verdict.effect.seeds_unknown or min(step.n_seeds) < MIN_SEEDS:
        return f"{MIN_SEEDS} seeds in each arm are the least that can decide"
    unit = unit_words(step.question)
    noise = f"±{_plain(step.outlook.image_noise, step.question)}{unit}"
    if step.outlook.n_images is not None:
        return (
            f"more seeds will not decide: the noise of these images alone is {noise};"
            f" about {_rounded(step.outlook.n_images)} images would"
        )
    near = f"the difference is too close to the {_plain(step.verdict.margin, step.question)}{unit} that matter"
    if step.verdict.margin == 0:
        near = "the difference is too small"
    return f"up to {MOST_SEEDS} seeds in each arm will probably not decide: {near} for so much noise"


def _rounded(number: int) -> str:
    """Return a number that is an estimate with two digits: 2,400."""
    step = 10 ** max(0, len(str(number)) - 2)
    return f"{math.ceil(number / step) * step:,}"


def bound_words(step: JudgedStep) -> str:
    """Return what a claim that does not hold leaves open: a gain of at most the interval's upper end."""
    if step.verdict is None or not step.verdict.word.is_refuted:
        return ""
    highest = step.verdict.interval[1]
    if highest <= 0:
        return "there is no gain"
    return f"a gain of at most {_plain(highest, step.question)}{unit_words(step.question)}"


def level_words(step: JudgedStep, confidence: float) -> str:
    """Return the level of an interval that is not at the hypothesis' confidence, because several claims are judged."""
    if step.verdict is None or abs(1 - step.verdict.alpha - confidence) < _SAME_LEVEL:
        return ""
    return f"{100 * (1 - step.verdict.alpha):.3g} % interval, as several claims are judged together"


def look_words(claim: JudgedClaim, step: JudgedStep) -> str:
    """Return at which planned look a comparison was decided, or that none did; nothing of one without looks.

    The interval is that of the look: wider than one at the hypothesis' confidence, because there are several looks.
    """
    if step.verdict is None or not claim.looked_at:
        return ""
    level = f"{100 * (1 - step.verdict.alpha):.3g} % interval"
    if claim.look is not None:
        return f"decided at the look at {claim.look} seeds; {level}"
    if claim.looked_at == LOOKS[-1]:
        return f"undecided at {LOOKS[-1]} seeds is final; {level}"
    return f"undecided at the look at {claim.looked_at} seeds; {level}"


def claim_words(claim: JudgedClaim) -> str:
    """Return the decision on a whole claim."""
    if claim.word is None:
        return "not judged"
    if claim.is_ordered and len(claim.steps) > 1:
        arms = [claim.steps[0].comparison.baseline, *(step.comparison.treatment for step in claim.steps)]
        verdict = {True: "holds", False: "does not hold"}.get(claim.word.is_supported, "")
        verdict = verdict if claim.word.is_decided else "undecided"
        return f"{' < '.join(arms)}: {verdict}"
    step = claim.steps[0]
    return verdict_words(step) or "not judged"


def more_seeds(judged: JudgedHypothesis, command: Sequence[str]) -> str:
    """Return the command that trains only the seeds which are missing; nothing if seeds would not help.

    Args:
        judged: the verdicts.
        command: the command line that started the sweep, ``detsweep train hypothesis=...``.
    """
    wanted = [_seeds_wanted(step) for claim in judged.claims for step in claim.steps]
    n_wanted = max((number for number in wanted if number is not None), default=0)
    known = {seed for cell in judged.cells for seed in cell.seeds}
    lacking = [seed for seed in range(n_wanted) if any(seed not in _coming(cell) for cell in judged.cells)]
    if not lacking or not known:
        return ""
    kept = [word for word in command if not word.startswith("seed=")]
    # shlex quotes for bash and zsh alike; what was trained already is not trained again (reuse=true).
    return shlex.join([*kept, f"seed={','.join(map(str, lacking))}"])


def _coming(cell: CellRuns) -> set[int]:
    """Return the seeds that a cell has, or will have once its sweep has gone on."""
    return {*cell.seeds, *(seed_of(run) for run in cell.open if not run.state.is_terminal)}


def _seeds_wanted(step: JudgedStep) -> int | None:
    if step.verdict is None:
        return MIN_SEEDS if "no finished run" in step.problem else None
    if step.outlook is None:
        return None
    if step.outlook.n_seeds is not None:
        return step.outlook.n_seeds
    effect = step.verdict.effect
    return MIN_SEEDS if effect.is_by_fold or effect.seeds_unknown or min(step.n_seeds) < MIN_SEEDS else None
