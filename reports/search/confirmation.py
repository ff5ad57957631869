"""The confirmation of a search: its best, trained with fresh seeds and judged on images that the search never saw.

A candidate was chosen by its number on val, which holds the luck of its seed and that of val's images. Fresh seeds take
away the first. The second stays in whatever is measured on val, however many seeds there are, so that equal trials are
called better too often there (`benchmarks/search_confirmation.py` measures how often). So the verdict is on test, the
fresh runs alone count, and several candidates are one family (Holm).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from reports.judging.arms import CellRuns, lenders_of
from reports.judging.judge import judge_family
from reports.judging.preparing import Prepared, prepare
from reports.judging.settings import WATCHED
from reports.judging.wording import metric_words, signed, unit_words
from reports.records import RunRecord, RunSet
from reports.search.candidates import DEFAULT, Candidate, Candidates, find_candidates
from reports.search.outcome import count
from reports.search.trial_records import Searched, find_searches, value_of
from reports.table import Column, Row, Table, missing_cell, text_cell
from reports.verdicts import SweepVerdicts
from runners.contract.errors import UserError
from runners.contract.hypothesis import Hypothesis, Question
from runners.contract.naming import GROUPS
from runners.contract.trial_ranking import loss

# As hypotheses are judged, unless they say otherwise: a point of average precision matters.
MARGIN = 0.01
CONFIDENCE = 0.95
# What candidates differ in from the default by design: all that a config says of the training.
_SEARCHED = frozenset((*GROUPS, *WATCHED, "optimizer.lr", "batch_size", "n_epochs", "precision", "weights"))


@dataclass(frozen=True)
class Gain:
    """How far a candidate is ahead of the default, step by step away from what chose it; in the metric's unit.

    Attributes:
        name: of the candidate.
        searched: on val, by the runs of the search themselves.
        retrained: on val, by the fresh runs; None before there are any.
        unseen: on test, by the fresh runs; None before there are any.
        n_seeds: fresh runs of the candidate and of the default.
    """

    name: str
    searched: float | None
    retrained: float | None
    unseen: float | None
    n_seeds: tuple[int, int]


@dataclass(frozen=True)
class Confirmation:
    """What a search's candidates came to.

    Attributes:
        searched: the search.
        verdicts: as those of a hypothesis, so that they stand where a report's verdicts do.
        question: what they are judged by.
        gains: of each candidate, the best of the search first.
    """

    searched: Searched
    verdicts: SweepVerdicts
    question: Question
    gains: tuple[Gain, ...]

    @property
    def lines(self) -> tuple[str, ...]:
        """What of the search's gains lasted, a line for each candidate."""
        return tuple(line for gain in self.gains if (line := _gain_line(gain, self.question)))


def confirm_searches(runs: RunSet, elsewhere: Sequence[RunRecord] = ()) -> list[Confirmation]:
    """Judge the candidates of every search that trains them again.

    Args:
        runs: what the report is about.
        elsewhere: runs of other sweeps, which may lend what they know of the seeds' noise.
    """
    versions = {sweep.sweep_id: sweep.versions for sweep in runs.sweeps}
    found = (confirm_search(searched, [*runs.runs, *elsewhere], versions) for searched in find_searches(runs)[0])
    return [confirmation for confirmation in found if confirmation is not None]


def confirm_search(
    searched: Searched, runs: Sequence[RunRecord] = (), versions: Mapping[str, Mapping[str, str]] | None = None
) -> Confirmation | None:
    """Judge the candidates of one search against the default; None where none is trained again (yet).

    Args:
        searched: the search.
        runs: of any sweeps; other recipes on the same data may lend what they know of the seeds' noise.
        versions: of the programs, by sweep.
    """
    candidates, metric = find_candidates(searched), searched.search.confirmed_by
    if candidates is None or metric is None or not candidates.best:
        return None
    hypothesis = _hypothesis(searched, candidates, Question(metric, MARGIN))
    cells = [candidate.fresh for candidate in candidates.arms]
    sweep_id, missing = searched.sweep.sweep_id, tuple(one.missing for one in candidates.arms if one.missing)
    try:
        prepared = prepare(hypothesis, cells, _lenders(cells, runs), versions or {}, ())
        (judged,) = judge_family([_without_the_searched(prepared)])
        verdicts = SweepVerdicts(sweep_id, judged, missing=missing)
    except UserError as error:
        # A report must not fail because of one confirmation.
        verdicts = SweepVerdicts(sweep_id, None, error.problems[0], missing=missing)
    gains = tuple(_gain(searched, candidate, candidates.default, verdicts) for candidate in candidates.best)
    found = Confirmation(searched, verdicts, hypothesis.questions[0], gains)
    return replace(found, verdicts=replace(verdicts, remarks=found.lines))


