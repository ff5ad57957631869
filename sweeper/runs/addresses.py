"""Finding a run by what people call it: its number, title, path, the store's id, or that it is the best."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from runners.contract.errors import UserError
from runners.contract.folder import JobFolder, SweepFolder
from runners.contract.metrics import best, metric
from runners.contract.states import JobState
from runners.contract.yamlfile import load_yaml
from sweeper.project.places import find_places
from sweeper.runs.titles import all_sweeps, is_sweep, no_run, titles_of, unknown_run
from sweeper.stored.finding import find_sweep
from sweeper.stored.journal import read_journal
from sweeper.stored.sweep_file import read_sweep_file
from sweeper.tracking.run_log import LoggedRun
from sweeper.tracking.shipper import TrackingSettings
from sweeper.tracking.store_probe import database_file
from sweeper.tracking.tracking_store import tracking_settings

BEST = "best"
# What the store keeps of runs whose folders are not here; beside the sweeps and not among them.
FETCHED = "fetched"
N_CANDIDATES = 10


@dataclass(frozen=True)
class RunPlace:
    """Where runs are looked for.

    Attributes:
        output_dir: the folder of the sweeps.
        uri: the tracking store, where it is not the one that a sweep names itself.
        experiment: likewise; empty for the sweep's own.
    """

    output_dir: Path
    uri: str | None = None
    experiment: str = ""

    @property
    def tracking(self) -> TrackingSettings:
        """The store of what belongs to no sweep."""
        usual = find_places()
        named = {"uri": self.uri or usual.uri, "name": "sqlite", "experiment": self.experiment or usual.experiment}
        return tracking_settings({**named, "log_checkpoints": False}, self.output_dir)

    def tracking_of(self, settings: Mapping[str, Any], output_dir: Path) -> TrackingSettings:
        """Return the store of a sweep, from the settings in its ``sweep.yaml`` and its own output folder."""
        if "tracking" not in settings:
            return self.tracking
        found = tracking_settings(settings["tracking"], output_dir)
        return replace(found, uri=self.uri or found.uri, experiment=self.experiment or found.experiment)


@dataclass(frozen=True)
class FoundRun:
    """A run that was asked for.

    Attributes:
        job: its folder; fetched from the store where the one it was trained in is not here.
        title: its name.
        run_id: the store's id of it; None where it is not tracked, or the store has not been asked.
        tracking: its store.
        key: ``<sweep id>/<job id>``, by which the store knows it too.
    """

    job: JobFolder
    title: str
    run_id: str | None
    tracking: TrackingSettings
    key: str

    @property
    def logged(self) -> LoggedRun:
        """Itself, as what is added to."""
        return LoggedRun(self.tracking, self.key, self.run_id)


def find_run(address: str, place: RunPlace) -> FoundRun:
    """Return the run that an address means; a reused job's is the one that answers it.

    Args:
        address: ``3`` (a job of the newest sweep), ``sweep/3`` (the sweep by id, name or folder), a title,
            ``sweep/title``, ``best`` or ``sweep/best`` (by its `best_by`, on val), the store's run id, or the path of
            a job's folder.
        place: where to look.

    Raises:
        UserError: nothing answers to it, or more than one run does.
    """
    if Path(address, "config.yaml").is_file():
        return _of_folder(JobFolder(Path(address).absolute()), place)
    head, _, tail = address.rpartition("/")
    if tail == BEST:
        return _best_of(find_sweep(head or None, place.output_dir), place)
    if tail.isdigit() and head and not is_sweep(head, place.output_dir):
        return _stored(f"{head}/{int(tail):04d}", place)
    if tail.isdigit():
        return _numbered(find_sweep(head or None, place.output_dir), tail, place)
    if Path(address, "sweep.yaml").is_file():
        raise no_run(SweepFolder(Path(address)), address)
    found = _titled(head, tail, address, place)
    if not found:
        return _stored(address, place)
    runs = {str(run.job.path): run for run in (_of_job(sweep, job_id, place) for sweep, job_id in found)}
    if len(runs) > 1:
        listed = ", ".join(f"{sweep.sweep_id}/{int(job_id)}" for sweep, job_id in found[:N_CANDIDATES])
        raise UserError(
            f"run '{address}' in {place.output_dir}: {len(runs)} runs have this title; choose one of {listed}"
        )
    return next(iter(runs.values()))


def _of_folder(job: JobFolder, place: RunPlace) -> FoundRun:
    """Return a job by its folder; it need not be part of a sweep."""
    sweep = SweepFolder(job.path.parent.parent)
    if sweep.sweep.is_file() and job.path.parent == sweep.jobs:
        return _of_job(sweep, job.job_id, place)
    return FoundRun(job, _title(job), None, place.tracking, f"{job.path.parent.name}/{job.path.name}")


def _of_job(sweep: SweepFolder, job_id: str, place: RunPlace) -> FoundRun:
    """Return a job of a sweep, or the run that answers it."""
    tracking = place.tracking_of(read_sweep_file(sweep)["settings"], sweep.path.parent)
    job = sweep.job(job_id)
    event = _last_event(sweep, job_id)
    if event.get("state") != JobState.REUSED.value:
        return FoundRun(job, _title(job), None, tracking, f"{sweep.sweep_id}/{job_id}")
    folder, run_id = JobFolder(Path(str(event.get("folder") or ""))), str(event.get("run_id") or "") or None
    # Where sweeps were handed over together, the one that answers lies beside this one.
    beside = SweepFolder(sweep.path.parent / folder.path.parent.parent.name).job(folder.job_id)
    for each in (folder, beside):
        if each.path.is_absolute() and each.path != job.path and each.config.is_file():
            found = _of_folder(each, place)
            return replace(found, run_id=run_id, tracking=tracking) if run_id else found
    if run_id is None or tracking.uri is None:
        raise UserError(
            f"run {int(job_id)} in {sweep.path}: {folder.path} answers it, and is gone; train it with reuse=false"
        )
    return _fetched(tracking, run_id, _title(job), f"{sweep.sweep_id}/{job_id}", place)


def _numbered(sweep: SweepFolder, number: str, place: RunPlace) -> FoundRun:
    job_id = f"{int(number):04d}"
    if not sweep.job(job_id).path.is_dir():
        numbers = ", ".join(str(int(job.job_id)) for job in sweep.all_jobs()[:20])
        raise UserError(f"run in {sweep.path}: no job {int(number)}; it holds {numbers}")
    return _of_job(sweep, job_id, place)


def _best_of(sweep: SweepFolder, place: RunPlace) -> FoundRun:
    from reports.folders import read_sweep

    runs = [run for run in read_sweep(sweep).runs if run.has_result]
    names = sorted({run.params["best_by"] for run in runs})
    if len(names) > 1:
        raise UserError(f"best run in {sweep.path}: its jobs choose by different values ({', '.join(names)}); name one")
    fingerprints = {run.fingerprint for run in runs}
    if len(fingerprints) > 1:
        raise UserError(f"best run in {sweep.path}: its jobs are of {len(fingerprints)} data sets; name one")
    values = {
        run.job_id: run.metrics[key] for run in runs for key in [best(metric("val", names[0]))] if key in run.metrics
    }
    if not values:
        raise UserError(f"best run in {sweep.path}: no job has finished with a value on val; name one")
    # Of equal ones the first: the same at every call.
    return _of_job(sweep, max(sorted(values), key=values.__getitem__), place)


def _titled(head: str, tail: str, address: str, place: RunPlace) -> Sequence[tuple[SweepFolder, str]]:
    """Return sweep and number of each job of a title, the newest sweep last; within one sweep as ``sweep/title``."""
    if head and is_sweep(head, place.output_dir):
        sweeps, title = [find_sweep(head, place.output_dir)], tail
    else:
        sweeps, title = all_sweeps(place.output_dir), address
    return [(sweep, job_id) for sweep in sweeps for job_id, name in titles_of(sweep).items() if name == title]


def _stored(address: str, place: RunPlace) -> FoundRun:
    """Return a run that only the store knows, or knows by this name."""
    tracking = place.tracking
    database = database_file(tracking.uri or "")
    if tracking.uri is None or (database is not None and not database.is_file()):
        raise unknown_run(address, place.output_dir)
    from reports.stored_jobs import find_stored_jobs

    found = find_stored_jobs(tracking.uri, address)
    if not found:
        raise unknown_run(address, place.output_dir)
    if len(found) > 1:
        listed = ", ".join(f"{job.key} ({job.title}, run {job.run_id})" for job in found[:N_CANDIDATES])
        raise UserError(
            f"run '{address}' in the tracking store: {len(found)} runs have this name; choose one of {listed}"
        )
    (job,) = found
    tracking = replace(tracking, experiment=job.experiment or tracking.experiment)
    folder = JobFolder(Path(job.folder))
    if folder.path.is_absolute() and folder.config.is_file():
        return FoundRun(folder, job.title, job.run_id, tracking, job.key)
    return _fetched(tracking, job.run_id, job.title, job.key, place)


def _fetched(tracking: TrackingSettings, run_id: str, title: str, key: str, place: RunPlace) -> FoundRun:
    from reports.stored_jobs import fetch_job

    assert tracking.uri is not None
    folder = fetch_job(tracking.uri, run_id, place.output_dir / FETCHED)
    return FoundRun(folder, title, run_id, tracking, key)


def _last_event(sweep: SweepFolder, job_id: str) -> Mapping[str, Any]:
    if not sweep.journal.is_file():
        return {}
    events = [event for event in read_journal(sweep.journal) if event.get("job") == job_id and "state" in event]
    return events[-1] if events else {}


def _title(job: JobFolder) -> str:
    if not job.config.is_file():
        raise UserError(f"run in {job.path}: no file {job.config.name}; give a job that has been planned")
    return str(load_yaml(job.config.read_text(encoding="utf-8")).get("title", job.job_id))
