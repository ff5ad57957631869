"""What a benchmark found: a table in the terminal, and a JSON file that says on which machine."""

import json
import os
import platform
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console
from rich.table import Table

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Result:
    """One benchmark's numbers.

    Attributes:
        name: of the benchmark, and of its file.
        title: of its table.
        rows: column to value; all rows have the same columns.
        notes: what has to be known to read the table.
        aims: what was aimed at, in words, and whether it was met.
        details: every single measurement, for the file.
    """

    name: str
    title: str
    rows: Sequence[Mapping[str, Any]]
    notes: Sequence[str] = ()
    aims: Mapping[str, bool] | None = None
    details: Mapping[str, Any] | None = None

    def tell(self, folder: Path = RESULTS) -> None:
        """Print the table, and write ``<name>.json``."""
        console = Console(highlight=False)
        if not console.is_terminal:
            console.width = 140
        table = Table(title=self.title, title_justify="left")
        for column in self.rows[0]:
            is_text = isinstance(self.rows[0][column], str)
            table.add_column(column, justify="left" if is_text else "right")
        for row in self.rows:
            table.add_row(*map(_shown, row.values()))
        console.print(table)
        for note in self.notes:
            console.print(note, style="dim", markup=False)
        for aim, is_met in (self.aims or {}).items():
            console.print(f"aim {'met' if is_met else 'MISSED'}: {aim}", markup=False)
        folder.mkdir(parents=True, exist_ok=True)
        content = {
            "benchmark": self.name,
            "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "machine": describe_machine(),
            "rows": [dict(row) for row in self.rows],
            "notes": list(self.notes),
            "aims": dict(self.aims or {}),
            "details": dict(self.details or {}),
        }
        (folder / f"{self.name}.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def describe_machine() -> dict[str, Any]:
    """Return what the numbers depend on; the load says whether something else was running."""
    return {
        "cores": len(psutil.Process().cpu_affinity()),
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "load_average_1_min": round(os.getloadavg()[0], 2),
    }


def fsync_s(folder: Path, n: int = 50) -> float:
    """Return how long this disk takes to make an appended line safe, in seconds, the median of `n`."""
    path = folder / "fsync-probe"
    times = []
    with path.open("ab", buffering=0) as file:
        for _ in range(n):
            file.write(b"x" * 200)
            began_s = time.perf_counter()
            os.fsync(file.fileno())
            times.append(time.perf_counter() - began_s)
    path.unlink()
    return statistics.median(times)


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return "" if value is None else str(value)
