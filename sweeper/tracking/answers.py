"""What the tracking store is told of a job that an earlier run answers, in a store that may not know that run."""

import json
from collections.abc import Mapping

from runners.contract.states import JobState
from sweeper.tracking.mlflow_store import JOB, KIND, STATE, SWEEP, MlflowStore, Point
from sweeper.tracking.outbox import Pointer, TrackedJob

ANSWER = "answer"
REUSED_TAG = "detsweep.reused"
# A tag holds 8,000 characters.
N_REUSED_PER_TAG = 150


def reused_tags(run_ids: Mapping[str, str]) -> dict[str, str]:
    """Return the tags of a sweep's own run that name the runs it reuses: job id to run id, in JSON."""
    runs = [(job_id, run_id) for job_id, run_id in sorted(run_ids.items()) if run_id]
    tags = {}
    for number, start in enumerate(range(0, len(runs), N_REUSED_PER_TAG), start=1):
        tag = REUSED_TAG if number == 1 else f"{REUSED_TAG}.{number}"
        tags[tag] = json.dumps(dict(runs[start : start + N_REUSED_PER_TAG]))
    return tags


def tell_answer(store: MlflowStore, parent: str, sweep_id: str, job: TrackedJob, pointer: Pointer) -> str | None:
    """Return the id of the run that answers a job; None if this store has none, and is told its numbers instead.

    Those stand in a run of their own kind, which is no job's: nothing here trained it.
    """
    if pointer.run_id and store.has_run(pointer.run_id):
        return pointer.run_id
    found = store.find_run(pointer.where) if pointer.where else None
    if found is not None or pointer.answer is None:
        return found
    answer, key = pointer.answer, f"{sweep_id}/{job.folder.job_id}"
    own = {"mlflow.parentRunId": parent, KIND: ANSWER, SWEEP: sweep_id, JOB: pointer.where}
    remarks = "\n".join(filter(None, (answer.remarks, f"reused: {pointer.where}")))
    told = {"detsweep.remarks": remarks, "detsweep.notes": "\n".join(answer.notes), STATE: JobState.REUSED.value}
    run = store.open_run(key, job.title, {**own, **job.tags, **told}, answer.at)
    store.log_params(run.run_id, job.params)
    store.log_dataset(run.run_id, *job.dataset)
    step = answer.best_epoch or 0
    points = [Point(name, y, epoch, answer.at) for name, curve in answer.curves.items() for epoch, y in curve]
    points += [Point(k, v, step, answer.at) for k, v in answer.metrics.items() if k not in answer.curves]
    store.log_points(run.run_id, points)
    store.end_run(run.run_id, "FINISHED", answer.at)
    return None
