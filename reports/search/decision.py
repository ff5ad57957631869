"""The decision of a search in one sentence: its best trial as what it is, beside the default; and what to run next."""

import shlex
from collections.abc import Iterator

from reports.search.outcome import Counts, candidates, count, default_of
from reports.search.trial_records import Searched
from reports.search.wording import (
    difference_words,
    overrides_of,
    point_words,
    reached_words,
    value_words,
)
from runners.contract.trial_ranking import front
from runners.contract.trials import TrialRecord

# Said wherever a search's best is: it was chosen among many by the very numbers that it is shown with.
OPTIMISTIC = "the best of many, chosen on these images, looks better than it is: this is no verdict"
CONFIRMED = "chosen among many on these images, it looks better than it is: what counts is its confirmation"
# As many seeds as give a mean an interval.
N_SEEDS = 3


def search_sentence(searched: Searched) -> str:
    """Return what a search found, in one sentence."""
    name, found = searched.search.name, candidates(searched)
    if not found:
        return f"Search {name}: no trial has a result yet ({count(searched).words})."
    if len(searched.search.objectives) > 1:
        return _of_front(searched, found)
    best, default = found[0], default_of(searched)
    metric = searched.search.objectives[0].metric
    reached = reached_words(metric, best.values[metric])
    if best is default:
        return f"Search {name}: none of {_compared_words(count(searched))} is ahead of the default, {reached}."
    told = f"Search {name}: best of {_compared_words(count(searched))} is {trial_words(searched, best)} with {reached}"
    return f"{told}{_beside_default(metric, best, default)}; {caveat(searched)}."


def _compared_words(counts: Counts) -> str:
    """Return of how many trials one is the best: the more were given up, the more luck there is in it."""
    to_the_end = counts.compared - counts.pruned
    return f"{counts.compared} trials" + (f", {to_the_end} of them trained to the end," if counts.pruned else "")


def caveat(searched: Searched) -> str:
    """Return what must be said with the best of a search."""
    return CONFIRMED if searched.confirming else OPTIMISTIC


def _beside_default(metric: str, best: TrialRecord, default: TrialRecord | None) -> str:
    if default is None or metric not in default.values:
        return ", and of the default nothing is known"
    reached = value_words(metric, default.values[metric])
    limit = "" if default.is_feasible else ", which breaks a limit"
    return f", the default {reached} ({difference_words(metric, best.values[metric] - default.values[metric])}){limit}"


def _of_front(searched: Searched, found: list[TrialRecord]) -> str:
    kept, default = front(searched.search, searched.records), default_of(searched)
    told = f"Search {searched.search.name}: {len(kept)} of {len(found)} trials on the Pareto front"
    ends = [kept[0]] if len(kept) == 1 else [kept[0], kept[-1]]
    told += ", " + ", to ".join(f"{_values(searched, record)} ({_short(searched, record)})" for record in ends)
    if default is not None and default.is_complete:
        told += f"; the default: {_values(searched, default)}" + (", on it" if default in kept else "")
    return f"{told}; a front of many, chosen on these images, looks better than it is: this is no verdict."


def _values(searched: Searched, record: TrialRecord) -> str:
    return " at ".join(
        reached_words(one.metric, record.values[one.metric])
        for one in searched.search.objectives
        if one.metric in record.values
    )


def trial_words(searched: Searched, record: TrialRecord) -> str:
    """Return a trial with its point: ``trial 7 (optimizer=adamw optimizer.lr=0.000312)``."""
    point = point_words(searched.search, record)
    return f"{_short(searched, record)} ({point})" if point else _short(searched, record)


def _short(searched: Searched, record: TrialRecord) -> str:
    if record.trial.origin == "warm":
        return "an earlier run"
    return "the default" if record.trial.origin == "default" else f"trial {record.trial.number}"


def open_lines(searched: Searched) -> Iterator[str]:
    """Yield what is not true yet of a search."""
    if candidates(searched) and not searched.confirming:
        yield (
            f"{searched.search.name}: the best trial was chosen on the images it is shown on; "
            f"search.confirm={N_SEEDS} trains it again and judges it on images that the search never saw"
        )


def search_commands(searched: Searched) -> list[tuple[str, str, str]]:
    """Return what is worth running next: what it does, why, and the command line.

    The command that searched, with a confirmation at its end; and the best point alone, with other seeds.
    """
    found, command = candidates(searched), list(searched.sweep.command)
    if not found or not command or searched.confirming:
        return []
    commands = []
    if searched.search.confirm == 0:
        confirming = [
            *(word for word in command if not word.startswith("search.confirm=")),
            f"search.confirm={N_SEEDS}",
        ]
        why = "the best and the default with fresh seeds, on images that the search never saw"
        commands.append(("a confirmation", why, shlex.join(confirming)))
    best = found[0]
    if best.trial.origin == "sampled":
        keys = {dimension.key for dimension in searched.search.dimensions} | {"search", "seed"}
        fixed = [word for word in command if word != "-m" and not _sets(word, keys)]
        seeds = f"seed={','.join(str(seed) for seed in range(1, N_SEEDS + 1))}"
        words = [*fixed, *overrides_of(searched.search, best), seeds]
        what = f"trial {best.trial.number} with {N_SEEDS} other seeds"
        commands.append((what, "what it reaches when nobody chooses it", shlex.join(words)))
    return commands


def _sets(word: str, keys: set[str]) -> bool:
    key = word.partition("=")[0].lstrip("+~")
    return key in keys or key.startswith("search.")
