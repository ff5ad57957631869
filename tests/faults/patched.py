"""``python -m tests.faults.patched VERB ...``: the command line with shorter patience, or with GPUs that are not there.

``DETSWEEP_TEST_PATCHES`` maps ``module:NAME`` to a value (`NOTHING` for a function that does nothing);
``DETSWEEP_TEST_GPUS`` names a JSON file of GPUs, which is read again for every question, so that a test can take one
away; ``DETSWEEP_TEST_CLOCK`` names a file: once it is there, the wall clock is that many seconds off. Everything else
is the real thing.
"""

import functools
import importlib
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from sweeper.cli import main
from tests.faults import fake_nvml

NOTHING = "does nothing"
PATCHES, CLOCK = "DETSWEEP_TEST_PATCHES", "DETSWEEP_TEST_CLOCK"


def patch_and_run(words: Sequence[str]) -> int:
    """Patch this process as its environment says, and carry a command line out."""
    if CLOCK in os.environ:
        _patch_clock(Path(os.environ[CLOCK]))
    for place, value in json.loads(os.environ.get(PATCHES, "{}")).items():
        module_name, name = place.split(":")
        module = importlib.import_module(module_name)
        if value == NOTHING:
            value = _do_nothing
        elif isinstance(value, dict):  # keyword arguments that a class or function is called with from now on
            value = functools.partial(getattr(module, name), **value)
        elif not hasattr(module, name):
            raise AttributeError(place)
        setattr(module, name, value)
    if fake_nvml.VARIABLE in os.environ:
        sys.modules["pynvml"] = fake_nvml
        pool = importlib.import_module("sweeper.hardware.device_pool")
        take_lease = pool.take_lease
        pool.take_lease = lambda node: take_lease(fake_nvml.node_of(node) if node else node)
    sys.argv = ["detsweep", *words]
    return main(words)


def _do_nothing(*_: object) -> None:
    """Stand where something worked."""


def _patch_clock(flag: Path) -> None:
    real = time.time
    time.time = lambda: real() + (float(flag.read_text()) if flag.exists() else 0.0)
    # Its default was bound when it was imported.
    importlib.import_module("sweeper.stored.journal").Journal.__init__.__defaults__ = (time.time,)


if __name__ == "__main__":
    sys.exit(patch_and_run(sys.argv[1:]))
