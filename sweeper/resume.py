"""``detsweep resume``: a sweep goes on where its last controller left it, whatever ended that one."""

from collections.abc import Sequence

from rich.text import Text

from sweeper.executors.local import LocalExecutor
from sweeper.journal import Journal
from sweeper.left import end_what_was_left_running, read_left
from sweeper.machine import hold_machine, machine_settings
from sweeper.report import open_console, print_report
from sweeper.schedule import JobAdded, Schedule
from sweeper.stored_sweep import asked_sweep, read_stored, refuse_changed_data
from sweeper.train import train_jobs
from sweeper.weights import fetch_weights


def run_resume(words: Sequence[str]) -> int:
    """Go on with a sweep: finished jobs stay as they are, the others go on from their newest valid checkpoints.

    Args:
        words: the sweep's path, id or name (default: the newest), ``output_dir=`` to look for it, and settings that
            differ from now on.

    Returns:
        The sweep's exit code; that of a finished sweep is the same as before.

    Raises:
        UserError: no such sweep, another process owns it, or its data set has changed.
    """
    sweep, changes = asked_sweep("resume", words)
    console = open_console()
    with Journal(sweep.journal) as journal:
        stored = read_stored(sweep, changes)
        left = read_left(sweep)
        end_what_was_left_running(sweep, left, journal)
        states = left.states
        if len(states) == len(stored.plan.jobs) and all(state.is_terminal for state in states.values()):
            console.print(Text(f"sweep {sweep.path}: nothing left to do"), soft_wrap=True)
            print_report(sweep, console)
            schedule = Schedule()
            for job_id, state in states.items():
                schedule.handle(JobAdded(job_id, state))
            return schedule.exit_code()
        refuse_changed_data(stored, sweep)
        fetch_weights([job.config for job in stored.plan.jobs])
        machine = hold_machine(*machine_settings(stored.plan.settings), sweep.path / "server.log", LocalExecutor)
        with machine as (slots, executor):
            return train_jobs(stored.plan, sweep, journal, slots, executor, stored.command, console, left)
