"""Words of a command line that Hydra's own composition is not shown: settings of a config that it does not read.

Hydra lays them on what it composed itself, where a stage of a config of MMDetection is no setting, and gives up. They
come to the jobs behind it.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

from runners.contract.naming import DETECTOR_CONFIG, READ_DETECTORS

# Parts of a job's config that a config of MMDetection decides.
_PARTS = ("custom_hooks", "filter_cfg", "model", "optim_wrapper", "optimizer", "param_scheduler", "pipeline")

_held: ContextVar[tuple[str, ...]] = ContextVar("held", default=())


def held_words() -> list[str]:
    """Return what is held back at present, in the order in which it was typed."""
    return list(_held.get())


@contextmanager
def holding_back(words: Sequence[str]) -> Iterator[list[str]]:
    """Hold back what only jobs can take, and give the other words.

    Args:
        words: of a command line.
    """
    held = [word for word in words if _may_read(words) and _is_of_a_part(word)]
    before = _held.set(tuple(held))
    try:
        yield [word for word in words if word not in held]
    finally:
        _held.reset(before)


def chooses_reading(words: Sequence[str]) -> bool:
    """Whether a detector is chosen that reads a config, alone or among others."""
    chosen = [word.partition("=")[2] for word in words if word.startswith("detector=")]
    return any(option in READ_DETECTORS for value in chosen for option in value.split(","))


def _may_read(words: Sequence[str]) -> bool:
    return chooses_reading(words) or any(word.startswith("recipe=") for word in words)


def _is_of_a_part(word: str) -> bool:
    key = word.partition("=")[0].lstrip("+~")
    # Of several detectors Hydra composes the usual one, which may read nothing.
    return key == DETECTOR_CONFIG or ("." in key and key.partition(".")[0] in _PARTS)