def _hypothesis(searched: Searched, candidates: Candidates, question: Question) -> Hypothesis:
    """Return what a confirmation claims, as it was settled before any of its runs."""
    best = tuple(candidate.name for candidate in candidates.best)
    counted = count(searched)
    several = "Each of these finds" if len(best) > 1 else "It finds"
    return Hypothesis(
        name=f"confirmation of {searched.search.name}",
        claim=(
            f"The best of {counted.completed + counted.pruned} trials: {', '.join(best)}. {several} more than the "
            "default, trained with seeds that chose nothing, on images that the search never saw."
        ),
        axis="trial",
        arms=(DEFAULT, *best),
        baseline=DEFAULT,
        blocks={},
        questions=(question,),
        n_seeds=searched.search.confirm,
        confidence=CONFIDENCE,
        until_decided=False,
        accepts={},
    )


def _lenders(cells: Sequence[CellRuns], runs: Sequence[RunRecord]) -> list[CellRuns]:
    """Return other recipes with seeds enough to lend; the trials of a search have one run each, and none."""
    return [cell for cell in lenders_of(cells, runs) if len(cell.runs) > 1]


def _without_the_searched(prepared: Prepared) -> Prepared:
    """Leave out of what else differs what a candidate's config says: that is the candidate, and no confound."""
    claims = [
        replace(
            claim,
            steps=tuple(
                replace(step, differences=tuple(one for one in step.differences if one.key not in _SEARCHED))
                for step in claim.steps
            ),
        )
        for claim in prepared.claims
    ]
    return replace(prepared, claims=tuple(claims))


def _gain(searched: Searched, candidate: Candidate, default: Candidate, verdicts: SweepVerdicts) -> Gain:
    first = searched.search.objectives[0]
    is_known = all(first.metric in one.record.values for one in (candidate, default))
    means = [_mean(one.fresh.runs, lambda run: value_of(first.metric, run)) for one in (candidate, default)]
    steps = [] if verdicts.judged is None else [step for claim in verdicts.judged.claims for step in claim.steps]
    unseen = next((step.means for step in steps if step.comparison.treatment == candidate.name), None)
    return Gain(
        name=candidate.name,
        searched=loss(default.record, first) - loss(candidate.record, first) if is_known else None,
        retrained=None if means[0] is None or means[1] is None else means[0] - means[1],
        unseen=None if unseen is None else unseen[0] - unseen[1],
        n_seeds=(len(candidate.fresh.runs), len(default.fresh.runs)),
    )


def _mean(runs: Sequence[RunRecord], value: Callable[[RunRecord], float | None]) -> float | None:
    known = [found for run in runs if (found := value(run)) is not None]
    return sum(known) / len(known) if known else None


def _gain_line(gain: Gain, question: Question) -> str:
    """Return how much of what a candidate was chosen by has lasted."""
    if gain.searched is None or gain.unseen is None:
        return ""
    unit, what = unit_words(question), metric_words(question.metric).partition(" ")[2]
    told = f"{gain.name}: {signed(gain.searched, question)}{unit} of {what} over the default in the search"
    if gain.retrained is not None:
        told += f", {signed(gain.retrained, question)} on the same images with fresh seeds"
    told += f", {signed(gain.unseen, question)} on images that the search never saw: "
    went = gain.searched - gain.unseen
    if went <= 0:
        return f"{told}all of the gain lasted"
    if gain.unseen <= 0:
        return f"{told}nothing of the gain lasted"
    return f"{told}{_plain(went, question)} of the {_plain(gain.searched, question)}{unit} did not last"


def _plain(value: float, question: Question) -> str:
    return signed(value, question).lstrip("+")


def gain_table(found: Confirmation) -> Table:
    """Return a row for each candidate: its gain where it was chosen, with fresh seeds, and on unseen images."""
    rows = []
    for gain in found.gains:
        steps = (gain.searched, gain.retrained, gain.unseen)
        cells = [missing_cell() if step is None else text_cell(signed(step, found.question)) for step in steps]
        rows.append(Row("", [text_cell(gain.name), *cells, text_cell(" + ".join(map(str, gain.n_seeds)))]))
    what = metric_words(found.question.metric).partition(" ")[2]
    titles = ("candidate", "in the search", "fresh seeds, same images", "fresh seeds, unseen images", "seeds")
    return Table(
        name="search-confirmation",
        title=f"What lasted of the gains of {found.searched.search.name}, {what}",
        columns=tuple(Column(title, is_number=False) for title in titles),
        rows=rows,
        notes=(
            "Over the default. In the search: one run each, chosen by this number; the verdict is on unseen images.",
            "Val at the last epoch; test by the weights of each run's best epoch on val, which test did not choose.",
        ),
    )
