"""The table in the form of MMDetection's model zoo, with the published numbers beside ours."""

from collections.abc import Sequence

from reports.marks import job_row, legend, title_cell
from reports.ranking import display_titles, ranked, row_key, with_width
from reports.records import RunRecord
from reports.table import AP_NOTE, Cell, Column, Table, ap_cell, missing_cell, number_cell, text_cell
from reports.zoo import READ_CONFIG, ZooEntry, backbone_title, detector_title, find_entry, schedule_title
from runners.contract import metrics as names
from runners.contract.errors import UserError

# How the zoo trained what it publishes; a job that was trained otherwise cannot be expected to give the same number.
ZOO_SETTINGS = {
    "image_size": "coco",
    "augment": "flip",
    "optimizer": "sgd",
    "weights": "imagenet",
    "batch_size": "16",
    "precision": "fp32",
}


def zoo_table(runs: Sequence[RunRecord]) -> Table:
    """Return ``Backbone | Lr schd | Mem (GB) | box AP`` for each job, and mmdet's published numbers beside them.

    Where the published numbers cannot be read, the table says so: days of training must not lose their report for it.
    """
    entries, problem = _published(runs)
    done = sorted((run for run in ranked(runs) if run.has_result), key=lambda run: run.params.get("detector", ""))
    titles = display_titles(runs)
    columns = (
        Column("Detector", is_number=False),
        Column("Backbone", is_number=False),
        Column("Lr schd", is_number=False),
        Column("Mem (GB)"),
        Column("box AP"),
        Column("published Mem (GB)"),
        Column("published box AP"),
        Column("settings that differ", is_number=False),
        Column("title", is_number=False),
    )
    return Table(
        name="zoo",
        title=with_width("Beside MMDetection's model zoo", done),
        columns=columns,
        rows=[job_row(run, [*_cells(run, entries.get(row_key(run))), title_cell(run, titles)]) for run in done],
        notes=(
            f"{AP_NOTE} Box AP: mean over IoU 0.50 to 0.95, ours on this data set's val split at the best epoch.",
            "Published numbers come from the metafiles of the installed mmdet: COCO val2017, trained on 8 GPUs. They"
            " tell what the architecture reaches there, not what it should reach on another data set.",
            "– as published number: the zoo has no model of this detector, backbone, neck, box loss and number of"
            " epochs; it never has one of narrow width.",
            *problem,
            *legend(done),
        ),
    )


def _published(runs: Sequence[RunRecord]) -> tuple[dict[str, ZooEntry | None], Sequence[str]]:
    try:
        return {row_key(run): find_entry(run.params) for run in runs if run.has_result}, ()
    except UserError as error:
        return {}, [f"Published numbers could not be read: {problem}." for problem in error.problems]


def _cells(run: RunRecord, entry: ZooEntry | None) -> list[Cell]:
    described = [detector_title(run.params), backbone_title(run.params), schedule_title(run.params)]
    ours = [
        number_cell(run.metrics.get(names.PEAK_MEMORY_GB), 1),
        ap_cell(run.at_best(names.metric("val", "bbox_mAP"))),
    ]
    published = [missing_cell(), missing_cell(), missing_cell()]
    if entry is not None:
        differing = [
            f"{key.replace('_', ' ')} {run.params[key]}"
            for key, usual in ZOO_SETTINGS.items()
            if run.params.get(key, usual) != usual
        ]
        if READ_CONFIG in run.params and run.params.get("lr_effective") != run.params.get("lr"):
            differing.append(f"learning rate {run.params['lr_effective']} for its batch")
        difference = text_cell(", ".join(differing) or "none")
        published = [number_cell(entry.memory_gb, 1), ap_cell(entry.box_ap), difference]
    return [*(text_cell(text) for text in described), *ours, *published]
