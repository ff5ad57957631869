"""Verdicts in words: what a person reads, and types next."""

import shlex
from collections.abc import Sequence

from reports.judging.decision import Verdict, Word
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


def verdict_words(verdict: Verdict) -> str:
    """Return the decision, ``undecided, leans +``."""
    if verdict.word is not Word.UNDECIDED or verdict.lean == 0:
        return verdict.word.value
    return f"{verdict.word.value}, leans {'+' if verdict.lean > 0 else '-'}"


def step_words(step: JudgedStep) -> str:
    """Return one comparison as a sentence."""
    arms = f"{step.comparison.treatment} over {step.comparison.baseline}"
    what = metric_words(step.question.metric)
    if step.verdict is None:
        return f"{arms}, {what}: not judged; {step.problem}"
    n_treated, n_base = step.n_seeds
    seeds = f"{n_treated}" if n_treated == n_base else f"{n_treated} and {n_base}"
    level = f"{100 * (1 - step.verdict.alpha):.3g} %"
    told = f"{arms}, {what}: {verdict_words(step.verdict)}; {effect_words(step)}{unit_words(step.question)}"
    told += f" ({level} interval, {seeds} seed{'s' if seeds != '1' else ''} each)"
    if step.verdict.reason:
        told += f"; {step.verdict.reason}"
    bound = bound_words(step)
    told += f"; {bound}" if bound else ""
    if step.verdict.effect.is_by_fold:
        told += "; noise as between folds, one seed in each"
    donors = step.verdict.effect.donors
    if donors is not None:
        told += f"; seed noise partly borrowed from {donors.n_arms} arms"
    return told


def outlook_words(step: JudgedStep) -> str:
    """Return what would decide an undecided comparison; nothing if it is decided."""
    if step.outlook is None or step.verdict is None:
        return ""
    if step.outlook.n_seeds is not None:
        return f"{step.outlook.n_seeds} seeds in each arm would probably decide"
    if step.verdict.effect.is_by_fold or step.verdict.effect.seeds_unknown or min(step.n_seeds) < 3:
        return "3 seeds in each arm are the least that can decide"
    noise = signed(step.outlook.image_noise, step.question).lstrip("+")
    told = f"seeds will not decide: image noise alone is ±{noise}{unit_words(step.question)}"
    if step.outlook.n_images is not None:
        told += f"; about {step.outlook.n_images} images would"
    return told


def bound_words(step: JudgedStep) -> str:
    """Return what a claim that does not hold leaves open: a gain of at most the interval's upper end."""
    if step.verdict is None or not step.verdict.word.is_refuted:
        return ""
    highest = step.verdict.interval[1]
    if highest <= 0:
        return "there is no gain"
    return f"a gain of at most {signed(highest, step.question).lstrip('+')}{unit_words(step.question)}"


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
    return verdict_words(step.verdict) if step.verdict is not None else "not judged"


def more_seeds(judged: JudgedHypothesis, command: Sequence[str]) -> str:
    """Return the command that trains only the seeds which are missing; nothing if seeds would not help.

    Args:
        judged: the verdicts.
        command: the command line that started the sweep, ``detsweep train hypothesis=...``.
    """
    wanted = [_seeds_wanted(step) for claim in judged.claims for step in claim.steps]
    n_wanted = max((number for number in wanted if number is not None), default=0)
    known = {seed for cell in judged.cells for seed in cell.seeds}
    lacking = [seed for seed in range(n_wanted) if any(seed not in cell.seeds for cell in judged.cells)]
    if not lacking or not known:
        return ""
    kept = [word for word in command if not word.startswith("seed=")]
    # shlex quotes for bash and zsh alike; what was trained already is not trained again (reuse=true).
    return shlex.join([*kept, f"seed={','.join(map(str, lacking))}"])


def _seeds_wanted(step: JudgedStep) -> int | None:
    if step.verdict is None:
        return 3 if "no finished run" in step.problem else None
    if step.outlook is None:
        return None
    if step.outlook.n_seeds is not None:
        return step.outlook.n_seeds
    effect = step.verdict.effect
    return 3 if effect.is_by_fold or effect.seeds_unknown or min(step.n_seeds) < 3 else None
