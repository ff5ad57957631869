"""The verbs that change a sweep from another terminal: ``stop``, ``pause``, ``next``, ``gpus``, ``retry`` and ``add``.

A running sweep is asked through its ``requests/``; one that nobody runs is changed in its journal, where that makes
sense.
"""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rich.text import Text

from runners.contract.errors import UserError
from runners.contract.folder import SweepFolder
from runners.contract.states import JobState
from sweeper.control.adding import write_added_jobs
from sweeper.control.left import LeftSweep, end_what_was_left_running, read_left
from sweeper.planning.plan import Plan
from sweeper.project.places import asked_output_dir
from sweeper.stored.finding import find_sweep
from sweeper.stored.journal import Journal
from sweeper.stored.ownership import is_owned
from sweeper.stored.plugin_copies import write_plugins
from sweeper.stored.requests import ask
from sweeper.stored.sweep_file import add_to_sweep_file, read_sweep_file
from sweeper.verbs.report import open_console
from sweeper.verbs.resume import resume_owned
from sweeper.verbs.words import read_words

# More than anybody types: which words are jobs is told apart here.
N_NAMES = 1000


def run_stop(words: Sequence[str]) -> int:
    """Let a sweep save and stop, or cancel some of its jobs: ``stop [SWEEP] [JOB ...]``.

    Raises:
        UserError: no such sweep or job, or nothing runs that could be stopped.
    """
    sweep, jobs = _sweep_and_jobs("stop", words)
    if not jobs:
        return _ask(sweep, [("stop", {})], "told to stop; its jobs are saving", _nothing_to(sweep, "stop"))
    asked = [("stop", {"job": job_id}) for job_id in jobs]
    return _ask(sweep, asked, f"told to cancel {', '.join(jobs)}", lambda: _cancel(sweep, jobs))


def run_pause(words: Sequence[str]) -> int:
    """Let a sweep, or some of its jobs, save and wait: ``pause [SWEEP] [JOB ...]``; ``resume`` lets it go on.

    Raises:
        UserError: no such sweep or job, or nobody runs the sweep.
    """
    sweep, jobs = _sweep_and_jobs("pause", words)
    asked: list[tuple[str, dict[str, Any]]] = [("pause", {"job": job_id}) for job_id in jobs] or [("pause", {})]
    what = f"told to pause {', '.join(jobs)}" if jobs else "told to pause; its jobs are saving, its devices become free"
    return _ask(sweep, asked, what, _nothing_to(sweep, "pause"))


def run_next(words: Sequence[str]) -> int:
    """Have jobs started before all others: ``next [SWEEP] JOB ...``.

    Raises:
        UserError: no such sweep or job, or nobody runs the sweep.
    """
    sweep, jobs = _sweep_and_jobs("next", words)
    if not jobs:
        raise UserError("job in detsweep next: none named; write its number, detsweep next 7")
    # What is asked for last stands first: asked in reverse, they start in the order of the command line.
    asked = [("next", {"job": job_id}) for job_id in reversed(jobs)]
    return _ask(sweep, asked, f"told to start {', '.join(jobs)} next", _nothing_to(sweep, "change the order of"))


def run_gpus(words: Sequence[str]) -> int:
    """Give GPUs of a running sweep back, or take them again: ``gpus [SWEEP] -1 +0``.

    Raises:
        UserError: no such sweep, nothing asked for, or nobody runs the sweep.
    """
    signed = [word for word in words if re.fullmatch(r"[+-]\d+(,\d+)*", word)]
    read = read_words("gpus", [word for word in words if word not in signed])
    if not signed:
        typed = " ".join(words)
        raise UserError(f"GPUs in detsweep gpus {typed}: none named; write -1 to give GPU 1 back, +1 to take it again")
    sweep = _find("gpus", read.names, read.output_dir)
    numbers = {sign: [int(n) for word in signed if word[0] == sign for n in word[1:].split(",")] for sign in "-+"}
    asked = [("gpus", {"minus": numbers["-"], "plus": numbers["+"]})]
    return _ask(sweep, asked, f"told to change its GPUs: {' '.join(signed)}", _nothing_to(sweep, "change the GPUs of"))


def run_retry(words: Sequence[str]) -> int:
    """Try failed or cancelled jobs again: ``retry [SWEEP] --failed`` or ``retry [SWEEP] JOB ...``.

    Raises:
        UserError: no such sweep or job, none that has failed, or none named.
    """
    all_failed = "--failed" in words
    sweep, jobs = _sweep_and_jobs("retry", words, ["--failed"])
    states = read_left(sweep).states
    if all_failed:
        jobs += [job_id for job_id, state in states.items() if state is JobState.FAILED and job_id not in jobs]
    if not jobs:
        found = "none has failed" if all_failed else "none named"
        raise UserError(f"job in detsweep retry: {found}; name jobs by their numbers, or --failed for all that failed")
    done = [job_id for job_id in jobs if states.get(job_id) not in (JobState.FAILED, JobState.CANCELLED)]
    if done:
        state = states.get(done[0])
        raise UserError(f"job {done[0]} in {sweep.path}: {state.value if state else 'not there'}; nothing to try again")
    asked = [("retry", {"job": job_id}) for job_id in jobs]
    return _ask(sweep, asked, f"told to try {', '.join(jobs)} again", lambda: _retry(sweep, jobs))


