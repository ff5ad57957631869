"""The tables of the study: the comparison of all jobs, and AP by object size."""

from collections.abc import Sequence

from reports.marks import job_row, legend, title_cell
from reports.noted import noted_cells, noted_columns, noted_keys, noted_legend
from reports.ranking import VAL_AP_50, display_titles, loss_title, ranked, with_width
from reports.records import RunRecord
from reports.table import (
    AP_NOTE,
    Cell,
    Column,
    Table,
    Tone,
    ap_cell,
    mark_best,
    missing_cell,
    number_cell,
    text_cell,
)
from runners.contract import metrics as names
from runners.contract.states import JobState

TEST_AP_50 = names.metric("test", "bbox_mAP_50")
SIZE_TITLES = {"bbox_mAP": "AP", "bbox_mAP_s": "small", "bbox_mAP_m": "medium", "bbox_mAP_l": "large"}

# States in which a job may still get, or has got, some numbers of a run that did not end.
UNFINISHED = (JobState.RUNNING, JobState.PAUSED, JobState.PRUNED)


def study_table(runs: Sequence[RunRecord]) -> Table:
    """Return the study's comparison: ``title | train loss | val mAP50 | test mAP50``, one row per job."""
    titles = display_titles(runs)
    marks = _loss_marks(runs)
    noted = noted_keys(runs)
    rows = []
    for run in ranked(runs):
        rows.append(job_row(run, [title_cell(run, titles), *_study_cells(run, marks), *noted_cells(run, noted)]))
    for column in (2, 3):
        rows = mark_best(rows, column)
    return Table(
        name="study",
        title=with_width("Comparison", runs),
        columns=(
            Column("title", is_number=False),
            *(Column("train loss"), Column("val mAP50"), Column("test mAP50")),
            *noted_columns(noted),
        ),
        rows=rows,
        notes=[*_study_notes(runs, marks), *noted_legend(noted)],
    )


def size_table(runs: Sequence[RunRecord]) -> Table:
    """Return AP by object size, on val and, where it is labelled, on test."""
    done = [run for run in ranked(runs) if run.has_result]
    titles = display_titles(runs)
    splits: tuple[names.Split, ...] = ("val", "test")
    measured = [split for split in splits if any(_split_ap(run, split, "bbox_mAP") is not None for run in done)]
    columns = [Column("title", is_number=False)]
    columns += [Column(f"{split} {title}") for split in measured for title in SIZE_TITLES.values()]
    rows = [
        job_row(
            run,
            [
                title_cell(run, titles),
                *(ap_cell(_split_ap(run, split, name)) for split in measured for name in SIZE_TITLES),
            ],
        )
        for run in done
    ]
    for column in range(1, len(columns)):
        rows = mark_best(rows, column)
    return Table(
        name="sizes",
        title=with_width("AP by object size", done),
        columns=columns,
        rows=rows,
        notes=(
            f"{AP_NOTE} Mean over IoU 0.50 to 0.95, at the best epoch.",
            "Small is below 32 × 32, medium below 96 × 96, large above, in pixels of the original image, whatever the"
            " input size.",
            "– means that the split holds no object of that size: there is no AP, which is not the same as 0.",
            *legend(done),
        ),
    )


def _study_cells(run: RunRecord, marks: dict[tuple[str, str], str]) -> tuple[Cell, Cell, Cell]:
    if run.has_result:
        loss = number_cell(run.at_best(names.TRAIN_LOSS), 3, marks.get(run.loss_terms, ""))
        return (
            loss,
            scored_cell(run, "val", run.at_best(VAL_AP_50)),
            scored_cell(run, "test", run.metrics.get(TEST_AP_50)),
        )
    state = text_cell(
        run.state.value.lower(), Tone.BAD if run.state is JobState.FAILED else Tone.MISSING, hint=run.failure
    )
    # A number that later epochs can still raise is shown, but neither sorted by nor called the best.
    so_far = run.at_best(VAL_AP_50) if run.state in UNFINISHED else None
    val = missing_cell() if so_far is None else missing_cell(f"{100 * so_far:.1f} so far")
    return Cell(state.text, None, state.tone, state.hint), val, missing_cell()


def scored_cell(run: RunRecord, split: names.Split, value: float | None) -> Cell:
    """Return a cell for an AP on a split (0-1), or why there is none; never 0 for what was not measured."""
    if value is not None or run.labelled is None:
        return ap_cell(value)
    if split not in run.labelled:
        return missing_cell(f"no {split} split")
    return ap_cell(None) if run.labelled[split] else missing_cell("not labelled")


def _study_notes(runs: Sequence[RunRecord], marks: dict[tuple[str, str], str]) -> list[str]:
    chosen_by = sorted({run.params["best_by"] for run in runs if "best_by" in run.params})
    by = f" ({', '.join(chosen_by)})" if chosen_by else ""
    notes = [
        f"{AP_NOTE} mAP50: mean over classes at IoU 0.50.",
        f"Train loss and val mAP50 are of the best epoch, chosen on val{by}; that choice makes val a little too good."
        " Test is measured once, with the checkpoint chosen on val.",
    ]
    if marks:
        terms_by_mark = ", ".join(f"{mark.strip()} {loss_title(terms)}" for terms, mark in marks.items())
        notes.append(
            f"Train losses marked differently are sums of different terms and not comparable: {terms_by_mark}. Compare"
            " losses only where the mark is the same."
        )
    if any(run.labelled is not None and run.labelled.get("test") is False for run in runs):
        notes.append("The test split has no annotations: it was predicted, not scored.")
    return [*notes, *legend(runs)]


def _loss_marks(runs: Sequence[RunRecord]) -> dict[tuple[str, str], str]:
    """Return a mark per kind of loss; none if all jobs have the same kind."""
    kinds = list(dict.fromkeys(run.loss_terms for run in runs if run.has_result))
    if len(kinds) < 2:
        return {}
    return {terms: f" ({chr(ord('a') + number)})" for number, terms in enumerate(kinds)}


def _split_ap(run: RunRecord, split: names.Split, name: str) -> float | None:
    full_name = names.metric(split, name)
    return run.at_best(full_name) if split == "val" else run.metrics.get(full_name)
