"""``detsweep ls``: the sweeps of an output folder, a line each, the newest last."""

import json
import shlex
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from runners.contract.errors import UserError
from runners.contract.folder import SweepFolder
from sweeper.verbs.report import open_console
from sweeper.verbs.status import best_ap50, sweep_state, unasked
from sweeper.verbs.words import read_words
from sweeper.view.sweep_reader import read_view
from sweeper.view.wording import duration, one_line

COLUMNS = ("sweep", "state", "done", "age", "AP50", "command")
NUMBERS = ("done", "age", "AP50")
GAP = "  "
# A command of fewer letters tells nothing.
MIN_COMMAND = 12
STYLES = {"live": "bold", "paused": "yellow", "failed": "red", "damaged": "red", "finished": "green"}


def run_ls(words: Sequence[str]) -> int:
    """Carry ``detsweep ls [--json]`` out.

    Returns:
        0, also if there are none.

    Raises:
        UserError: a word that it does not know.
    """
    asked = read_words("ls", words, ("--json",), n_names=0)
    listed = [describe_sweep(folder) for folder in all_sweeps(asked.output_dir)]
    if "--json" in asked.flags:
        print(json.dumps({"output_dir": str(asked.output_dir), "sweeps": listed}, ensure_ascii=False))
        return 0
    console = open_console()
    if not listed:
        told = f"no sweeps in {asked.output_dir}; start one with detsweep train, or say output_dir=FOLDER"
        console.print(Text(told), soft_wrap=True)
        return 0
    console.print(_table(listed, time.time(), console.width))
    return 0


def all_sweeps(output_dir: Path) -> list[SweepFolder]:
    """Return the sweeps of an output folder, oldest first."""
    return [SweepFolder(path.parent) for path in sorted(output_dir.glob("*/sweep.yaml"))]


def describe_sweep(folder: SweepFolder) -> dict[str, Any]:
    """Return one sweep as plain data; one whose journal is damaged says so and hides no other."""
    try:
        view = read_view(folder)
    except UserError as error:
        return {"sweep": folder.sweep_id, "folder": str(folder.path), "state": "damaged", "reason": str(error)}
    counts = view.counts()
    return {
        "sweep": folder.sweep_id,
        "folder": str(folder.path),
        "state": sweep_state(view),
        "n_jobs": len(view.jobs) + unasked(view),
        "n_done": sum(number for state, number in counts.items() if state.is_terminal),
        "counts": {state.value: number for state, number in counts.items()},
        "started_at": view.started_at,
        "best_val_ap50": best_ap50(view),
        "command": view.command,
    }


def _table(listed: Sequence[dict[str, Any]], now: float, width: int) -> Table:
    rows = [_cells(sweep, now) for sweep in listed]
    widths = [max(cell_len(name), *(row[number].cell_len for row in rows)) for number, name in enumerate(COLUMNS)]
    room = width - sum(widths[:-1]) - len(GAP) * len(COLUMNS)
    table = Table(box=None, padding=(0, len(GAP), 0, 0), pad_edge=False, header_style="dim")
    for name, needed in zip(COLUMNS[:-1], widths, strict=False):
        # A folded id can still be copied; a cut one cannot.
        justify: Literal["left", "right"] = "right" if name in NUMBERS else "left"
        table.add_column(name, justify=justify, overflow="fold", min_width=None if name == "sweep" else needed)
    if room >= MIN_COMMAND:
        table.add_column(COLUMNS[-1], no_wrap=True, overflow="ellipsis", max_width=room)
    for row in rows:
        table.add_row(*(row if room >= MIN_COMMAND else row[:-1]))
    return table


def _cells(sweep: dict[str, Any], now: float) -> list[Text]:
    state = sweep["state"]
    if state == "damaged":
        cells = ["", "", "", sweep["reason"]]
    else:
        ap50, began = sweep["best_val_ap50"], sweep["started_at"]
        command = shlex.join(sweep["command"]).removeprefix("detsweep ")
        age = "" if began is None else duration(now - began)
        cells = [f"{sweep['n_done']}/{sweep['n_jobs']}", age, "" if ap50 is None else f"{100 * ap50:.1f}", command]
    return [Text(sweep["sweep"]), Text(state, style=STYLES[state]), *(Text(one_line(cell)) for cell in cells)]
