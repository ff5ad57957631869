"""From a hypothesis to the axes of its sweep: arms, blocks and seeds."""

from collections.abc import Sequence

from omegaconf import DictConfig, OmegaConf

from runners.contract.errors import UserError
from runners.contract.hypothesis import Hypothesis, read_hypothesis


def find_hypothesis(config: DictConfig) -> Hypothesis | None:
    """Return the hypothesis that a config asks for.

    Args:
        config: composed without the axes.

    Raises:
        UserError: it is not sound.
    """
    if config.get("hypothesis") is None:
        return None
    node = OmegaConf.to_container(config.hypothesis, resolve=True)
    assert isinstance(node, dict)
    chosen = OmegaConf.select(config, "hydra.runtime.choices.hypothesis")
    return read_hypothesis({str(key): value for key, value in node.items()}, f"hypothesis/{chosen}.yaml")


def hypothesis_arguments(hypothesis: Hypothesis, arguments: Sequence[str]) -> list[str]:
    """Return the overrides of a hypothesis' sweep: its axes before what was typed.

    Args:
        hypothesis: the claim.
        arguments: overrides as they were typed; seeds among them take the place of the hypothesis' own.

    Raises:
        UserError: they set what the hypothesis varies.
    """
    varied = {**({} if hypothesis.axis is None else {hypothesis.axis: hypothesis.arms}), **hypothesis.blocks}
    typed = {word.partition("=")[0].lstrip("+~"): word for word in arguments}
    clashes = [
        f"axis of the hypothesis in override '{typed[key]}': {hypothesis.name} compares {key}={','.join(values)}; "
        f"give hypothesis.{'arms' if key == hypothesis.axis else f'blocks.{key}'}=[...] instead"
        for key, values in varied.items()
        if key in typed
    ]
    if clashes:
        raise UserError(*clashes)
    seeds = ",".join(map(str, range(hypothesis.n_seeds)))
    axes = [f"{key}={','.join(values)}" for key, values in varied.items()]
    return [*axes, *([] if "seed" in typed else [f"seed={seeds}"]), *arguments]
