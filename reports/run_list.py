"""All runs of a report with their folders, as links that work as long as report and folders stay where they are."""

import os
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from reports.marks import job_row, legend, title_cell
from reports.ranking import display_titles
from reports.records import RunRecord
from reports.table import Cell, Column, Table, Tone, missing_cell, text_cell
from runners.contract.states import JobState

NAME = "run-list"


def run_list(runs: Sequence[RunRecord], out: Path) -> Table:
    """Return a row for each run, in the order of the plan.

    Args:
        runs: of all data sets.
        out: the folder of the report, from which links lead.
    """
    titles = display_titles(runs)
    rows = []
    for run in runs:
        state = text_cell(run.state.value.lower(), Tone.BAD if run.state is JobState.FAILED else Tone.PLAIN)
        told = [text_cell(run.sweep_id), text_cell(run.job_id), state, text_cell(run.params.get("seed", ""))]
        rows.append(job_row(run, [title_cell(run, titles), *told, _folder_cell(run, out)]))
    headings = ("title", "sweep", "job", "state", "seed", "folder")
    return Table(
        name=NAME,
        title="All runs",
        columns=tuple(Column(heading, is_number=False) for heading in headings),
        rows=rows,
        notes=("Folders hold each run's resolved config, log, weights and predictions.", *legend(runs)),
    )


def _folder_cell(run: RunRecord, out: Path) -> Cell:
    if run.folder is None or not run.folder.is_dir():
        return missing_cell("not on this machine")
    path = os.path.relpath(run.folder, out)
    # Without a colon, which quoting takes, an address is a path and nothing that acts.
    return Cell(path, path, link=f"{quote(path)}/")
