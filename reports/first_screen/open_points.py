"""What is not true yet: jobs without a result, splits without labels, confounds, too few objects, noise not known."""

from collections import Counter
from collections.abc import Iterator, Sequence

from reports.diagnosed_runs import DiagnosedRuns
from reports.first_screen.decision import arm_noise
from reports.judging.wording import signed
from reports.ranking import width_warning
from reports.records import RunRecord, RunSet
from reports.section import Section
from reports.verdicts import NOT_COVERED, SweepVerdicts
from runners.contract.states import JobState

N_LINES = 7
_N_NAMED = 2
_OPEN = (JobState.PLANNED, JobState.RUNNING, JobState.PAUSED)


def open_points(
    runs: RunSet,
    verdicts: Sequence[SweepVerdicts],
    sections: Sequence[Section],
    diagnosed: DiagnosedRuns,
    of_searches: Sequence[str] = (),
) -> list[str]:
    """Return what must be known before anybody believes the decision; the last line is always there."""
    lines = [
        *of_searches,
        *_without_result(runs.runs),
        *(line for found in verdicts for line in _of_verdict(found)),
        *_of_data(runs.runs, sections),
        *_without_noise(verdicts, sections),
        *_not_looked_at(runs.runs, diagnosed),
    ]
    distinct = list(dict.fromkeys(lines))
    if len(distinct) > N_LINES - 1:
        distinct = [*distinct[: N_LINES - 2], f"{len(distinct) - N_LINES + 2} more, in the tables below"]
    return [*distinct, NOT_COVERED]


def _without_result(runs: Sequence[RunRecord]) -> Iterator[str]:
    # A trial that was pruned ended as it was meant to.
    lost = [run for run in runs if not run.has_result and run.state not in (*_OPEN, JobState.PRUNED)]
    if lost:
        reasons = [f"{run.job_id} {run.state.value.lower()}{_because(run)}" for run in lost[:_N_NAMED]]
        more = f", and {len(lost) - _N_NAMED} more" if len(lost) > _N_NAMED else ""
        yield f"{len(lost)} of {len(runs)} jobs ended without a result: {'; '.join(reasons)}{more}"
    still_open = sum(run.state in _OPEN for run in runs)
    if still_open:
        yield f"{still_open} of {len(runs)} jobs have not finished yet"


def _because(run: RunRecord) -> str:
    return f" ({run.failure})" if run.failure else ""


def _of_verdict(found: SweepVerdicts) -> Iterator[str]:
    if found.missing:
        yield f"Runs that are to be there are missing: {'; '.join(found.missing)}"
    if found.judged is None:
        return
    for claim in found.judged.claims:
        for step in claim.steps:
            arms = f"{step.comparison.treatment} over {step.comparison.baseline}"
            if step.problem:
                yield f"{arms}: {step.problem}"
            confounds = [one.key for one in step.differences if not one.accepted]
            if confounds:
                yield f"{arms}: not only the axis differs: {', '.join(confounds)}"
            blocks = () if step.verdict is None else step.verdict.effect.block_differences
            if len({value > 0 for value in blocks}) > 1:
                yield f"{arms}: the blocks disagree ({', '.join(signed(value, step.question) for value in blocks)})"
            if step.left_out:
                yield f"{arms}: {len(step.left_out)} runs left out: {step.left_out[0]}"


def _of_data(runs: Sequence[RunRecord], sections: Sequence[Section]) -> Iterator[str]:
    labelled = [run.labelled for run in runs if run.labelled is not None]
    if any(splits.get("test") is False for splits in labelled):
        yield "The test split is not labelled: nothing here was measured on images that no choice was made by"
    elif labelled and all("test" not in splits for splits in labelled):
        yield "There is no test split: nothing here was measured on images that no choice was made by"
    warning = width_warning(runs)
    if warning:
        yield f"{warning[0].upper()}{warning[1:]}: not the published models"
    few = [
        row for section in sections if section.arms and section.arms[0].found for row in section.arms[0].found[0].sizes
    ]
    for row in few:
        if row.n_objects and row.is_too_few:
            yield f"{row.size.name[0].upper()}{row.size.name[1:]} objects of val: {row.remark}"


def _without_noise(verdicts: Sequence[SweepVerdicts], sections: Sequence[Section]) -> Iterator[str]:
    """Say so where nothing was claimed and no recipe was trained again with another seed."""
    if not verdicts and any(len(section.arms) > 1 and arm_noise(section) is None for section in sections):
        yield "One run of each recipe: how much equal runs differ is not known (seed=0,1,2 tells)"


def _not_looked_at(runs: Sequence[RunRecord], diagnosed: DiagnosedRuns) -> Iterator[str]:
    n_finished = sum(run.has_result for run in runs)
    for problem, number in Counter(diagnosed.problems.values()).most_common(_N_NAMED):
        yield f"Errors of {number} of {n_finished} finished runs were not looked at: {problem}"
