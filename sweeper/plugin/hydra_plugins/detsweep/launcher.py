"""Hydra's launcher slot: tells which executor runs the jobs. The executor itself is imported when it is started."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hydra.core.utils import JobReturn
from hydra.errors import HydraException
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

if TYPE_CHECKING:
    from sweeper.executors.base import Executor


class LocalLauncher(Launcher):
    """Jobs are forked on this machine from one warm process."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Nothing is needed of what Hydra composed."""

    def start_executor(self, log: Path, entry: str) -> "Executor":
        """Start the executor: its warm process begins to import at once, in the background."""
        from sweeper.executors.local import LocalExecutor

        return LocalExecutor(log, entry)

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Refuse: a batch of jobs would bring the batch barrier back."""
        raise HydraException(
            "hydra/launcher=local works with hydra/sweeper=detsweep only; other sweepers wait for whole batches"
        )
