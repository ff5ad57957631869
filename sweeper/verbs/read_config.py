"""``detsweep train --cfg job detector=zoo detector.config=...``: the settings of a config of MMDetection, by name."""

from collections.abc import Sequence

from omegaconf import OmegaConf

from runners.contract.errors import UserError
from sweeper.planning.axes import read_axes
from sweeper.planning.compose import Composer
from sweeper.planning.overrides import parse_override
from sweeper.project.project import SHIPPED_CONF


def show_read_config(words: Sequence[str]) -> int:
    """Print a job's composed config as YAML, interpolations as they stand; of a sweep, that of its first job.

    Args:
        words: flags of Hydra and overrides; ``--cfg job`` is the flag that can be answered.

    Raises:
        UserError: another flag, or a mistake of the overrides.
    """
    flags = [word for word in words if word.startswith("-")]
    if not any(flag.partition("=")[0] in ("--cfg", "-c") for flag in flags):
        raise UserError(f"nothing to show in {' '.join(words)}: of a config that is read there is --cfg job")
    axes = read_axes([parse_override(word) for word in words if "=" in word and not word.startswith("-")])
    config = Composer.of_folder(SHIPPED_CONF).compose(axes.overrides(axes.points()[0]))
    print(OmegaConf.to_yaml(OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])), end="")
    return 0
