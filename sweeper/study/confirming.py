"""The confirmation of a search: its best trials and the default, trained again with seeds that chose nothing.

A search's best was chosen by the luck of its seed and of val's images. Fresh seeds take the one away; the other stays
in every number on val, so that candidates are judged on images that the search never saw: the labelled test split, or
the part of val that was held back (`dataset.hold_back`). Which they are is decided here; `reports.search.confirmation`
judges them.
"""

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from runners.contract.coco import read_coco, split_files
from runners.contract.findings import count
from runners.contract.held_back import shortage
from runners.contract.hypothesis import MIN_IMAGES, MIN_OBJECTS
from runners.contract.search import Search
from runners.contract.trial_ranking import front, loss, ranked
from runners.contract.trials import Trial, TrialRecord
from sweeper.planning.dataset import PreparedDataset
from sweeper.planning.plan import PlannedJob
from sweeper.planning.replicates import replicate

_MOST_SEED = 2**32


@dataclass(frozen=True)
class Confirming:
    """What is to be trained for a confirmation.

    Attributes:
        jobs: seed by seed, the default's first; they have no number yet.
        notices: lines worth telling: which trials are confirmed, or why none is.
    """

    jobs: tuple[PlannedJob, ...]
    notices: tuple[str, ...]


def confirm_problems(search: Search, dataset: PreparedDataset, where: str = "search.confirm") -> list[str]:
    """Return why a search's candidates could not be judged on unseen images; nothing where it confirms none.

    Args:
        search: the search.
        dataset: of its jobs, prepared.
        where: the setting that asks for a confirmation, for messages.
    """
    if not search.confirm:
        return []
    first = search.objectives[0].metric
    if search.confirmed_by is None:
        return [
            f"nothing to judge on unseen images in {where}: {search.confirm}, but the first objective is {first}; name "
            "an average precision of val first, or set search.confirm=0"
        ]
    if not dataset.labelled.get("test"):
        held = "hold a part of val back with dataset.hold_back=0.4"
        if dataset.node.get("n_folds") is not None:
            held = "name a labelled one in dataset.test (of folds nothing is held back)"
        return [f"no labelled test split in {where}: {search.confirm} needs images that the search never sees; {held}"]
    files = split_files(dataset.node, "test")
    assert files is not None  # it is labelled
    truth = read_coco(files.ann_file)
    few = shortage(truth, {image["id"] for image in truth.images}, dataset.node.get("group_by"))
    if few:
        return [
            f"too few images to judge on in {where}: {search.confirm}, but test holds {few}, and {MIN_OBJECTS} in "
            f"{MIN_IMAGES} are needed; label more of them, or set search.confirm=0"
        ]
    return []


def confirming_jobs(
    search: Search, planned: Mapping[str, PlannedJob], records: Mapping[str, TrialRecord], entry: str
) -> Confirming:
    """Return the jobs that confirm a search which has come to its end; those that are planned already are left out.

    Confirmed are the best `n_candidates` by the first objective: completed, within all limits, of several objectives on
    the Pareto front, and ahead of the default, where that has a value and keeps the limits itself. Trials of one recipe
    count once, and one of the default's recipe is none. The runs that the search itself made are no part of it.

    Args:
        search: the search.
        planned: its jobs by their id, confirming ones that an earlier controller has planned among them.
        records: what became of its trials, by job id.
        entry: the module that executes the sweep's attempts.
    """
    jobs = {job_id: job for job_id, job in planned.items() if job.trial is not None and job.trial.origin != "confirm"}
    default = next((job_id for job_id, job in jobs.items() if job.trial and job.trial.origin == "default"), None)
    if not search.confirm or default is None:
        return Confirming((), ())
    chosen, notices = _choose(search, jobs, records, default)
    if not chosen:
        return Confirming((), tuple(notices))
    seeds = fresh_seeds((int(job.config["seed"]) for job in jobs.values()), search.confirm)
    known = {
        (job.trial.of, int(job.config["seed"]))
        for job in planned.values()
        if job.trial is not None and job.trial.origin == "confirm"
    }
    wanted = [(job_id, seed) for seed in seeds for job_id in (default, *chosen) if (job_id, seed) not in known]
    return Confirming(tuple(_confirming(jobs[job_id], seed, entry) for job_id, seed in wanted), tuple(notices))


def fresh_seeds(used: Iterable[int], n_seeds: int) -> list[int]:
    """Return the lowest seeds behind all that a search has used; behind the highest that there is, they begin at 0."""
    taken = set(used)
    behind = (number % _MOST_SEED for number in itertools.count(max(taken) + 1))
    return list(itertools.islice((seed for seed in behind if seed not in taken), n_seeds))


def _confirming(job: PlannedJob, seed: int, entry: str) -> PlannedJob:
    assert job.trial is not None
    trial = Trial(job.trial.number, job.trial.params, "confirm", of=job.job_id)
    return replace(replicate(job, seed, entry), trial=trial)


def _choose(
    search: Search, jobs: Mapping[str, PlannedJob], records: Mapping[str, TrialRecord], default: str
) -> tuple[list[str], list[str]]:
    """Return the job ids of the candidates, the best first, and what there is to say of the choice."""
    first = search.objectives[0]
    # By their numbers: of equals the earlier trial is the better one.
    own = sorted((records[job_id] for job_id in jobs if job_id in records), key=lambda record: record.trial.number)
    usable = ranked(search, own)
    known = next((record for record in usable if record.job_id == default), None)
    distinct: dict[str, TrialRecord] = {}  # each recipe once
    for record in front(search, own) if len(search.objectives) > 1 else usable:
        if jobs[record.job_id].recipe != jobs[default].recipe:
            distinct.setdefault(jobs[record.job_id].recipe, record)
    ahead = [record for record in distinct.values() if known is None or loss(record, first) < loss(known, first)]
    chosen = ahead[: search.n_candidates]
    told = f"confirmation of {search.name}: "
    if not chosen:
        why = "no trial is ahead of the default" if known is not None else "no trial has a result within the limits"
        return [], [f"{told}{why}: nothing is trained again"]
    names = ", ".join(str(record.trial.number) for record in chosen)
    seeds = count(search.confirm, "fresh seed")
    notices = [f"{told}trial{'s' if len(chosen) > 1 else ''} {names} and the default are trained with {seeds} each"]
    if len(chosen) < search.n_candidates:
        which = "ahead of the default" if known is not None else "within the limits"
        notices.append(f"{told}{search.n_candidates} candidates are wanted, and no more trials are {which}")
    if known is None:
        notices.append(f"{told}the default has no result within the limits, so candidates need not be ahead of it")
    return [record.job_id for record in chosen], notices
