"""Work dirs of MMDetection become a sweep of jobs that others trained: measured here, and marked as theirs."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import runners
from runners.contract import metrics as names
from runners.contract.digest import sha256_of
from runners.contract.errors import UserError
from runners.contract.evaluations import EvaluationResult
from runners.contract.folder import JobFolder, SweepFolder
from runners.contract.identity import job_identity
from runners.contract.jsonfile import write_json
from runners.contract.records import AttemptResult, AttemptSpec, MetricRecord
from runners.contract.states import AttemptOutcome
from sweeper.planning.plan import Plan, PlannedJob
from sweeper.runs.evaluation import Workplace, evaluate_split
from sweeper.runs.imported_journal import write_journal
from sweeper.runs.subject import Subject
from sweeper.runs.work_dirs import WorkDir, read_log
from sweeper.stored.plugin_copies import write_plugins
from sweeper.stored.sweep_file import read_sweep_file, write_sweep_file
from sweeper.stored.sweep_folder import UMASKS, make_sweep_folder, set_umask, write_job
from sweeper.tracking.run_log import LoggedRun
from sweeper.tracking.tracking_store import tracking_settings

NAME = "imported"


@dataclass(frozen=True)
class TakenIn:
    """What the process that reads checkpoints says of one.

    Attributes:
        epoch: after which it was saved; None where it does not say.
        classes: in the order of its labels.
        sha256: of the weights that were kept.
    """

    epoch: int | None
    classes: Sequence[str]
    sha256: str


def plan_work_dirs(work_dirs: Sequence[WorkDir], overrides: Sequence[str], output_dir: Path) -> Plan:
    """Compose a job for each work dir: its config, with the data set and whatever else is asked for laid over it.

    The configs are executed to be read, so they have to lie in a trusted folder.

    Raises:
        UserError: a config that may not be executed or cannot be trained; all problems of data set and overrides.
    """
    from sweeper.planning.axes import Axes, read_axes
    from sweeper.planning.compose import Composer
    from sweeper.planning.overrides import parse_override
    from sweeper.planning.plan import make_plan
    from sweeper.planning.resolvers import register
    from sweeper.planning.settings import sweep_settings
    from sweeper.project.project import SHIPPED_CONF

    register()
    composer = Composer.of_folder(SHIPPED_CONF)
    told = read_axes([parse_override(line) for line in overrides])
    if told.values:
        raise UserError(f"axis in {', '.join(told.values)}: what is imported is trained already; give one value each")
    # What it started from is of no account, and may be gone. An override wins.
    fixed = ["detector=file", "load_from=null", *told.fixed, f"output_dir={_quoted(output_dir)}"]
    axes = Axes({"detector.config": [_quoted(work_dir.config) for work_dir in work_dirs]}, fixed, [])
    settings = sweep_settings(composer.compose(axes.overrides(axes.points()[0])))
    plan = make_plan(composer, axes, settings, output_dir)
    jobs = [_of(job, work_dir) for job, work_dir in zip(plan.jobs, work_dirs, strict=True)]
    return replace(plan, jobs=jobs, axes=Axes({}, [], []))


def find_imported(plan: Plan, output_dir: Path) -> dict[str, str]:
    """Return where each job stands already, ``<sweep id>/<number>`` by job id: of the same weights on the same data."""
    wanted = {job.identity: job.job_id for job in plan.jobs}
    found = {}
    for path in sorted(output_dir.glob(f"*_{NAME}_*/sweep.yaml")):
        sweep = SweepFolder(path.parent)
        for entry in read_sweep_file(sweep)["jobs"]:
            if entry.get("identity") in wanted:
                found[wanted[entry["identity"]]] = f"{sweep.sweep_id}/{int(entry['id'])}"
    return found


def import_work_dirs(
    work_dirs: Mapping[str, WorkDir], plan: Plan, place: Workplace, opening: Mapping[str, Any]
) -> SweepFolder:
    """Make a sweep of them; nothing of it is left if one cannot be measured.

    Args:
        work_dirs: by job id.
        plan: of these jobs.
        place: where and how they are evaluated.
        opening: what the journal says of this process, its ``command`` included.

    Raises:
        UserError: all problems.
    """
    share = plan.settings["share"]
    set_umask(UMASKS[share])
    sweep = make_sweep_folder(place.output_dir, NAME, datetime.now(timezone.utc), share)
    try:
        for notice in [*plan.notices, *write_plugins(sweep, plan.plugins)]:
            place.say(f"note: {notice}")
        for job in plan.jobs:
            write_job(sweep.job(job.job_id), job)
        taken = _take_in(sweep, plan.jobs, work_dirs)
        measured = _measure(sweep, plan, taken, place)
        results = {}
        for job in plan.jobs:
            told = work_dirs[job.job_id], taken[job.job_id], measured[job.job_id]
            results[job.job_id] = _write_attempt(sweep.job(job.job_id), job, *told)
        write_journal(sweep, plan, results, opening)
        # With this file it is a sweep.
        write_sweep_file(sweep, plan, NAME, opening["command"])
    finally:
        if not sweep.sweep.exists():
            shutil.rmtree(sweep.path)
    return sweep


def _of(job: PlannedJob, work_dir: WorkDir) -> PlannedJob:
    """Return a job under its work dir's name, and of an identity that no training of ours has."""
    digest = sha256_of(work_dir.checkpoint)
    identity = job_identity(job.config, job.dataset.fingerprint, f"imported {digest}")
    return replace(
        job,
        title=work_dir.name,
        values={},
        config={**job.config, "title": work_dir.name},
        identity=identity,
        recipe=identity,
    )


