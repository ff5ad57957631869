"""A sweep that is killed again and again at random moments, and resumed until it is done; then verified and compared.

``python -m benchmarks.soak`` (or ``make soak``) trains narrow detectors for real; ``--quick`` runs jobs that only look
like training. What is killed, with kill -9, is the controller, a job, the warm server, or all of them at once.
"""

import argparse
import json
import os
import random
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from runners.contract.folder import SweepFolder
from runners.contract.records import AttemptResult
from sweeper.stored.journal import read_journal

SHAPES = (
    *("dataset=shapes", "dataset.shapes.n_train=24", "dataset.shapes.n_val=8", "dataset.shapes.n_test=8"),
    *("dataset.shapes.image_px=96", "image_size=96px", "width=narrow", "weights=none", "batch_size=4", "n_workers=0"),
)
# Every loss counts for a job, and more than three are meant here.
PATIENT = ("gpus=none", "jobs_per_gpu=2", "max_losses=1000", "reuse=false", "check_disk=false")
KINDS = ("controller", "job", "server", "everything")


@dataclass(frozen=True)
class Trial:
    """How hard a soak is.

    Attributes:
        words: of the sweep.
        n_kills: at least so many; when a sweep is done before, another one begins.
        longest_s: from one kill to the next at most.
        environment: of its commands.
    """

    words: Sequence[str]
    n_kills: int
    longest_s: float
    environment: Mapping[str, str] = field(default_factory=dict)


REAL = Trial((*SHAPES, "backbone=resnet18,resnet34", "seed=0,1,2", "n_epochs=3"), 24, 25.0)
QUICK = Trial(
    (*SHAPES, "backbone=resnet18", "seed=0,1,2,3", "n_epochs=4", "entry=tests.quick_job", "tracking=off"),
    8,
    2.0,
    {"DETSWEEP_QUICK_JOB": json.dumps({"iteration_s": 0.1})},
)


@dataclass
class Soak:
    """What happens in one soak.

    Attributes:
        folder: where everything is.
        trial: how hard it is.
        chance: decides when and what.
    """

    folder: Path
    trial: Trial
    chance: random.Random
    kills: Counter[str] = field(default_factory=Counter)
    n_resumes: int = 0
    n_sweeps: int = 0

    def run(self) -> list[SweepFolder]:
        """Kill and resume until enough kills have happened and every sweep is done; return the sweeps.

        Raises:
            RuntimeError: a command refused, or failed for another reason than being killed.
        """
        while self.kills.total() < self.trial.n_kills or not self.n_sweeps:
            self.n_sweeps += 1
            self._finish(self._begin("train", *self.trial.words, *PATIENT))
        return sweeps_in(self.folder)

    def _finish(self, process: "subprocess.Popen[bytes]") -> None:
        while True:
            has_time = self.kills.total() < self.trial.n_kills
            try:
                code = process.wait(self.chance.uniform(0.0, self.trial.longest_s) if has_time else None)
            except subprocess.TimeoutExpired:
                self._kill_something(process)
                if process.poll() is None:
                    continue
                code = process.returncode
            if code == 0:
                return
            # A server that was killed too often stops its controller, which can be resumed as well.
            if code not in (-signal.SIGKILL, 3):
                raise RuntimeError(f"ended with {code}; its words are in {self._log}")
            if not sweeps_in(self.folder)[self.n_sweeps - 1 :]:  # killed before there was anything to resume
                process = self._begin("train", *self.trial.words, *PATIENT)
                continue
            self.n_resumes += 1
            process = self._begin("resume")

    def _kill_something(self, process: "subprocess.Popen[bytes]") -> None:
        kind = self.chance.choice(KINDS)
        try:
            controller = psutil.Process(process.pid)
            servers = controller.children()
            jobs = [child for server in servers for child in server.children()]
        except psutil.NoSuchProcess:
            return
        victims = {
            "controller": [controller],
            "server": servers,
            "job": jobs[:1],
            "everything": [*jobs, *servers, controller],
        }
        killed = False
        for victim in victims[kind]:
            try:
                victim.kill()
                killed = True
            except psutil.NoSuchProcess:
                continue
        if killed:
            self.kills[kind] += 1
            print(f"  {self.kills.total():>3} kill -9 of {kind}", flush=True)
        if controller in victims[kind]:
            process.wait()

    def _begin(self, *words: str) -> "subprocess.Popen[bytes]":
        with self._log.open("ab") as log:
            return start(words, self.folder, self.trial, log.fileno())

    @property
    def _log(self) -> Path:
        return self.folder / "output.txt"


def start(words: Sequence[str], folder: Path, trial: Trial, out: int) -> "subprocess.Popen[bytes]":
    """Start a command line of detsweep."""
    program = [str(Path(sys.executable).with_name("detsweep")), *words]
    environment = {**os.environ, **trial.environment}
    return subprocess.Popen(program, cwd=folder, env=environment, stdout=out, stderr=out, stdin=subprocess.DEVNULL)


