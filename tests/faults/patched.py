"""``python -m tests.faults.patched VERB ...``: the command line with shorter patience, or with GPUs that are not there.

``DETSWEEP_TEST_PATCHES`` maps ``module:NAME`` to a value; ``DETSWEEP_TEST_GPUS`` names a JSON file of GPUs, which is
read again for every question, so that a test can take one away. Everything else is the real thing.
"""

import functools
import importlib
import json
import os
import sys
import time

from sweeper.cli import main
from tests.faults import fake_nvml

PATCHES, JUMP = "DETSWEEP_TEST_PATCHES", "DETSWEEP_TEST_CLOCK_JUMP_S"


def _patch() -> None:
    for place, value in json.loads(os.environ.get(PATCHES, "{}")).items():
        module_name, name = place.split(":")
        module = importlib.import_module(module_name)
        if isinstance(value, dict):  # keyword arguments that a class or function is called with from now on
            value = functools.partial(getattr(module, name), **value)
        elif not hasattr(module, name):
            raise AttributeError(place)
        setattr(module, name, value)
    if fake_nvml.VARIABLE in os.environ:
        sys.modules["pynvml"] = fake_nvml
        for place in ("sweeper.run", "sweeper.resume"):
            module = importlib.import_module(place)
            module.hold_machine = functools.partial(module.hold_machine, query=fake_nvml.query_gpus)
    if JUMP in os.environ:
        _jump(float(os.environ[JUMP]))


def _jump(by_s: float) -> None:
    """Set the wall clock by some seconds, a second after this process has started."""
    began, real = time.monotonic(), time.time
    time.time = lambda: real() + (by_s if time.monotonic() - began > 1.0 else 0.0)


if __name__ == "__main__":
    _patch()
    sys.exit(main())