def _quoted(path: Path) -> str:
    """Return a path as a value in Hydra's grammar."""
    text = str(path.absolute())
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _take_in(sweep: SweepFolder, jobs: Sequence[PlannedJob], work_dirs: Mapping[str, WorkDir]) -> dict[str, TakenIn]:
    """Have the weights of all checkpoints written into the jobs' folders, by a process that runs nothing of them."""
    lines = [
        json.dumps(
            {
                "job": str(sweep.job(job.job_id).path),
                "checkpoint": str(work_dirs[job.job_id].checkpoint),
                "n_train_images": job.dataset.n_images["train"],
            }
        )
        for job in jobs
    ]
    log = sweep.path / "import.log"
    with log.open("wb") as file:
        done = subprocess.run(
            [sys.executable, "-m", "runners.import_jobs"],
            input="\n".join(lines),
            stdout=subprocess.PIPE,
            stderr=file,
            text=True,
            cwd=Path(runners.__file__).parents[1],
            env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
            check=False,
        )
    answers: list[dict[str, Any]] = [json.loads(line) for line in done.stdout.splitlines()]
    problems = [answer["problem"] for answer in answers if "problem" in answer]
    if len(answers) < len(jobs) and not problems:
        said = (log.read_text(encoding="utf-8", errors="replace").strip().splitlines() or ["it said nothing"])[-1]
        name = jobs[len(answers)].title
        problems = [f"checkpoint of {name}: the process that reads it ended with {done.returncode}: {said}"]
    if problems:
        raise UserError(*problems)
    return {job.job_id: TakenIn(**answer) for job, answer in zip(jobs, answers, strict=True)}


def _measure(
    sweep: SweepFolder, plan: Plan, taken: Mapping[str, TakenIn], place: Workplace
) -> dict[str, EvaluationResult]:
    """Evaluate all jobs on val, one after the other."""
    tracking = tracking_settings(plan.settings["tracking"], place.output_dir)
    measured, problems = {}, []
    for job in plan.jobs:
        folder = sweep.job(job.job_id)
        logged = LoggedRun(tracking, f"{sweep.sweep_id}/{job.job_id}")
        weights, digest = folder.checkpoints / "a1_best.pth", taken[job.job_id].sha256
        subject = Subject(folder, job.title, job.config, weights, digest, logged, is_foreign=True)
        place.say(f"measuring {job.title} on val")
        try:
            measured[job.job_id] = evaluate_split(subject, "val", None, (), place).result
        except UserError as error:
            problems += [f"{job.title}: {problem}" for problem in error.problems]
    if problems:
        raise UserError(*problems)
    return measured


def _write_attempt(
    folder: JobFolder, job: PlannedJob, work_dir: WorkDir, taken: TakenIn, measured: EvaluationResult
) -> AttemptResult:
    """Write down what a job of ours would have left."""
    attempt = folder.take_attempt()
    AttemptSpec(1, "cpu", 1, 0, job.config["batch_size"], 1, requested_at=time.time()).write(attempt)
    records = read_log(work_dir)
    for record in records:
        record.append(attempt)
    shutil.copyfile(folder.evaluation("val").detections, folder.predictions / "a1_val_best.json")
    epoch = {names.BEST_EPOCH: float(taken.epoch)} if taken.epoch is not None else {}
    result = AttemptResult(
        attempt=1,
        outcome=AttemptOutcome.COMPLETED,
        metrics={**{names.best(name): value for name, value in measured.metrics.items()}, **epoch},
        best_epoch=taken.epoch,
        checkpoint="checkpoints/a1_best.pth",
        checkpoint_sha256=taken.sha256,
        notes=[*_notes(records, taken, measured), *measured.notes],
        finished_at=measured.finished_at,
    )
    result.write(attempt)
    write_json(
        folder.imported,
        {
            "from": f"work dir {work_dir.name}, {work_dir.checkpoint.name}",
            "work_dir": str(work_dir.path),
            "config": work_dir.config.name,
            "checkpoint": work_dir.checkpoint.name,
            "checkpoint_sha256": sha256_of(work_dir.checkpoint),
            "at": time.time(),
        },
    )
    return result


def _notes(records: Sequence[MetricRecord], taken: TakenIn, measured: EvaluationResult) -> list[str]:
    """Return what its own log says of the chosen epoch, beside what was measured here."""
    name = names.metric("val", "bbox_mAP")
    at_epoch = (record.values for record in records if record.step == taken.epoch)
    logged = next((values[name] for values in at_epoch if name in values), None)
    notes = []
    if not records:
        notes.append("its log is gone, or counts no epochs: it has no curves")
    if logged is not None and name in measured.metrics:
        here = 100 * measured.metrics[name]
        notes.append(f"val mAP of epoch {taken.epoch}: {100 * logged:.1f} by its own log, {here:.1f} measured here")
    return notes
