"""The verbs that are Hydra's: its own flags only show something, everything else is a sweep."""

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from runners.contract.errors import UserError
from sweeper.project.project import SHIPPED_CONF, find_project, local_settings

# Flags with which Hydra only shows something; everything else is a multirun, with or without -m.
SHOWING_FLAGS = (
    "--cfg",
    "-c",
    "--help",
    "-h",
    "--hydra-help",
    "--info",
    "-i",
    "--version",
    "--shell-completion",
    "-sc",
)


def call_hydra(verb: str, words: Sequence[str]) -> int:
    """Let Hydra compose, and our sweeper behind it do the rest.

    Args:
        verb: as `sweeper.verbs.run.run_verb` knows it.
        words: what was typed behind it, without flags of ours.

    Raises:
        UserError: a mistake of the command line, or anything the sweep finds.
    """
    import hydra

    from sweeper.planning.compose import COMPOSITION_ERRORS, explain
    from sweeper.planning.held_words import chooses_reading, holding_back
    from sweeper.planning.machine_rules import machine_problems
    from sweeper.planning.resolvers import register
    from sweeper.verbs.read_config import CONFIG_FLAGS, show_read_config

    project = find_project()
    problems = machine_problems(project)
    if problems:
        raise UserError(*problems)
    register()
    words = [*map(_one_value, words), *_store_asked_for(words, local_settings(project))]
    shows = any(word.partition("=")[0] in SHOWING_FLAGS for word in words)
    overrides = [word for word in words if word not in ("-m", "--multirun")]
    if chooses_reading(words) and any(word.partition("=")[0] in CONFIG_FLAGS for word in words):
        # Hydra would show what stands before the config is read.
        return show_read_config(words)
    before = (sys.argv, os.environ.get("HYDRA_FULL_ERROR"))
    # Only with this does hydra.main hand its exceptions to us instead of printing ten lines and leaving with 1.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    entry: Callable[[], None] = hydra.main(version_base="1.3", config_path=str(SHIPPED_CONF), config_name="config")(
        _nothing
    )
    try:
        with holding_back(overrides) as shown:
            sys.argv = ["detsweep", *(words if shows else ["--multirun", f"hydra.sweeper.verb={verb}", *shown])]
            entry()
    except COMPOSITION_ERRORS as error:
        raise explain(error, SHIPPED_CONF, words) from error
    finally:
        sys.argv = before[0]
        if before[1] is None:
            del os.environ["HYDRA_FULL_ERROR"]
        else:
            os.environ["HYDRA_FULL_ERROR"] = before[1]
    return 0


def _nothing(cfg: object) -> None:
    """Stand where Hydra wants a function; our sweeper does not call it."""


def _store_asked_for(words: Sequence[str], local: Mapping[str, Any]) -> list[str]:
    """Return what makes ``tracking=sqlite`` mean the database in the output folder, whatever this machine's file says.

    Without it Hydra could not tell that word of a command line from the same one as a default.
    """
    is_open = "tracking.uri" in local and not any(word.startswith("tracking.uri=") for word in words)
    return ["tracking.uri=null"] if is_open and "tracking=sqlite" in words else []


def _one_value(word: str) -> str:
    """Quote ``gpus=0,1``: a list of devices is one setting and never an axis."""
    key, separator, value = word.partition("=")
    return f"{key}='{value}'" if key == "gpus" and separator and "," in value and value[0] not in "'\"" else word
