"""What a sweep ran on: versions of the stack and the commit of the folder it was started from."""

import platform
import subprocess
from importlib import metadata

STACK = (
    "detsweep",
    "torch",
    "torchvision",
    "mmdet",
    "mmcv",
    "mmcv-lite",
    "mmengine",
    "hydra-core",
    "omegaconf",
    "optuna",
    "mlflow",
    "numpy",
)


def stack_versions() -> dict[str, str]:
    """Return the installed version of each package of the stack, and Python's; nothing is imported for it."""
    found = {"python": platform.python_version()}
    for name in STACK:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def git_commit() -> str | None:
    """Return the commit of the working directory, ``-dirty`` behind it if files differ; None outside a repository."""
    try:
        shown = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
            capture_output=True,
            text=True,
            check=True,
        )
    except (FileNotFoundError, subprocess.CalledProcessError):
        return None
    return shown.stdout.strip()
