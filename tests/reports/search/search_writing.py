"""Writes a search as controller and jobs would: a sweep's folder whose jobs are trials, numbers by a formula."""

import math
from pathlib import Path
from typing import Any

import yaml

from runners.contract.folder import SweepFolder
from runners.contract.jsonfile import append_line
from runners.contract.search import Search, read_search
from runners.contract.states import JobState
from runners.contract.trials import Origin, Trial, TrialRecord
from tests.reports.sweep_writing import STARTED_AT, WrittenJob, write_sweep

N_EPOCHS = 12
NODE: dict[str, Any] = {
    "name": "optimizer",
    "space": {
        "optimizer": {"choices": ["sgd", "adamw"]},
        "optimizer.lr": [
            {"when": {"optimizer": "sgd"}, "low": 0.002, "high": 0.2, "log": True},
            {"when": {"optimizer": "adamw"}, "low": 1.0e-5, "high": 1.0e-3, "log": True},
        ],
        "optimizer.momentum": {"when": {"optimizer": "sgd"}, "low": 0.8, "high": 0.99},
        "optimizer.weight_decay": {"low": 1.0e-6, "high": 1.0e-2, "log": True},
    },
    "objectives": {"val/bbox_mAP_50": "maximize"},
    "sampler": {"name": "tpe"},
    "pruner": {"name": "successive_halving", "pauses": True},
    "n_trials": 20,
}


def search_of(**changes: Any) -> Search:
    """Return the search that is written, with other settings."""
    return read_search({**NODE, **changes}, "here")


def point(number: int) -> dict[str, float | str]:
    """Return the parameters of a trial: spread over the space by an irrational step; trial 0 is the default."""
    if number == 0:
        return {
            "optimizer": "sgd",
            "optimizer.lr (sgd)": 0.02,
            "optimizer.momentum": 0.9,
            "optimizer.weight_decay": 1e-4,
        }
    first, second, third = ((number * step) % 1 for step in (0.618034, 0.754878, 0.569840))
    decay = 10 ** (-6 + 4 * third)
    if number % 3:
        return {"optimizer": "adamw", "optimizer.lr (adamw)": 10 ** (-5 + 2 * first), "optimizer.weight_decay": decay}
    return {
        "optimizer": "sgd",
        "optimizer.lr (sgd)": 0.002 * 100**first,
        "optimizer.momentum": 0.8 + 0.19 * second,
        "optimizer.weight_decay": decay,
    }


def strength(params: dict[str, float | str]) -> float:
    """Return the val mAP50 that a point's training nears: one rate is best for each optimizer."""
    rate = params.get("optimizer.lr (sgd)", params.get("optimizer.lr (adamw)"))
    assert isinstance(rate, float)
    best, top = (0.03, 0.55) if params["optimizer"] == "sgd" else (2e-4, 0.6)
    return top - 0.12 * abs(math.log10(rate / best))


def written_trial(number: int, n_epochs: int | None = None, failure: str = "") -> WrittenJob:
    """Return the job of a trial; of a pruned one so many epochs."""
    params = point(number)
    state = JobState.FAILED if failure else JobState.COMPLETED if n_epochs is None else JobState.PRUNED
    rate = params.get("optimizer.lr (sgd)", params.get("optimizer.lr (adamw)"))
    return WrittenJob(
        strength=strength(params),
        choices={"optimizer": str(params["optimizer"])},
        settings={"optimizer": {"name": params["optimizer"], "lr": rate}},
        state=state,
        failure=failure or ("" if n_epochs is None else f"below the best third at epoch {n_epochs}"),
        n_trained=n_epochs,
        title=f"faster-rcnn_resnet50_fpn_{params['optimizer']}_512_trial{number}",
    )


def write_search(
    output_dir: Path,
    jobs: list[WrittenJob],
    *,
    warm: list[TrialRecord] | None = None,
    origins: dict[int, Origin] | None = None,
    sweep_id: str = "20261103-101500-optimizer-7f3a",
    **changes: Any,
) -> SweepFolder:
    """Write a search whose job ``0001`` is trial 0.

    Args:
        output_dir: where sweeps are.
        jobs: of its trials, by number.
        warm: earlier runs that it was told of.
        origins: of trials by number, where another than the default's or the sampler's.
        sweep_id: the name of its folder.
        changes: of the search.
    """
    folder = write_sweep(output_dir, jobs, sweep_id=sweep_id, name="optimizer")
    sweep = yaml.safe_load(folder.sweep.read_text(encoding="utf-8"))
    sweep["settings"]["search"] = {**NODE, **changes}
    sweep["command"] = ["detsweep", "train", "-m", "search=optimizer", "dataset.root=~/data/blood cells"]
    for number, job in enumerate(sweep["jobs"]):
        origin: Origin = (origins or {}).get(number, "sampled" if number else "default")
        job["trial"] = Trial(number, point(number), origin).describe()
    folder.sweep.write_text(yaml.safe_dump(sweep, allow_unicode=True, sort_keys=False), encoding="utf-8")
    if warm:
        told = [record.describe() for record in warm]
        append_line(folder.journal, {"at": STARTED_AT, "event": "warm_started", "trials": told})
    return folder


def usual_jobs(n_trials: int = 20) -> list[WrittenJob]:
    """Return jobs of which a third is pruned early, a few late, and one fails."""
    jobs = []
    for number in range(n_trials):
        if number == 7:
            jobs.append(written_trial(number, n_epochs=2, failure="loss is NaN at iteration 118"))
        elif number and strength(point(number)) < 0.48:
            jobs.append(written_trial(number, n_epochs=1 if number % 2 else 4))
        else:
            jobs.append(written_trial(number))
    return jobs
