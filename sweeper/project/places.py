"""Where sweeps go and are looked for, and which store knows them, unless a command line says something else."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sweeper.project.project import find_project, local_settings

EXPERIMENT = "detsweep"
_KEY = "output_dir="


@dataclass(frozen=True)
class Places:
    """What is meant where nothing is said.

    Attributes:
        output_dir: the folder of the sweeps, absolute.
        uri: the tracking store; none: the database in the output folder.
        experiment: the store's experiment.
    """

    output_dir: Path
    uri: str | None
    experiment: str


def find_places() -> Places:
    """Return what this machine's settings of the project say, else ``outputs`` in the project or working directory.

    Raises:
        UserError: a file of the project is broken.
    """
    project = find_project()
    local = local_settings(project)
    return Places(
        Path(local.get("output_dir") or project.outputs),
        local.get("tracking.uri"),
        local.get("tracking.experiment") or EXPERIMENT,
    )


def asked_output_dir(words: Sequence[str]) -> Path:
    """Return the output folder that a command line names, or the usual one; absolute.

    Args:
        words: of the command line; the last ``output_dir=FOLDER`` among them counts.

    Raises:
        UserError: a file of the project is broken.
    """
    said = [word.removeprefix(_KEY) for word in words if word.startswith(_KEY) and word != _KEY]
    return Path(said[-1]).absolute() if said else find_places().output_dir
