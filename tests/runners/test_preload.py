"""Preloading leaves a process whose children can use CUDA."""

import subprocess
import sys

import pytest

from tests.runners.warm_server import ROOT

FORK_AND_ASK = """
import os
import torch
if os.fork() == 0:
    print("bad fork:", torch.cuda._is_in_bad_fork(), flush=True)
    os._exit(0)
os.wait()
"""


def ask(preparation: str) -> str:
    script = f"{preparation}\n{FORK_AND_ASK}"
    return subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True).stdout


def test_child_of_a_preloaded_process_can_use_cuda() -> None:
    assert ask("from runners.preload import preload; preload()") == "bad fork: False\n"


def test_plain_import_of_mmengine_would_spoil_it() -> None:
    """Holds the reason for `preload` up to date: when this fails, the stub there can go."""
    assert ask("import mmengine.runner") == "bad fork: True\n"


def test_preloading_too_late_is_refused() -> None:
    with pytest.raises(subprocess.CalledProcessError) as refusal:
        ask("import mmengine; from runners.preload import preload; preload()")
    assert "before torch and mmengine are imported" in refusal.value.stderr
