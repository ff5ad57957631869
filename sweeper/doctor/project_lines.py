"""Which project a command is about when it is typed here, and what of it stands over what is shipped."""

from collections.abc import Sequence

from runners.contract.errors import UserError
from sweeper.doctor.finding import Finding, ok, problem
from sweeper.project.project import MARKER, SHIPPED_CONF, Project, find_project, local_settings
from sweeper.view.wording import count

N_NAMED = 8


def examine_project() -> list[Finding]:
    """Return a line about the folder, and where there is a project one about its options and this machine's file."""
    try:
        project = find_project()
    except UserError as error:
        return [problem("project", "; ".join(error.problems), "mend that file")]
    if not project.is_marked:
        told = f"none here ({project.root} and the folders above it have no {MARKER}); shipped options only"
        return [ok("project", f"{told}. detsweep init makes one")]
    findings = [ok("project", f"{project.root}; {_options(project)}")]
    try:
        local = local_settings(project)
    except UserError as error:
        return [*findings, problem("machine file", "; ".join(error.problems), f"mend {project.local}")]
    if local:
        said = ", ".join(f"{key}={value}" for key, value in local.items())
        findings.append(ok("machine file", f"{project.local} sets {said}"))
    return findings


def _options(project: Project) -> str:
    if project.conf is None:
        return "no folder of options of its own"
    files = sorted(project.conf.glob("*/*.yaml"))
    named = [f"{file.parent.name}={file.stem}" for file in files]
    over = [
        name for file, name in zip(files, named, strict=True) if (SHIPPED_CONF / file.parent.name / file.name).is_file()
    ]
    if not named:
        return f"no options of its own in {project.conf}"
    told = f"{count(len(named), 'option')} of its own in {project.conf} ({_listed(named)})"
    return f"{told}; in place of shipped ones: {_listed(over)}" if over else told


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:N_NAMED]) + (f" and {len(names) - N_NAMED} more" if len(names) > N_NAMED else "")
