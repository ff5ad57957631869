"""Python configs of MMDetection, read by a process of their own, and each only once."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import runners
from runners.contract.errors import UserError
from runners.contract.jsonfile import write_text
from runners.contract.mm_sources import find_sources, is_repeatable, parse_config
from runners.contract.tuple_json import load_with_tuples

READER = "runners.read_config"
# Raised with every change of what the reader tells: what it told before is then not asked of the cache.
_READER_VERSION = 1
_LIMIT_S = 120.0


@dataclass(frozen=True)
class MmFile:
    """What a config says, bases included.

    Attributes:
        path: the file.
        config: its keys (`runners.read_config.KEYS`) as plain data; tuples are tuples.
    """

    path: Path
    config: Mapping[str, Any]

    @property
    def name(self) -> str:
        """What the config is called."""
        return self.path.stem


def read_mm_file(path: Path, trusted: Sequence[Path]) -> MmFile:
    """Read a config; one that was read before, and says the same in all its files, is taken from the cache.

    Args:
        path: a Python config of mmdet 3.x.
        trusted: folders whose Python files may be executed.

    Raises:
        UserError: it lies elsewhere, or cannot be read; all problems.
    """
    sources = tuple(find_sources(path, trusted))
    here = path.absolute()
    told = _told(here, tuple(trusted), _digest(here, sources), sources)
    if "problems" in told:
        raise UserError(*told["problems"])
    return MmFile(here, told["config"])


def cache_folder() -> Path:
    """Return where what configs say is kept: the user's cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "detsweep" / "configs"


@lru_cache(maxsize=256)
def _told(path: Path, trusted: tuple[Path, ...], digest: str, sources: tuple[Path, ...]) -> Mapping[str, Any]:
    """Return what the reader says: the config, or its problems."""
    cached = cache_folder() / f"{digest}.json"
    is_kept = all(is_repeatable(parse_config(source), source.read_text(encoding="utf-8")) for source in sources)
    if is_kept:
        try:
            return _object(cached.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            pass  # read anew, and written anew
    text = _run_reader(path, trusted)
    if is_kept:
        _keep(cached, text)
    return _object(text)


def _object(text: str) -> Mapping[str, Any]:
    told = load_with_tuples(text)
    if not isinstance(told, dict) or not ({"config", "problems"} & told.keys()):
        raise ValueError("no answer of the reader")
    return told


def _run_reader(path: Path, trusted: Sequence[Path]) -> str:
    home = str(Path(next(iter(runners.__path__))).parent)
    # The first place to import from is our own, whatever folder of the same name stands in the working directory, which
    # stays the person's: a relative path that the config opens is meant from there.
    code = f"import sys; sys.path[0] = {home!r}; from {READER} import main; sys.exit(main())"
    command = [sys.executable, "-c", code, str(path), "--trusted", *map(str, trusted)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_LIMIT_S, check=False)
    except subprocess.TimeoutExpired:
        raise UserError(
            f"config cannot be read in {path}: not done after {_LIMIT_S:.0f} s; see what it executes"
        ) from None
    if done.returncode != 0 or not done.stdout.strip():
        said = done.stderr.strip().splitlines() or ["it said nothing"]
        raise UserError(f"config cannot be read in {path}: its reader ended with {done.returncode}: {said[-1]}")
    return done.stdout


def _digest(path: Path, sources: Sequence[Path]) -> str:
    """Return a digest of all that is read, and of what reads it; of the place too, which a config may name."""
    digest = hashlib.sha256(f"{_READER_VERSION} {version('mmdet')} {version('mmengine')} {path}".encode())
    for source in sources:
        digest.update(f"\n{source}\n".encode())
        digest.update(source.read_bytes())
    return digest.hexdigest()


def _keep(cached: Path, text: str) -> None:
    try:
        cached.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_text(cached, text)
    except OSError:
        pass  # a home that cannot be written costs half a second each time
