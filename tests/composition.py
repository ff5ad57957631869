"""Composing jobs' configs from conf/ as a sweep does, for tests that start at a job."""

from pathlib import Path
from typing import Any

from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from omegaconf import DictConfig, OmegaConf

from runners.contract.naming import GROUPS, base_title
from sweeper.planning.axes import SWEEP_SETTINGS
from sweeper.planning.resolvers import register

CONF = Path(__file__).parents[1] / "conf"


def compose_unresolved(*overrides: str) -> DictConfig:
    """Return Hydra's config, its own node included."""
    register()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return hydra_compose("config", overrides=list(overrides), return_hydra_config=True)


def compose(*overrides: str) -> dict[str, Any]:
    """Return what a job's ``config.yaml`` holds; paths stay as they are given."""
    config = compose_unresolved(*overrides)
    choices = {group: config.hydra.runtime.choices[group] for group in GROUPS}
    OmegaConf.set_struct(config, False)
    for key in ("hydra", *SWEEP_SETTINGS):
        config.pop(key)
    resolved = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    assert isinstance(resolved, dict)
    job = {str(key): value for key, value in resolved.items()}
    return {**job, "choices": choices, "title": base_title({**job, "choices": choices})}
