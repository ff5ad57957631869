"""Notes when Hydra hands its jobs to a launcher; what it did before belongs to no job."""

import time
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig


class NoteDispatch(Callback):
    """Writes the wall-clock time of the launch into the file that the config names."""

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Called when everything is composed, and before the launcher is."""
        Path(config.dispatched).write_text(repr(time.time()), encoding="utf-8")
