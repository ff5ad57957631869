"""What a project adds to composition: its own groups before the shipped ones, and this machine's settings."""

from pathlib import Path
from typing import Any

from hydra.core.config_search_path import ConfigSearchPath, SearchPathQuery
from hydra.core.config_store import ConfigStore

from runners.contract.errors import UserError
from sweeper.project.project import SHIPPED_CONF, Project, find_project, local_settings

PRIMARY = "config.yaml"

# Named in the defaults list of conf/config.yaml. Under `hydra/` they are no groups that a person is shown.
_SETTINGS = ("hydra/machine", "settings")
_TRACKING = "hydra/machine_tracking"
_PREFIX = "tracking."


def add_project(search_path: ConfigSearchPath) -> None:
    """Let the project's folder of groups be searched before the shipped one, and its machine's settings be laid over.

    Nothing is changed where somebody else's folder is composed from.

    Args:
        search_path: of Hydra, to be changed.

    Raises:
        UserError: a file of the project is broken.
    """
    main = next((entry.path for entry in search_path.get_path() if entry.provider == "main"), None)
    if main is None or Path(main) != SHIPPED_CONF:
        return
    project = find_project()
    _store(project)
    if project.conf is not None:
        _refuse_primary(project.conf)
        search_path.prepend("project", f"file://{project.conf}", SearchPathQuery("main", None))


def _store(project: Project) -> None:
    """Give Hydra this machine's settings as options of groups that no file fills.

    Those of the tracking store go with the options that leave it open: ``tracking=off`` stays off.
    """
    local = local_settings(project)
    if project.is_marked:
        local.setdefault("output_dir", str(project.outputs))
    tracking = {key.removeprefix(_PREFIX): value for key, value in local.items() if key.startswith(_PREFIX)}
    others = {key: value for key, value in local.items() if not key.startswith(_PREFIX)}
    group, name = _SETTINGS
    _put(group, name, others)
    _put(_TRACKING, "sqlite", {"tracking": tracking})
    _put(_TRACKING, "server", {"tracking": {key: value for key, value in tracking.items() if key != "uri"}})


def _put(group: str, name: str, node: dict[str, Any]) -> None:
    ConfigStore.instance().store(name=name, node=node, group=group, provider="this machine's settings")


def _refuse_primary(conf: Path) -> None:
    """Refuse a file that would silently stand for the one that all groups hang on."""
    path = conf / PRIMARY
    if path.exists():
        raise UserError(
            f"a file that would replace detsweep's own in {path}: {PRIMARY} is not a project's to have; what this "
            "machine needs belongs into local.yaml, what is trained into a recipe, and if it is another program's, say "
            "in detsweep.yaml which folder is detsweep's (conf: detsweep_conf)"
        )