def sweeps_in(folder: Path) -> list[SweepFolder]:
    """Return the sweeps of a folder, oldest first."""
    return [SweepFolder(path.parent) for path in sorted(folder.glob("outputs/*/sweep.yaml"))]


def numbers(sweep: SweepFolder) -> dict[str, dict[str, float]]:
    """Return what each job of a sweep has measured; what it cost is no property of what was trained."""
    found = {}
    for job in sweep.all_jobs():
        attempt = job.newest_attempt()
        result = AttemptResult.read(attempt) if attempt else None
        metrics = result.metrics if result else {}
        found[job.job_id] = {name: value for name, value in metrics.items() if not name.startswith("cost/")}
    return found


def differences(undisturbed: SweepFolder, killed: SweepFolder) -> list[str]:
    """Return a line for each number of a killed sweep that is another than without the kills."""
    found = []
    wanted, got = numbers(undisturbed), numbers(killed)
    for job in sorted(wanted.keys() | got.keys()):
        for name in sorted(wanted.get(job, {}).keys() | got.get(job, {}).keys()):
            pair = wanted.get(job, {}).get(name), got.get(job, {}).get(name)
            if pair[0] != pair[1]:
                found.append(f"{killed.sweep_id}/{job} {name}: {pair[1]} where {pair[0]} was measured without a kill")
    return found


def main(words: Sequence[str] | None = None) -> int:
    """Run a soak; return 0 if nothing was lost."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="jobs that only look like training, no tracking")
    parser.add_argument("--kills", type=int, help="at least so many")
    parser.add_argument("--seed", type=int, help="of the random moments; another one each time by default")
    parser.add_argument("--folder", type=Path, help="where to work; a temporary folder by default")
    options = parser.parse_args(words)
    chosen = QUICK if options.quick else REAL
    trial = Trial(chosen.words, options.kills or chosen.n_kills, chosen.longest_s, chosen.environment)
    seed = secrets.randbits(32) if options.seed is None else options.seed
    folder = options.folder or Path(tempfile.mkdtemp(prefix="detsweep-soak-"))
    (folder / "undisturbed").mkdir(parents=True)
    (folder / "killed").mkdir()
    print(f"soak: seed {seed}, at least {trial.n_kills} kills, in {folder}", flush=True)

    began = time.monotonic()
    with (folder / "undisturbed" / "output.txt").open("wb") as out:
        words = ("train", *trial.words, *PATIENT, "tracking=off")
        if start(words, folder / "undisturbed", trial, out.fileno()).wait():
            print(f"the undisturbed sweep failed: {folder / 'undisturbed' / 'output.txt'}")
            return 1
    undisturbed_s = time.monotonic() - began
    print(f"  undisturbed in {undisturbed_s:.0f} s", flush=True)

    began = time.monotonic()
    soak = Soak(folder / "killed", trial, random.Random(seed))
    sweeps = soak.run()
    killed_s = time.monotonic() - began
    return report(soak, sweeps, sweeps_in(folder / "undisturbed")[0], undisturbed_s, killed_s)


def report(
    soak: Soak, sweeps: Sequence[SweepFolder], undisturbed: SweepFolder, undisturbed_s: float, killed_s: float
) -> int:
    """Verify the sweeps, compare them, and print what came of it; return 0 if nothing was lost."""
    kinds = ", ".join(f"{number} x {kind}" for kind, number in sorted(soak.kills.items()))
    print(f"\nkills      {soak.kills.total()} ({kinds})")
    print(f"resumes    {soak.n_resumes}")
    print(f"sweeps     {len(sweeps)} of {len(undisturbed.all_jobs())} jobs")
    attempts = [len(job.all_attempts()) for sweep in sweeps for job in sweep.all_jobs()]
    print(f"attempts   {sum(attempts)} for {len(attempts)} jobs, at most {max(attempts)} for one")
    print(f"wall time  {killed_s:.0f} s; {undisturbed_s:.0f} s for one sweep without a kill\n", flush=True)
    is_good = True
    for sweep in sweeps:
        states = {event["job"]: event["state"] for event in read_journal(sweep.journal) if "state" in event}
        is_good &= set(states.values()) == {"COMPLETED"}
        program = [str(Path(sys.executable).with_name("detsweep")), "verify", str(sweep.path)]
        is_good &= subprocess.run(program, check=False).returncode == 0
        changed = differences(undisturbed, sweep)
        is_good &= not changed
        n_compared = sum(map(len, numbers(sweep).values()))
        print("\n".join(changed) or f"all {n_compared} numbers of its jobs are those of the undisturbed sweep")
    print(f"\nsoak: {'nothing was lost' if is_good else 'FAILED'}")
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
