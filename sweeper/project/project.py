"""The team's folder: found upward from the working directory by its marker, and what it says about itself."""

import importlib.util
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runners.contract.errors import UserError
from sweeper.project.yaml_mapping import read_mapping

# Our own groups, addressed by path: there may be other packages of that name.
SHIPPED_CONF = Path(__file__).parents[2] / "conf"

MARKER = "detsweep.yaml"
CONF = "conf"
LOCAL = "local.yaml"
OUTPUTS = "outputs"

# What the marker may hold.
_KEYS = ("trusted_folders", "conf")

# Settings of the sweep that are a machine's affair: none of them changes what is trained.
MACHINE_SETTINGS = (
    "gpus",
    "jobs_per_gpu",
    "devices_per_job",
    "busy_gpus",
    "probe",
    "n_workers",
    "batch_per_step",
    "output_dir",
    "share",
    "keep",
    "check_disk",
    "reuse",
    "job_limit",
    "max_losses",
    "first_step_limit_min",
    "step_limit_min",
    "tracking.uri",
    "tracking.experiment",
    "tracking.log_checkpoints",
    "tracking.required",
)


# Those of them that are text, or null for the usual.
_TEXTS = ("output_dir", "tracking.uri", "tracking.experiment")


# Settings that are paths, or may hold one.
PATH_KEYS = ("dataset.root", "weights.path", "output_dir", "tracking.uri")
_SQLITE = "sqlite:///"


@dataclass(frozen=True)
class Project:
    """A folder that sweeps are started from.

    Attributes:
        root: the folder that holds the marker, or the working directory where no marker is found above it.
        is_marked: whether there is a marker. Of a folder without one nothing is read.
        trusted_folders: whose Python files may be executed, resolved: the root, the configs of the installed mmdet, and
            what the marker names.
        conf_name: the folder of the team's groups, in the root.
    """

    root: Path
    is_marked: bool
    trusted_folders: tuple[Path, ...] = field(default=())
    conf_name: str = CONF

    @property
    def conf(self) -> Path | None:
        """The folder of the team's groups, if there is one."""
        folder = self.root / self.conf_name
        return folder if self.is_marked and folder.is_dir() else None

    @property
    def marker(self) -> Path:
        """The file that makes a folder a project."""
        return self.root / MARKER

    @property
    def local(self) -> Path:
        """The file of this machine's settings; it need not be there."""
        return self.root / self.conf_name / LOCAL

    @property
    def outputs(self) -> Path:
        """Where sweeps go and are looked for, unless something else is said."""
        return self.root / OUTPUTS


def find_project(start: Path | None = None) -> Project:
    """Return the project that a folder lies in, or the folder itself as one without a marker.

    Args:
        start: the folder; the working directory by default.

    Raises:
        UserError: the marker is broken.
    """
    here = (start or Path.cwd()).absolute()
    root = next((folder for folder in (here, *here.parents) if _has_marker(folder)), None)
    if root is None:
        return Project(here, False, (here.resolve(), *_zoo_folders()))
    told = read_mapping(root / MARKER, _KEYS)
    trusted = [_folder(root, entry) for entry in _names(root / MARKER, told)]
    return Project(root, True, (root.resolve(), *_zoo_folders(), *trusted), _conf_name(root, told))


def local_settings(project: Project) -> dict[str, Any]:
    """Return this machine's settings as dotted keys and values; paths in them are absolute.

    Args:
        project: the project; one without a marker has none.

    Raises:
        UserError: the file is broken, or sets what is part of what is trained.
    """
    if project.conf is None or not project.local.is_file():
        return {}
    path = project.local
    settings: dict[str, Any] = {}
    problems = []
    for key, value in _flat(read_mapping(path)):
        if key in settings:
            problems.append(f"doubled key in {path}: {key}; say it once")
        elif key not in MACHINE_SETTINGS:
            problems.append(_no_machine_setting(path, key, value))
        elif key in _TEXTS and not isinstance(value, str | None):
            problems.append(f"no text in {path}: {key}: {value}; quote it if it is meant")
        settings[key] = placed(project.root, key, value) if isinstance(value, str) else value
    if problems:
        raise UserError(*problems)
    return settings


def unread_option(group: str, option: object) -> str:
    """Return a hint if an option that is asked for stands in a folder without a marker, where nothing is read."""
    project = find_project()
    file = project.root / CONF / group / f"{option}.yaml"
    if project.is_marked or not file.is_file():
        return ""
    return f"; {file} is not read, for this folder is no project: detsweep init makes it one"


def anchored(root: Path, path: str) -> str:
    """Return a path of a project's file as an absolute one: it is meant from the project's root."""
    return os.path.normpath(root / Path(path).expanduser())


def placed(root: Path, key: str, value: str) -> str:
    """Return a setting of a project's file with its path absolute, if it is one of `PATH_KEYS`."""
    if key not in PATH_KEYS:
        return value
    if key != "tracking.uri":
        return anchored(root, value)
    database = value.removeprefix(_SQLITE)
    return f"{_SQLITE}{anchored(root, database)}" if value.startswith(_SQLITE) else value


def _has_marker(folder: Path) -> bool:
    """Whether a folder is marked; where everybody may write, a marker counts only for the person who made it."""
    try:
        marker = (folder / MARKER).stat()
        is_open = bool(folder.stat().st_mode & stat.S_IWOTH)
    except OSError:
        return False
    return stat.S_ISREG(marker.st_mode) and (not is_open or marker.st_uid == os.geteuid())


def _zoo_folders() -> list[Path]:
    """Return where the installed mmdet keeps the configs of its zoo."""
    spec = importlib.util.find_spec("mmdet")  # finds without importing
    if spec is None or spec.origin is None:
        return []
    return [(Path(spec.origin).parent / ".mim" / "configs").resolve()]


def _names(path: Path, told: Mapping[str, Any]) -> list[str]:
    names = told.get("trusted_folders") or []
    if not isinstance(names, list) or not all(isinstance(name, str) and name for name in names):
        raise UserError(f"folders in {path}: trusted_folders is {names!r}; give a list of folders, or []")
    return names


def _conf_name(root: Path, told: Mapping[str, Any]) -> str:
    name = told.get("conf", CONF)
    if not isinstance(name, str) or Path(name).name != name or name in ("", ".", ".."):
        raise UserError(f"folder in {root / MARKER}: conf is {name!r}; give the name of a folder beside this file")
    return name


def _folder(root: Path, name: str) -> Path:
    return Path(anchored(root, name)).resolve()


def _flat(node: Mapping[str, Any], before: str = "") -> list[tuple[str, Any]]:
    """Return dotted keys and values; a key may be dotted itself, as on the command line."""
    pairs: list[tuple[str, Any]] = []
    for name, value in node.items():
        key = f"{before}{name}"
        pairs += _flat(value, f"{key}.") if isinstance(value, dict) and value else [(key, value)]
    return pairs


def _no_machine_setting(path: Path, key: str, value: Any) -> str:
    if key == "tracking":
        return f"no machine setting in {path}: tracking: {value}; the store is named there by tracking.uri: ADDRESS"
    return (
        f"no machine setting in {path}: {key}; what is trained is the same on every machine, and is said in a recipe "
        f"or on the command line; here may stand {', '.join(MACHINE_SETTINGS)}"
    )
