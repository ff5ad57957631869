"""Whether what a project's ``local.yaml`` says of this machine is possible, by the rules of the settings."""

from sweeper.planning.setting_rules import SETTINGS
from sweeper.project.project import Project, local_settings


def machine_problems(project: Project) -> list[str]:
    """Return a line for each of this machine's settings that breaks its rule.

    Raises:
        UserError: the file cannot be read, or holds something else.
    """
    return [
        f"value out of range in {key}: {value} in {project.local}; {SETTINGS[key].wanted}"
        for key, value in local_settings(project).items()
        if not SETTINGS[key].is_kept(value)
    ]
