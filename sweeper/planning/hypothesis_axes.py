"""From a hypothesis to the axes of its sweep: arms, blocks and seeds."""

from collections.abc import Sequence

from omegaconf import DictConfig, OmegaConf, open_dict

from runners.contract.errors import UserError
from runners.contract.hypothesis import LOOKS, Hypothesis, read_hypothesis
from sweeper.planning.axes import Axes

_KEY = "hypothesis"
_SEED = "seed"


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


def composed_hypothesis(config: DictConfig) -> Hypothesis:
    """Return the hypothesis of a config that has one.

    Raises:
        UserError: it has none, or it is not sound.
    """
    found = find_hypothesis(config)
    if found is None:
        raise UserError("no hypothesis in override 'hypothesis=null'; name one: detsweep options hypothesis lists them")
    return found


def asked_hypotheses(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the names in ``hypothesis=a,b``, each once, and all other overrides.

    Args:
        arguments: overrides as they were typed; one names a hypothesis, the last of them counts.
    """
    typed = [word for word in arguments if word.startswith(f"{_KEY}=")]
    names = [name.strip() for name in typed[-1].partition("=")[2].split(",")]
    return list(dict.fromkeys(names)), [word for word in arguments if word not in typed]


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
    if hypothesis.until_decided and _SEED in typed:
        raise UserError(
            f"seeds in override '{typed[_SEED]}': {hypothesis.name} says until=decided, which adds seeds at "
            f"{', '.join(map(str, LOOKS))} in each arm; leave one of them out"
        )
    seeds = ",".join(map(str, hypothesis.first_seeds))
    axes = [f"{key}={','.join(values)}" for key, values in varied.items()]
    return [*axes, *([] if "seed" in typed else [f"seed={seeds}"]), *arguments]


def cross_arms(config: DictConfig, hypothesis: Hypothesis, axes: Axes) -> None:
    """Make blocks of what else a command line varies: arms are compared within each of its values.

    Args:
        config: the sweep's; its hypothesis is changed.
        hypothesis: the claim.
        axes: all that is varied.
    """
    known = {hypothesis.axis, *hypothesis.blocks, _SEED}
    more = {key.lstrip("+"): list(values) for key, values in axes.values.items() if key.lstrip("+") not in known}
    if more:
        blocks = {**{key: list(values) for key, values in hypothesis.blocks.items()}, **more}
        with open_dict(config):
            config.hypothesis.blocks = blocks
