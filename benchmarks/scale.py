"""What 10 to 10,000 jobs that are done at once take of the controller: time, memory, and the replay of their journal.

``python -m benchmarks.scale [--sizes 10 100 1000 10000]``; the largest takes some minutes. Each sweep is a command line
of a user, ``detsweep train ... seed=range(0,N)``, run with clocks round its parts (`benchmarks.measured_sweep`); then
one of its jobs is put back, and ``detsweep resume`` has to read all that was left before it can start it.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.results import RESULTS, Result, fsync_s

ROOT = Path(__file__).parents[1]
SIZES = (10, 100, 1000, 10_000)
N_SLOTS = 4
N_HYDRA = 10
JOB = [
    *("dataset=shapes", "dataset.shapes.n_train=8", "dataset.shapes.n_val=2", "dataset.shapes.n_test=2"),
    *("dataset.shapes.image_px=96", "image_size=96px", "backbone=resnet18", "width=narrow", "weights=none"),
    "batch_size=4",
]
SWEEP = [
    *("gpus=none", f"jobs_per_gpu={N_SLOTS}", "tracking=off", "job_limit=20000", "check_disk=false", "name=scale"),
    "entry=benchmarks.instant_job",
]
# In milliseconds a job, times what a smaller sweep takes a job, megabytes, and seconds.
AIM_MS, AIM_FLAT, AIM_MB, AIM_REPLAY_S = 20.0, 1.5, 400.0, 5.0


def main() -> None:
    """Run every size, and tell what a job takes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="jobs of each sweep")
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    measure(arguments.sizes).tell(arguments.out)


def measure(sizes: Sequence[int]) -> Result:
    """Return what each size takes."""
    hydra_ms = 1000 * hydra_s()
    rows, details = [], {}
    for size in sizes:
        with tempfile.TemporaryDirectory() as name:
            disk_ms = 1000 * fsync_s(Path(name))
            trained = run_sweep(Path(name), size)
            resumed = resume_sweep(Path(name))
        details[str(size)] = {"train": trained, "resume": resumed, "fsync_ms": disk_ms}
        rows.append({**_row(size, trained, resumed, hydra_ms), "fsync ms": disk_ms})
    return Result(
        "scale",
        f"Scale (milliseconds of the controller for each job; {N_SLOTS} slots)",
        rows,
        [
            f"plan: compose, resolve, check and name; Hydra's own: its composition alone, of the first {N_HYDRA} jobs.",
            "start to end: all of the controller's loop but its waiting; three times a job it waits until the disk has "
            "what it wrote (fsync ms: what that takes here).",
            "all: the whole command, its imports left out and its report included.",
            "replay: from the command to the first start of detsweep resume, where all jobs but one are done.",
        ],
        _aims(rows),
        details,
    )


def run_sweep(folder: Path, size: int) -> dict[str, Any]:
    """Train a sweep of `size` jobs; return what was measured."""
    told = _run(folder, "train", *JOB, *SWEEP, f"output_dir={folder}", f"seed=range(0,{size})")
    if told["exit_code"]:
        raise RuntimeError(f"the sweep ended with {told['exit_code']}")
    return told


def resume_sweep(folder: Path) -> dict[str, Any]:
    """Put the last job of the only sweep of a folder back, and resume; return what was measured."""
    (sweep,) = (path.parent for path in folder.glob("*/sweep.yaml"))
    job_id = max(path.name for path in (sweep / "jobs").iterdir())
    event = {"at": time.time(), "event": "retried", "job": job_id, "state": "PLANNED", "reason": None}
    with (sweep / "journal.jsonl").open("a", encoding="utf-8") as journal:
        journal.write(json.dumps(event) + "\n")
    return _run(folder, "resume", str(sweep))


def hydra_s() -> float:
    """Return what Hydra takes to compose one of the jobs, in seconds of CPU time, the median of the first few."""
    from hydra import compose, initialize_config_dir

    from sweeper.planning.resolvers import register

    register()
    times = []
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        for seed in range(N_HYDRA):
            began_s = time.process_time()
            compose("config", [*JOB, *SWEEP, f"seed={seed}"], return_hydra_config=True)
            times.append(time.process_time() - began_s)
    return statistics.median(times)


def _row(size: int, trained: dict[str, Any], resumed: dict[str, Any], hydra_ms: float) -> dict[str, Any]:
    wall_s, cpu_s = trained["wall_s"], trained["cpu_s"]
    # What the wait took beside waiting is work: reading what the executor tells.
    waited_s = wall_s["wait"] - cpu_s["wait"]
    return {
        "jobs": size,
        "plan (CPU)": 1000 * cpu_s["plan"] / size,
        "Hydra's own (CPU)": hydra_ms,
        "write": 1000 * wall_s["write"] / size,
        "start to end": 1000 * (wall_s["run"] - waited_s) / size,
        "report": 1000 * wall_s["report"] / size,
        "all (CPU)": 1000 * cpu_s["all"] / size,
        "peak MB": trained["peak_rss_mb"],
        "replay s": resumed["reached_s"]["wait"],
    }


def _aims(rows: Sequence[dict[str, Any]]) -> dict[str, bool]:
    largest = rows[-1]
    aims = {
        f"under {AIM_MS:.0f} ms from start to end for each of {largest['jobs']} jobs ({largest['start to end']:.1f})": (
            largest["start to end"] < AIM_MS
        ),
        f"under {AIM_MS:.0f} ms of CPU for each of them, from the command to its report ({largest['all (CPU)']:.1f})": (
            largest["all (CPU)"] < AIM_MS
        ),
        f"under {AIM_MB:.0f} MB ({largest['peak MB']:.0f})": largest["peak MB"] < AIM_MB,
        f"replay under {AIM_REPLAY_S:.0f} s ({largest['replay s']:.1f})": largest["replay s"] < AIM_REPLAY_S,
    }
    if len(rows) > 1:
        growth = largest["all (CPU)"] / rows[-2]["all (CPU)"]
        aims[f"flat: a job takes at most {AIM_FLAT} times what it takes in the next smaller sweep ({growth:.2f})"] = (
            growth <= AIM_FLAT
        )
    return aims


def _run(folder: Path, *words: str) -> dict[str, Any]:
    out = folder / "measured.json"
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.measured_sweep", str(out), *words], cwd=ROOT, capture_output=True, text=True
    )
    if not out.exists():
        raise RuntimeError(f"detsweep {' '.join(words)} ended with {done.returncode}: {done.stderr[-2000:]}")
    told: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
    out.unlink()
    return told


if __name__ == "__main__":
    main()