def run_add(words: Sequence[str]) -> int:
    """Add jobs to a sweep: ``add [SWEEP] OVERRIDE ...``, its own command line with a longer axis, or only that axis.

    Raises:
        UserError: no such sweep, nothing to add, or something is wrong with the overrides.
    """
    from sweeper.verbs.hydra_call import call_hydra

    sweep, overrides = added_words(words)
    return call_hydra("add", [f"hydra.sweeper.sweep='{sweep.path}'", *overrides])


def added_words(words: Sequence[str]) -> tuple[SweepFolder, list[str]]:
    """Return the sweep that ``add [SWEEP] OVERRIDE ...`` names, and its own command line with those overrides behind.

    Raises:
        UserError: no such sweep, or nothing to add.
    """
    names = [word for word in words if "=" not in word]
    overrides = [word for word in words if "=" in word and not word.startswith("output_dir=")]
    sweep = _find("add", names, asked_output_dir(words))
    if not overrides:
        raise UserError("nothing to add in detsweep add: write the axis that has become longer, backbone=a,b,c")
    command = read_sweep_file(sweep)["command"][2:]
    # An address was stored without its password; where jobs are logged is the running sweep's affair anyway.
    stored = [word for word in command if not word.startswith(("-", "tracking.uri=", "output_dir="))]
    return sweep, [*stored, *overrides, f"output_dir={sweep.path.parent}"]


def add_jobs(sweep: SweepFolder, plan: Plan) -> int:
    """Add a plan's jobs to a sweep that does not have them yet: to a running one at once, else it is resumed with them.

    Raises:
        UserError: there is nothing new in the plan.
    """
    notices = write_plugins(sweep, plan.plugins)
    added = write_added_jobs(sweep, plan)
    if not added["jobs"]:
        raise UserError(f"nothing to add to {sweep.path}: it has all {plan.count} of this command line")
    console = open_console()
    for notice in notices:
        console.print(Text(f"note: {notice}"), soft_wrap=True)
    for job in added["jobs"]:
        console.print(Text(f"{job['id']} {job['title']}: added"), soft_wrap=True)

    def add_offline() -> int:
        with Journal(sweep.journal) as journal:
            add_to_sweep_file(sweep, added["jobs"], added["datasets"], added["axes"])
            return resume_owned(sweep, [], journal, console)

    return _ask(sweep, [("add", added)], f"told of {len(added['jobs'])} more", add_offline)


def _ask(
    sweep: SweepFolder, asked: Sequence[tuple[str, dict[str, Any]]], told: str, otherwise: Callable[[], int]
) -> int:
    """Ask a sweep's controller; where there is none, do what can be done without."""
    if not is_owned(sweep.journal):
        return otherwise()
    for op, arguments in asked:
        ask(sweep, op, **arguments)
    open_console().print(Text(f"sweep {sweep.path}: {told}"), soft_wrap=True)
    return 0


def _nothing_to(sweep: SweepFolder, verb: str) -> Callable[[], int]:
    def refuse() -> int:
        raise UserError(f"sweep in {sweep.path}: nobody runs it, nothing to {verb}; go on with it by detsweep resume")

    return refuse


def _left(sweep: SweepFolder, journal: Journal) -> LeftSweep:
    left = read_left(sweep)
    end_what_was_left_running(sweep, left, journal, read_sweep_file(sweep)["settings"]["max_losses"])
    return left


def _cancel(sweep: SweepFolder, jobs: Sequence[str]) -> int:
    with Journal(sweep.journal) as journal:
        states = _left(sweep, journal).states
        for job_id in jobs:
            if states[job_id].is_terminal:
                raise UserError(f"job {job_id} in {sweep.path}: {states[job_id].value} already; nothing to cancel")
        for job_id in jobs:
            journal.append("cancelled", job=job_id, state=JobState.CANCELLED.value, reason="asked for")
    open_console().print(Text(f"sweep {sweep.path}: cancelled {', '.join(jobs)}"), soft_wrap=True)
    return 0


def _retry(sweep: SweepFolder, jobs: Sequence[str]) -> int:
    with Journal(sweep.journal) as journal:
        _left(sweep, journal)
        for job_id in jobs:
            journal.append("retried", job=job_id, state=JobState.PLANNED.value, reason="asked for")
        return resume_owned(sweep, [], journal, open_console())


def _sweep_and_jobs(verb: str, words: Sequence[str], flags: Sequence[str] = ()) -> tuple[SweepFolder, list[str]]:
    """Tell the sweep's name from job numbers behind it, and check that the jobs are there."""
    read = read_words(verb, words, flags, n_names=N_NAMES)
    names = [word for word in read.names if not word.isdigit()]
    sweep = _find(verb, names, read.output_dir)
    jobs = [f"{int(number):04d}" for number in read.names if number.isdigit()]
    known = [folder.job_id for folder in sweep.all_jobs()]
    unknown = [job_id for job_id in jobs if job_id not in known]
    if unknown:
        raise UserError(
            f"job in detsweep {verb}: no job {unknown[0]} in {sweep.path}; it has {known[0]} to {known[-1]}"
        )
    return sweep, jobs


def _find(verb: str, names: Sequence[str], output_dir: Path) -> SweepFolder:
    if len(names) > 1:
        raise UserError(f"sweep in detsweep {verb}: {', '.join(names)} given; name one")
    return find_sweep(names[0] if names else None, output_dir)
