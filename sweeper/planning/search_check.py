"""Whether a search's space fits the configs it is laid on: keys are there, values possible; and what is odd."""

from collections.abc import Iterator, Mapping, Sequence

from runners.contract.dimensions import Dimension
from runners.contract.errors import UserError
from runners.contract.search import Search
from sweeper.planning.compose import Composer
from sweeper.planning.overrides import parse_override
from sweeper.planning.setting_rules import SETTINGS

_NO_SETTING = "no setting "
# Options of Optuna's samplers: how many trials come before the first that is chosen by what others found.
_AT_RANDOM = ("n_startup_trials", "population_size")


def space_problems(search: Search, composer: Composer, shared: Sequence[str], where: str) -> list[str]:
    """Return what is wrong with the space, each dimension looked at with every choice that it is there with.

    Args:
        search: its dimensions.
        composer: composes the configs.
        shared: overrides of all trials.
        where: the file, for messages.
    """
    problems: list[str] = []
    for dimension in search.dimensions:
        # A word where a number should be is out of range as well; it is told once.
        told = list(_composition_problems(search, dimension, composer, shared, where))
        told = told or list(_range_problems(dimension, where))
        problems += [line for line in told if line not in problems]
    return problems


def hints(search: Search) -> list[str]:
    """Return lines worth telling of a search that is sound, and perhaps not what was meant."""
    lines = []
    sampler, n_trials = search.sampler["name"], search.n_trials
    for option in _AT_RANDOM:
        n_random = search.sampler.get(option, 0)
        if isinstance(n_random, int) and n_random >= n_trials:
            lines.append(
                f"{sampler} draws {option}={n_random} trials at random before it learns, and there are {n_trials}"
            )
    if sampler == "grid":
        n_points = len(search.grid())
        if n_points > n_trials:
            lines.append(f"the grid has {n_points} points, of which n_trials={n_trials} are trained, the first ones")
    if len(search.objectives) > 1 and search.prunes:
        lines.append(f"trials are pruned by {search.prune_by} alone, which may cost points of the Pareto front")
    if search.confirm == 1:
        lines.append("search.confirm=1: one seed tells nothing of how much seeds differ; 3 or more do")
    return lines


def _composition_problems(
    search: Search, dimension: Dimension, composer: Composer, shared: Sequence[str], where: str
) -> Iterator[str]:
    """Yield what is wrong with a dimension's key and values in the configs of the choices that it is there with."""
    values = dimension.choices or tuple(map(dimension.written, dimension.span))
    lines = [f"{dimension.key}={value}" for value in values]
    lacking: list[Mapping[str, str]] = []
    contexts = list(_contexts(search, dimension, composer))
    told: list[str] = []
    for context in contexts:
        beside = [f"{key}={value}" for key, value in context.items()]
        found = [problem for line in lines for problem in composer.problems([*shared, *beside, line])]
        if any(problem.startswith(_NO_SETTING) for problem in found):
            lacking.append(context)
        told += [problem for problem in dict.fromkeys(found) if problem not in told]
    if lacking and len(lacking) < len(contexts):
        told = [problem for problem in told if not problem.startswith(_NO_SETTING)]
        key, having = _telling(contexts, lacking)
        without = ", ".join(dict.fromkeys(context[key] for context in lacking))
        yield (
            f"no setting in {where}: space {dimension.key} is not there with {key}={without}; "
            f"when: {{{key}: [{', '.join(having)}]}}"
        )
    yield from told


def _contexts(search: Search, dimension: Dimension, composer: Composer) -> Iterator[Mapping[str, str]]:
    """Yield the choices of groups beside which a dimension is looked at, one group away from the first of all."""
    key = dimension.key.lstrip("+")
    root, is_inner = key.partition(".")[0], "." in key
    # A group's own settings depend on that group, and what stands at the top is there whatever is chosen.
    tied = {root} if composer.is_group(root) or not is_inner else None
    index = search.dimensions.index(dimension)
    groups = [
        entry
        for entry in search.dimensions[:index]
        if entry.key in dimension.when
        or (composer.is_choice(entry.key.lstrip("+")) and (tied is None or entry.key.lstrip("+") in tied))
    ]
    first: dict[str, str] = {}
    for group in groups:
        if group.applies(first) and group.key not in first:
            first[group.key] = dimension.when.get(group.key, group.choices)[0]
    yield first
    for group in groups:
        for choice in dimension.when.get(group.key, group.choices):
            moved = {**first, group.key: choice}
            if choice != first.get(group.key) and group.applies(moved) and dimension.applies(moved):
                yield moved


def _telling(
    contexts: Sequence[Mapping[str, str]], lacking: Sequence[Mapping[str, str]]
) -> tuple[str, tuple[str, ...]]:
    """Return the group on which it depends whether a setting is there, and its choices that have it."""
    having = [context for context in contexts if context not in lacking]
    for key in contexts[0]:
        found = tuple(dict.fromkeys(context[key] for context in having if key in context))
        if not any(context.get(key) in found for context in lacking):
            return key, found
    key = next(iter(contexts[0]))
    return key, tuple(dict.fromkeys(context[key] for context in having if key in context))


def _range_problems(dimension: Dimension, where: str) -> Iterator[str]:
    """Yield the values of a dimension that break the rule of their setting."""
    rule = SETTINGS.get(dimension.key)
    if rule is None:
        return
    if dimension.kind == "float" and not rule.is_kept(0.5) and rule.is_kept(int(dimension.span[1])):
        yield (
            f"no whole numbers in {where}: space {dimension.key} {dimension.ends()}; {rule.wanted}: type: int, or on "
            f"the command line {dimension.key}=int(interval(...))"
        )
        return
    for value in dimension.choices or tuple(map(dimension.written, dimension.span)):
        try:
            known = parse_override(f"x={value}").value()
        except UserError:
            continue  # told by the composition
        if not rule.is_kept(known):
            yield f"value out of range in {where}: space {dimension.key} {value}; {rule.wanted}"
