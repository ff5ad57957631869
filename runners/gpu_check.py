"""``python -m runners.gpu_check``: what only a machine with a GPU can show; elsewhere one line and exit 0.

The served operators equal themselves on the CPU; a real sweep of three jobs, forked warm, is probed, packed by memory
onto one device, and trains on CUDA in float32, bfloat16 and float16; it holds its device while it runs and not longer.
"""

import fcntl
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import yaml

from runners.contract import metrics as names
from runners.contract.folder import SweepFolder
from runners.contract.jsonfile import read_lines
from runners.contract.records import AttemptResult, AttemptSpec

_ROOT = Path(__file__).parents[1]
_POLL_S = 0.2
_ASK = "import torch; print(torch.cuda.get_device_name() if torch.cuda.is_available() else '')"
_COMPARE = "from runners.gpu_operators import compare_operators; compare_operators()"
# The whole command line as a process, so that this room needs nothing of the sweeper's.
_DETSWEEP = "import sys; from sweeper.cli import main; sys.exit(main())"
_JOBS = (
    "dataset=shapes",
    "dataset.shapes.n_train=64",
    "dataset.shapes.n_val=16",
    "dataset.shapes.n_test=16",
    "backbone=resnet18",
    "width=narrow",
    "weights=none",
    "image_size=160px",
    "batch_size=8",
    "n_epochs=2",
    "gpus=0",
    "jobs_per_gpu=auto",
    "tracking=off",
    "precision=fp32,bf16,fp16",
)


def main() -> int:
    """Run all checks and return the exit code: 0 if all passed or there is no GPU."""
    name = _output_of(_ASK)
    if not name:
        print("gpu-check: skipped, PyTorch finds no GPU on this machine")
        return 0
    print(f"gpu-check: {name}", flush=True)
    return max(_report(check) for check in (_check_operators, _check_sweep))


def _report(check: Callable[[], list[str]]) -> int:
    try:
        for line in check():
            print(f"gpu-check: passed: {line}", flush=True)
    except (AssertionError, subprocess.CalledProcessError) as error:
        print(f"gpu-check: FAILED: {error}", flush=True)
        return 1
    return 0


def _check_operators() -> list[str]:
    _output_of(_COMPARE)
    return ["served operators equal the CPU's in value and gradient"]


def _check_sweep() -> list[str]:
    held_before = _held_devices()
    with tempfile.TemporaryDirectory(prefix="detsweep-gpu-check-") as folder:
        command = [sys.executable, "-c", _DETSWEEP, "train", *_JOBS, f"output_dir={folder}"]
        held_meanwhile: set[str] = set()
        with (Path(folder) / "sweep.log").open("w+") as log:
            sweep = subprocess.Popen(command, cwd=_ROOT, stdout=log, stderr=subprocess.STDOUT)
            while sweep.poll() is None:
                # Asking takes the lock for an instant: not before the sweep has taken it itself.
                if any(Path(folder).glob("*/sweep.yaml")):
                    held_meanwhile |= _held_devices()
                time.sleep(_POLL_S)
            log.seek(0)
            assert sweep.returncode == 0, f"sweep ended with {sweep.returncode}: {log.read()[-2000:]}"
        (sweep_file,) = Path(folder).glob("*/sweep.yaml")
        lines = _seen_in(SweepFolder(sweep_file.parent))
        packed = _packed_in(SweepFolder(sweep_file.parent))
    assert held_meanwhile > held_before, "no device was held while the sweep ran"
    assert _held_devices() <= held_before, "a device is held although the sweep is gone"
    return [*lines, *packed, "the device was held while the sweep ran, and is free again"]


def _seen_in(sweep: SweepFolder) -> list[str]:
    """Return a line per job of a finished sweep."""
    lines = []
    for job in sweep.all_jobs():
        attempt = job.newest_attempt()
        result = AttemptResult.read(attempt) if attempt else None
        assert attempt is not None, f"job {job.job_id} never started"
        assert result is not None, f"job {job.job_id} left no result"
        assert result.failure is None, f"job {job.job_id}: {result.failure.message}"
        assert AttemptSpec.read(attempt).device == "cuda", f"job {job.job_id} was planned for the CPU"
        precision = yaml.safe_load(job.config.read_text(encoding="utf-8"))["precision"]
        peak = result.metrics[names.PEAK_MEMORY_GB]
        first = result.metrics[names.FIRST_ITERATION_S]
        loss = result.metrics[names.best(names.TRAIN_LOSS)]
        lines.append(f"{precision} trains: loss {loss:.3f}, first iteration after {first:.1f} s, peak {peak:.2f} GB")
    return lines


def _packed_in(sweep: SweepFolder) -> list[str]:
    """Return how many jobs shared the device."""
    slots = {event["slot"] for event, _ in read_lines(sweep.journal) if event["event"] == "started"}
    assert len(slots) > 1, f"jobs of a gigabyte did not share the device: {', '.join(slots)}"
    memory_gb = [event["memory_gb"] for event, _ in read_lines(sweep.journal) if event["event"] == "planned"]
    expected = ", ".join(f"{value:.1f}" for value in memory_gb)
    return [f"{len(slots)} jobs shared the device, packed by their probes' memory ({expected} GB)"]


def _held_devices() -> set[str]:
    """Return the device nodes that somebody holds a lease on."""
    held = set()
    for node in Path("/dev").glob("nvidia[0-9]*"):
        descriptor = os.open(node, os.O_RDONLY | os.O_NOFOLLOW)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            held.add(str(node))
        finally:
            os.close(descriptor)
    return held


def _output_of(code: str) -> str:
    """Run Python in a process of its own, which may use CUDA, and return what it printed.

    Raises:
        AssertionError: it failed; the message is its last line.
    """
    command = [sys.executable, "-c", code]
    finished = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr.strip().splitlines()[-1]
    return finished.stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
