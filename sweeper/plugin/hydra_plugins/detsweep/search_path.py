"""Hydra's search path: a shell around `sweeper.project.groups`, which knows where the team's groups are."""

from hydra.core.config_search_path import ConfigSearchPath
from hydra.plugins.search_path_plugin import SearchPathPlugin


class ProjectSearchPath(SearchPathPlugin):
    """Searches the project's groups before the shipped ones."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """See `sweeper.project.groups.add_project`."""
        from sweeper.project.groups import add_project

        add_project(search_path)
