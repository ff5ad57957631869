"""Disk, locks, shared memory and the cache of weights: where sweeps write, and whether they can."""

import os
import shutil
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock

from runners.contract.errors import UserError
from sweeper.doctor.finding import Finding, ok, problem, warning
from sweeper.planning.weights import cache_folder
from sweeper.stored.ownership import is_owned, prove_lock
from sweeper.view.wording import count, size

SHARED_MEMORY = Path("/dev/shm")
# Below, a sweep of a few jobs fills the disk; `detsweep plan` knows exactly.
LITTLE_DISK_B = 10e9
NO_DISK_B = 1e9
# A batch of 16 images of 1024 x 1024 pixels in three bytes; PyTorch has each worker load two ahead.
BATCH_B, N_AHEAD = 16 * 1024 * 1024 * 3, 2
# What a job on a GPU has by default, at most.
N_WORKERS = 4
# Where most of the weights lie that conf names.
WEIGHTS_SERVER = "https://download.pytorch.org/"
REACH_S = 4.0


def examine_disk(output_dir: Path) -> Finding:
    """Return whether sweeps find room in the output folder, and may write there."""
    folder = _existing(output_dir)
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        what = "is not a folder" if not folder.is_dir() else "may not be written"
        return problem("disk", f"{folder} {what} (output_dir={output_dir})", "name another folder with output_dir=")
    free = shutil.disk_usage(folder).free
    text = f"{size(free)} free at {output_dir}"
    if free < NO_DISK_B:
        return problem("disk", text, "make room (detsweep clean shows what can go), or name another with output_dir=")
    if free < LITTLE_DISK_B:
        return warning("disk", text, "detsweep plan tells what a sweep takes; detsweep clean shows what can go")
    return ok("disk", text)


def examine_locks(output_dir: Path) -> Finding:
    """Return whether the file system of the output folder keeps two controllers off one sweep."""
    folder = _existing(output_dir)
    try:
        with tempfile.TemporaryDirectory(dir=folder, prefix=".detsweep-doctor-") as place:
            journal = Path(place) / "journal.jsonl"
            with FileLock(f"{journal}.lock"):
                prove_lock(journal)
    except UserError as error:
        return problem("locks", "; ".join(error.problems), "name another folder with output_dir=")
    except OSError as error:
        return problem("locks", f"cannot be tried in {folder}: {error.strerror}", "name another with output_dir=")
    held = [path for path in output_dir.glob("*/journal.jsonl") if is_owned(path)]
    running = f"{count(len(held), 'sweep')} running" if held else "no sweep running"
    return ok("locks", f"the file system at {folder} locks; {running} there")


def examine_shared_memory(n_workers: int | None, n_gpus: int) -> Finding:
    """Return whether data loader workers can hand their batches over.

    Args:
        n_workers: of each job; None for as many as a job has by default: four on a GPU, none on the CPU.
        n_gpus: how many jobs have workers side by side; none: one on the CPU.
    """
    if not SHARED_MEMORY.is_dir():
        return warning("shared memory", f"no {SHARED_MEMORY}", "set n_workers=0 if jobs end with a bus error")
    total = shutil.disk_usage(SHARED_MEMORY).total
    workers = (N_WORKERS if n_gpus else 0) if n_workers is None else n_workers
    workers *= max(1, n_gpus)
    loading = f"for {count(workers, 'worker')} that load images" if workers else "jobs load images without workers"
    text = f"{size(total)} in {SHARED_MEMORY}, {loading}"
    needed = workers * N_AHEAD * BATCH_B
    if total >= needed:
        return ok("shared memory", text)
    return warning(
        "shared memory",
        f"{text}; with 16 images of 1024 px they may take {size(needed)}",
        "give a container more (docker run --shm-size=8g), or lower n_workers",
    )


def examine_weights(can_reach: Callable[[str], bool] | None = None) -> Finding:
    """Return whether pretrained weights can be kept, what is there, and whether more can be fetched.

    Args:
        can_reach: whether a server answers; asks it by default.
    """
    folder = cache_folder()
    files = [path for path in folder.glob("*.pth")] if folder.is_dir() else []
    held = f"{count(len(files), 'file')} ({size(sum(path.stat().st_size for path in files))})" if files else "empty"
    text = f"{held} in {folder}"
    place = _existing(folder)
    if not os.access(place, os.W_OK | os.X_OK):
        advice = "have it made writable, or name another with TORCH_HOME"
        return warning("weights cache", f"{text}, which may not be written", advice)
    if (can_reach or _can_reach)(WEIGHTS_SERVER):
        return ok("weights cache", f"{text}; more is fetched when it is wanted")
    advice = "put the files that a message names into that folder by hand, or train with weights=none"
    return warning("weights cache", f"{text}; {WEIGHTS_SERVER} does not answer, so nothing is fetched", advice)


def _can_reach(address: str) -> bool:
    try:
        with urllib.request.urlopen(urllib.request.Request(address, method="HEAD"), timeout=REACH_S):
            return True
    except urllib.error.HTTPError:
        return True  # whoever refuses a page is there
    except OSError:
        return False


def _existing(path: Path) -> Path:
    return next(folder for folder in (path, *path.parents) if folder.exists())
