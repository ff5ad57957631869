"""The same job under one of Hydra's launchers: executes an attempt as ``python -m runners`` does."""

import sys
from pathlib import Path

import hydra
from omegaconf import DictConfig


@hydra.main(version_base="1.3", config_path=".", config_name="config")
def main(config: DictConfig) -> int:
    """Execute the attempt that the config names; returns its exit code."""
    from runners.contract.folder import AttemptFolder

    # A launcher that uses one process for several jobs has imported the training stack from the second on.
    if "torch" not in sys.modules:
        from runners.preload import preload

        preload()
    from runners.job import run_attempt
    from runners.process import enter_attempt

    folder = AttemptFolder(Path(config.attempt))
    enter_attempt(folder, {})
    return run_attempt(folder)


if __name__ == "__main__":
    main()
