"""``detsweep train --cfg job detector=zoo detector.config=...``: the settings of a config of MMDetection, by name."""

from collections.abc import Sequence

from omegaconf import OmegaConf

from sweeper.planning.axes import read_axes
from sweeper.planning.compose import Composer
from sweeper.planning.overrides import parse_override
from sweeper.project.project import SHIPPED_CONF

# Hydra's flag, long and short.
CONFIG_FLAGS = ("--cfg", "-c")


def show_read_config(words: Sequence[str]) -> int:
    """Print a job's composed config as YAML, interpolations as they stand; of a sweep, that of its first job.

    Args:
        words: overrides, and Hydra's flag.

    Raises:
        UserError: a mistake of the overrides.
    """
    is_override = (not word.startswith("-") and ("=" in word or word.startswith("~")) for word in words)
    axes = read_axes([parse_override(word) for word, is_one in zip(words, is_override, strict=True) if is_one])
    config = Composer.of_folder(SHIPPED_CONF).compose(axes.overrides(axes.points()[0]))
    print(OmegaConf.to_yaml(OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])), end="")
    return 0
