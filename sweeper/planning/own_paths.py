"""Relative paths in the files of a project: they begin at its root, and those of a command line where it is typed."""

from collections.abc import Collection

from omegaconf import DictConfig, OmegaConf, open_dict

from sweeper.project.project import PATH_KEYS, find_project, placed

_OPEN = ("", "???")


def anchor_paths(config: DictConfig, said: Collection[str] = ()) -> None:
    """Make the relative paths of a composed config absolute, in a project; elsewhere nothing is changed.

    Args:
        config: to be changed.
        said: keys whose values are a command line's: they stay as they are.

    Raises:
        UserError: the project's marker is broken.
    """
    project = find_project()
    if not project.is_marked:
        return
    values = OmegaConf.to_container(OmegaConf.masked_copy(config, _tops(config)), resolve=False)
    for key in PATH_KEYS:
        if key in said:
            continue
        value: object = values
        for part in key.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        if isinstance(value, str) and value not in _OPEN and "${" not in value:
            with open_dict(config):
                OmegaConf.update(config, key, placed(project.root, key, value))


def _tops(config: DictConfig) -> list[str]:
    return [top for top in {key.partition(".")[0] for key in PATH_KEYS} if top in config]
