"""JSON on disk: whole files that are never seen half written, and append-only lines whose torn end is ignored."""

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from runners.contract.failpoints import failpoint


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write a JSON file so that a reader, or a crash, sees the old file or the new one and nothing between."""
    write_text(path, json.dumps(value, ensure_ascii=False, indent=1) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a text file by way of a temporary name, fsync and rename."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        failpoint("json.rename.before")
        temporary.replace(path)
        failpoint("json.rename.after")
    finally:
        temporary.unlink(missing_ok=True)


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        FileNotFoundError: there is none.
        ValueError: the file holds something else than one JSON object.
    """
    value = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(value, dict):
        raise ValueError(f"{path}: wanted a JSON object, found {type(value).__name__}")
    return value


def append_line(path: Path, value: Mapping[str, Any]) -> None:
    """Append one record in a single write, so that two readers never see two halves of different lines."""
    line = json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)  # the umask decides
    try:
        failpoint("line.append.before")
        os.write(descriptor, line.encode("utf-8"))
        failpoint("line.append.after")
    finally:
        os.close(descriptor)


def read_lines(path: Path, offset: int = 0) -> Iterator[tuple[dict[str, Any], int]]:
    """Yield (record, offset behind it) for every whole line from a byte offset on; a torn last line is not yielded.

    Args:
        path: a file of JSON objects, one a line; a missing file has no lines.
        offset: bytes already read, as an earlier call gave it.
    """
    if not path.exists():
        return
    with path.open("rb") as file:
        file.seek(offset)
        for line in file:
            if not line.endswith(b"\n"):
                return
            offset += len(line)
            yield json.loads(line), offset
