"""Runs one ``detsweep`` command line in this process, and says how long each of its phases took.

``python -m benchmarks.measured_sweep OUT.json train ...``; the command line is a user's, with clocks round its parts.
"""

import functools
import json
import resource
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import sweeper.verbs.new_sweep
import sweeper.verbs.resume
import sweeper.verbs.run
import sweeper.verbs.train
from sweeper.cli import main as run_detsweep
from sweeper.control.controller import Controller
from sweeper.executors.local import LocalExecutor


class Phases:
    """Sums up, by name, how long functions take; a phase inside another is counted in both.

    Attributes:
        wall_s: phase to seconds.
        cpu_s: phase to seconds of this process' CPU time.
        reached_s: phase to seconds from the beginning to its first call.
        reached_mb: phase to the most resident memory up to then, in megabytes.
    """

    def __init__(self) -> None:
        self._began_s = time.perf_counter()
        self.reached_s: dict[str, float] = {}
        self.reached_mb: dict[str, float] = {}
        self.wall_s: dict[str, float] = defaultdict(float)
        self.cpu_s: dict[str, float] = defaultdict(float)

    def measure(self, owner: Any, function: str, phase: str) -> None:
        """Replace ``owner.function`` by the same with a clock round it."""
        original: Callable[..., Any] = getattr(owner, function)

        @functools.wraps(original)
        def timed(*args: Any, **kwargs: Any) -> Any:
            wall_s, cpu_s = time.perf_counter(), time.process_time()
            self.reached_s.setdefault(phase, wall_s - self._began_s)
            self.reached_mb.setdefault(phase, peak_rss_mb())
            try:
                return original(*args, **kwargs)
            finally:
                self.wall_s[phase] += time.perf_counter() - wall_s
                self.cpu_s[phase] += time.process_time() - cpu_s

        setattr(owner, function, timed)


def peak_rss_mb() -> float:
    """Return the most resident memory of this process, that of its jobs left out, in megabytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # kilobytes on Linux


def main() -> int:
    """Run the command line and write what it took; returns its exit code."""
    out, *words = sys.argv[1:]
    phases = Phases()
    phases.measure(sweeper.verbs.run, "make_plan", "plan")
    phases.measure(sweeper.verbs.new_sweep, "write_sweep", "write")
    phases.measure(sweeper.verbs.resume, "read_stored", "read_stored")
    phases.measure(sweeper.verbs.resume, "read_left", "read_left")
    phases.measure(sweeper.verbs.resume, "refuse_changes", "compare")
    phases.measure(Controller, "_take_in", "take_in")
    phases.measure(Controller, "run", "run")
    phases.measure(LocalExecutor, "wait", "wait")
    phases.measure(sweeper.verbs.train, "try_report", "report")
    began_s, began_cpu_s = time.perf_counter(), time.process_time()
    exit_code = run_detsweep(words)
    told = {
        "exit_code": exit_code,
        "wall_s": {"all": time.perf_counter() - began_s, **phases.wall_s},
        "cpu_s": {"all": time.process_time() - began_cpu_s, **phases.cpu_s},
        "reached_s": phases.reached_s,
        "reached_mb": phases.reached_mb,
        "peak_rss_mb": peak_rss_mb(),
    }
    Path(out).write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    return exit_code


if __name__ == "__main__":
    sys.exit(main())
