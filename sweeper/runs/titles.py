"""The jobs of an output folder by their titles, and what is told to who names one that is not there."""

import difflib
from pathlib import Path

from runners.contract.errors import UserError
from runners.contract.folder import SweepFolder
from sweeper.stored.finding import find_sweep
from sweeper.stored.sweep_file import read_sweep_file

N_NEAREST = 3


def all_sweeps(output_dir: Path) -> list[SweepFolder]:
    """Return the sweeps of an output folder, the newest last."""
    return [SweepFolder(path.parent) for path in sorted(output_dir.glob("*/sweep.yaml"))]


def is_sweep(name: str, output_dir: Path) -> bool:
    """Whether a sweep answers to a name."""
    try:
        find_sweep(name, output_dir)
    except UserError:
        return False
    return True


def titles_of(sweep: SweepFolder) -> dict[str, str]:
    """Return job id to title; nothing of a sweep whose file is damaged."""
    try:
        return {str(job["id"]): str(job["title"]) for job in read_sweep_file(sweep)["jobs"]}
    except UserError:
        return {}


def unknown_run(address: str, output_dir: Path) -> UserError:
    """Return what is told where no run answers to an address: the nearest titles, or the newest."""
    places = {
        title: f"{sweep.sweep_id}/{int(job_id)}"
        for sweep in all_sweeps(output_dir)
        for job_id, title in titles_of(sweep).items()
    }
    near = difflib.get_close_matches(address.rpartition("/")[2], places, n=N_NEAREST, cutoff=0.4)
    known = ", ".join(f"{title} ({places[title]})" for title in near or list(places)[-N_NEAREST:])
    told = f"{'the nearest are' if near else 'there are'} {known}" if known else "no sweep has been run there"
    return UserError(
        f"run '{address}' in {output_dir}: there is none; {told}; a run is a job number (3), SWEEP/3, a title, best, "
        "an MLflow run id, or a job's folder"
    )


def no_run(sweep: SweepFolder, address: str) -> UserError:
    """Return what is told where the folder of a sweep is named instead of a run."""
    first = list(titles_of(sweep).items())[:N_NEAREST]
    listed = ", ".join(f"{address.rstrip('/')}/{int(job_id)} ({title})" for job_id, title in first)
    return UserError(f"run '{address}': that is a sweep; name one of its jobs, as in {listed}")
