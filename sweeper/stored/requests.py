"""What other terminals ask of a running sweep: files renamed into ``requests/``, consumed by its controller."""

import re
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from runners.contract.folder import SweepFolder
from runners.contract.jsonfile import read_json, write_json

OPS = ("stop", "pause", "continue", "next", "gpus", "add", "retry")
_ARGUMENTS = {"job", "minus", "plus", "jobs", "datasets", "axes", "look"}
_NAME = re.compile(r"(\d+\.\d+)-[0-9a-f]+\.json")


@dataclass(frozen=True)
class Request:
    """One thing that was asked.

    Attributes:
        name: of its file; no two are the same.
        op: one of `OPS`.
        arguments: what it is about: ``job``, ``minus`` and ``plus``, ``jobs``, and the ``look`` that asks for them.
    """

    name: str
    op: str
    arguments: Mapping[str, Any]

    @property
    def asked_at(self) -> float:
        """When, in wall-clock seconds since the epoch."""
        return float(self.name.partition("-")[0])

    @property
    def job(self) -> str | None:
        """The job that it is about; None for the whole sweep."""
        return self.arguments.get("job")


def ask(sweep: SweepFolder, op: str, **arguments: Any) -> None:
    """Ask the controller of a sweep for something; it looks twice a second.

    Whoever may read the sweep's folder may read the request: its controller can be another user's.

    Args:
        sweep: its folder.
        op: one of `OPS`.
        **arguments: plain values.
    """
    sweep.requests.mkdir(exist_ok=True)
    name = f"{time.time():.6f}-{secrets.token_hex(4)}.json"
    write_json(sweep.requests / name, {"op": op, "arguments": arguments})
    (sweep.requests / name).chmod(sweep.path.stat().st_mode & 0o666)


def read_requests(sweep: SweepFolder) -> list[Request]:
    """Return what has been asked and not been answered, oldest first; a file that is no request is left alone."""
    found = []
    for path in sorted(sweep.requests.iterdir()) if sweep.requests.is_dir() else []:
        if not _NAME.fullmatch(path.name):
            continue
        try:
            content = read_json(path)
            request = Request(path.name, str(content["op"]), dict(content["arguments"]))
        except (ValueError, KeyError, TypeError, OSError):
            continue
        if request.op in OPS and request.arguments.keys() <= _ARGUMENTS:
            found.append(request)
    return found


def drop_request(sweep: SweepFolder, request: Request) -> None:
    """Remove a request that has been journalled and answered."""
    (sweep.requests / request.name).unlink(missing_ok=True)
