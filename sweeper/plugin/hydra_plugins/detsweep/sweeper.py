"""Hydra's sweeper slot: a shell around `sweeper.verbs.run`, which is imported when a sweep begins."""

from collections.abc import Mapping, Sequence

from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from hydra_plugins.detsweep.launcher import LocalLauncher
from omegaconf import DictConfig


class DetsweepSweeper(Sweeper):
    """Plans every job, then runs them through the launcher's executor without a batch barrier.

    Args:
        verb: ``train``, ``check``, ``plan``, ``add`` or ``report``.
        params: axes that a recipe brings along; the command line wins over them.
        sweep: folder of the sweep that jobs are added to.
        family: hypotheses that are judged beside the one that is composed.
    """

    def __init__(
        self,
        verb: str,
        params: Mapping[str, str] | None = None,
        sweep: str | None = None,
        family: Sequence[str] = (),
    ) -> None:
        self.verb = verb
        self.sweep_folder = sweep
        self.params = params or {}
        self.family = family

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Take what Hydra composed."""
        self.hydra_context = hydra_context
        self.config = config
        launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )
        assert isinstance(launcher, LocalLauncher)
        self.start_executor = launcher.start_executor

    def sweep(self, arguments: Sequence[str]) -> None:
        """Run the sweep.

        Raises:
            SystemExit: with the sweep's exit code, if it is not 0; Hydra drops what a sweeper returns.
        """
        from sweeper.planning.held_words import held_words
        from sweeper.verbs.run import Invocation, run_verb

        assert self.hydra_context is not None
        assert self.config is not None
        brought = [f"{key}={value}" for key, value in self.params.items()]
        told = Invocation(
            self.verb,
            [*brought, *arguments, *held_words()],
            self.config,
            self.hydra_context.config_loader,
            self.start_executor,
            self.sweep_folder,
            tuple(self.family),
        )
        exit_code = run_verb(told)
        if exit_code:
            raise SystemExit(exit_code)
