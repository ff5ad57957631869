"""The project's own code in a sweep that goes on: its copy is what runs, whatever has become of the project's."""

from runners.contract.errors import UserError
from runners.contract.folder import SweepFolder
from runners.contract.plugin_sources import N_DIGITS
from runners.contract.states import JobState
from sweeper.control.left import LeftSweep
from sweeper.control.stored_sweep import StoredSweep
from sweeper.planning.plugins import find_plugins
from sweeper.project.project import find_project
from sweeper.stored.plugin_copies import check_plugins


def plugin_notes(stored: StoredSweep, sweep: SweepFolder, left: LeftSweep) -> list[str]:
    """Check the code that the jobs that are left will import; return what is worth telling of it.

    Unlike data, a changed plug-in is no reason to stop: the sweep has what it was planned with.

    Args:
        stored: the sweep as it was planned.
        sweep: its folder.
        left: what an earlier controller left of it.

    Raises:
        UserError: a copy is damaged, or is another's code and not consented to.
    """
    states = left.states
    configs = [job.config for job in stored.plan.jobs if not states.get(job.job_id, JobState.PLANNED).is_terminal]
    notes = []
    for plugins in check_plugins(sweep, configs, stored.trusted_plugins):
        try:
            now = find_plugins(plugins.names, find_project().root).digest
        except UserError:
            now = ""
        if now != plugins.digest:
            found = f"now {now[:N_DIGITS]}" if now else "not found here in good order"
            notes.append(
                f"plugins {', '.join(plugins.names)} of the sweep are {plugins.digest[:N_DIGITS]}, {found}; it goes on "
                "with its own copy, and detsweep add plans jobs with the new code"
            )
    return notes
