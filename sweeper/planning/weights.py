"""Pretrained weights, looked after before any job starts: found in PyTorch's cache, or fetched into it once."""

import hashlib
import http.client
import json
import os
import re
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runners.contract.digest import sha256_of
from runners.contract.errors import UserError
from sweeper.planning.zoo import package_folder

N_TRIES = 3
PAUSE_S = 2.0
TIMEOUT_S = 30.0
CHUNK_BYTES = 1 << 20

# mmengine's short names, and its own list of what they stand for.
SCHEMES = {"torchvision": "torchvision_0.12.json", "open-mmlab": "openmmlab.json", "openmmlab": "openmmlab.json"}

# Where PyTorch's files carry their SHA-256: ``resnet50-0676ba61.pth`` begins with 0676ba61.
DIGEST_IN_NAME = re.compile(r"-([0-9a-f]{8,64})\.[^.]+$")

# How a file written by torch.save begins: a zip archive, or (before PyTorch 1.6) a pickle.
TORCH_MAGIC = (b"PK\x03\x04", b"\x80\x02")


@dataclass(frozen=True)
class Weights:
    """One file of pretrained weights that a job will open.

    Attributes:
        address: where it comes from; None for a file of the user's own.
        path: where the job looks for it.
    """

    address: str | None
    path: Path


def fetch_weights(configs: Iterable[Mapping[str, Any]], announce: Callable[[str], None] = print) -> None:
    """Make sure that every file of weights is there, so that no job has to reach for the network.

    Args:
        configs: the jobs' resolved configs.
        announce: told one line before each download.

    Raises:
        UserError: a file is missing and cannot be fetched, or is no file of PyTorch; all such problems together.
    """
    problems: list[str] = []
    # Thousands of jobs of a sweep have few models between them, and each is one object.
    distinct = {(id(config["model"]), config.get("load_from")): config for config in configs}.values()
    for weights in dict.fromkeys(weights for config in distinct for weights in needed_weights(config)):
        try:
            if weights.address is not None and not weights.path.exists():
                announce(f"fetching {weights.address} to {weights.path.parent}")
                _download(weights.address, weights.path)
            _check(weights)
        except UserError as error:
            problems += error.problems
    if problems:
        raise UserError(*problems)


def needed_weights(config: Mapping[str, Any]) -> list[Weights]:
    """Return the files of weights that a job opens, those that its model's parts start from and a whole detector's.

    Raises:
        UserError: a short name that mmengine does not know.
    """
    found = list(_pretrained(config["model"]))
    if config.get("load_from") is not None:
        found.append(config["load_from"])
    return [_locate(reference) for reference in dict.fromkeys(found)]


def cache_folder() -> Path:
    """Return the folder in which PyTorch looks for downloaded weights before it downloads them."""
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    home = os.environ.get("TORCH_HOME") or f"{cache}/torch"
    return Path(home).expanduser() / "hub" / "checkpoints"


def _pretrained(node: Any) -> Iterator[str]:
    if isinstance(node, Mapping):
        if node.get("type") == "Pretrained":
            yield node["checkpoint"]
        for value in node.values():
            yield from _pretrained(value)
    elif isinstance(node, list | tuple):
        for value in node:
            yield from _pretrained(value)


def _locate(reference: str) -> Weights:
    scheme, separator, rest = reference.partition("://")
    if not separator:
        return Weights(None, Path(reference))
    if scheme in SCHEMES:
        names: dict[str, str] = json.loads((package_folder("mmengine") / "hub" / SCHEMES[scheme]).read_text("utf-8"))
        if rest not in names:
            raise UserError(
                f"unknown weights in backbone.imagenet: {reference}; mmengine knows no such name, give an https address"
            )
        reference = names[rest]
    elif scheme != "https":
        raise UserError(f"unknown weights in backbone.imagenet: {reference}; give an https address or a file's path")
    return Weights(reference, cache_folder() / Path(urllib.parse.urlparse(reference).path).name)


def _check(weights: Weights) -> None:
    """Refuse what no job could load, before a job tries."""
    path = weights.path
    setting = "weights.path" if weights.address is None else "PyTorch's cache"
    if not path.is_file():
        found = "a folder" if path.is_dir() else "no such file"
        raise UserError(f"weights missing in {setting}: {path} ({found}); give weights.path=<a .pth file>")
    with path.open("rb") as file:
        begins = file.read(4)
    if not begins.startswith(TORCH_MAGIC):
        n_bytes = path.stat().st_size
        raise UserError(f"not a PyTorch file in {setting}: {path} ({n_bytes} bytes); fetch it again")
    wanted = _digest_in(path.name) if weights.address is not None else None
    if wanted is not None and not sha256_of(path).startswith(wanted):
        raise UserError(f"damaged weights in {setting}: {path} does not begin with SHA-256 {wanted}; delete the file")


def _download(address: str, path: Path) -> None:
    """Fetch a file under a temporary name, check it, and rename it.

    Raises:
        UserError: three tries failed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.part")
    reason = ""
    try:
        for number in range(N_TRIES):
            if number:
                time.sleep(PAUSE_S * number)
            try:
                _receive(address, unfinished)
            except (OSError, http.client.HTTPException) as error:
                reason = str(getattr(error, "reason", "") or error or type(error).__name__)
                continue
            unfinished.replace(path)
            return
    finally:
        unfinished.unlink(missing_ok=True)
    raise UserError(
        f"weights missing in PyTorch's cache: {address} cannot be fetched ({reason}, {N_TRIES} tries); "
        f"put the file into {path.parent}, or take another with weights=file weights.path=<a .pth file>"
    )


def _receive(address: str, target: Path) -> None:
    """Download to `target`.

    Raises:
        OSError: the connection failed, broke off, left https, or brought another file than the name promises.
    """
    with urllib.request.urlopen(address, timeout=TIMEOUT_S) as response:
        if urllib.parse.urlparse(response.url).scheme != "https":
            raise OSError(f"redirected to {response.url}, which is not https")
        digest = hashlib.sha256()
        with target.open("wb") as file:
            while chunk := response.read(CHUNK_BYTES):
                digest.update(chunk)
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
        n_promised = response.headers.get("Content-Length")
    if n_promised is not None and target.stat().st_size != int(n_promised):
        raise OSError(f"cut short after {target.stat().st_size} of {n_promised} bytes")
    wanted = _digest_in(urllib.parse.urlparse(address).path)
    if wanted is not None and not digest.hexdigest().startswith(wanted):
        raise OSError(f"the file's SHA-256 begins with {digest.hexdigest()[:8]}, not with {wanted[:8]}")


def _digest_in(name: str) -> str | None:
    match = DIGEST_IN_NAME.search(name)
    return match[1] if match else None
