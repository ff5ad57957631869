"""Arrays that are kept beside a run, with a key that says what they were computed from."""

import os
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

KEY = "key"


def keep_arrays(path: Path, **arrays: NDArray[Any]) -> None:
    """Write arrays in one piece; a run that is another person's is read all the same, and nothing is kept."""
    try:
        path.parent.mkdir(exist_ok=True)
        # Two reports may be made at once; what is torn is computed anew.
        temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        with temporary.open("wb") as file:
            np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
        temporary.replace(path)
    except PermissionError:
        return


def kept_arrays(path: Path, key: str) -> dict[str, NDArray[Any]] | None:
    """Return what was kept under a key; None if it is not there, cut short, or of something else."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            if str(stored[KEY]) != key:
                return None
            return {name: stored[name] for name in stored.files if name != KEY}
    except (OSError, ValueError, KeyError, BadZipFile):
        return None
