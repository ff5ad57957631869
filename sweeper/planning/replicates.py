"""Further replicates of jobs that a sweep has: equal in everything but their seed."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from runners.contract.identity import job_identity
from runners.contract.plugin_sources import DIGEST
from sweeper.planning.plan import PlannedJob, code_of

_SEED = "seed"


def replicate(job: PlannedJob, seed: int, entry: str) -> PlannedJob:
    """Return a job with another seed; it has no number yet.

    It is made from the job's own config and not composed anew: files of groups that have changed since, or another
    working directory, cannot make another recipe of it.

    Args:
        job: a job of the sweep.
        seed: of the new one.
        entry: the module that executes the sweep's attempts.
    """
    old = str(job.config[_SEED])
    title = job.title.removesuffix(f"_{_SEED}{old}") + f"_{_SEED}{seed}"
    config = {**job.config, _SEED: seed, "title": title}
    others = [line for line in job.overrides if line.partition("=")[0].lstrip("+") != _SEED]
    identity = job_identity(config, job.dataset.fingerprint, code_of(entry, config.get(DIGEST, "")))
    return replace(
        job,
        job_id="",
        title=title,
        overrides=[*others, f"{_SEED}={seed}"],
        values={**job.values, _SEED: str(seed)},
        config=config,
        identity=identity,
    )


def replicates(
    jobs: Iterable[PlannedJob], wanted: Iterable[Mapping[str, str]], seeds: Iterable[int], entry: str
) -> list[PlannedJob]:
    """Return the jobs that are missing: of each wanted place, in order, a job for each seed that it has not.

    Args:
        jobs: of the sweep.
        wanted: places; what the axes are there, seeds aside.
        seeds: that each is to have.
        entry: the module that executes the sweep's attempts.
    """
    by_place: dict[tuple[tuple[str, str], ...], dict[int, PlannedJob]] = {}
    for job in jobs:
        place = tuple(sorted((key, value) for key, value in job.values.items() if key != _SEED))
        by_place.setdefault(place, {})[int(job.config[_SEED])] = job
    targets = list(seeds)
    found = []
    for values in wanted:
        members = by_place.get(tuple(sorted(values.items())), {})
        if members:
            first = members[min(members)]
            found += [replicate(first, seed, entry) for seed in targets if seed not in members]
    return found
