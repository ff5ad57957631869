"""The tables beside the study's: what has no result, train against val, costs, notes."""

from collections.abc import Sequence

from reports.diagnosed_runs import run_fit
from reports.diagnosis.fit import Fit, judge_arm
from reports.marks import job_row, legend, title_cell
from reports.ranking import VAL_AP_50, display_titles, ranked, row_key, with_width
from reports.records import RunRecord
from reports.same_recipe import find_arms
from reports.table import AP_NOTE, Cell, Column, Row, Table, Tone, ap_cell, missing_cell, number_cell, text_cell
from runners.contract import metrics as names
from runners.contract.states import JobState


def open_table(runs: Sequence[RunRecord]) -> Table:
    """Return the jobs that have no result, each with the reason."""
    missing = [run for run in runs if not run.has_result]
    titles = display_titles(runs)
    rows = [
        job_row(
            run,
            (
                title_cell(run, titles),
                text_cell(row_key(run) if len({other.sweep_id for other in runs}) > 1 else run.job_id),
                text_cell(run.state.value.lower(), Tone.BAD if run.state is JobState.FAILED else Tone.PLAIN),
                text_cell(run.failure) if run.failure else missing_cell(),
            ),
        )
        for run in missing
    ]
    return Table(
        name="without-result",
        title=with_width("Jobs without a result", missing),
        columns=tuple(Column(title, is_number=False) for title in ("title", "job", "state", "reason")),
        rows=rows,
        notes=("What each job printed stands in its folder: jobs/<job>/attempts/<number>/log.txt.", *legend(missing)),
    )


def fit_table(runs: Sequence[RunRecord]) -> Table:
    """Return train against val, which tells underfitting from overfitting."""
    done = [run for run in ranked(runs) if run.has_result]
    titles = display_titles(runs)
    train_ap_50 = names.metric("train", "bbox_mAP_50")
    rows = []
    for run in done:
        train, val = run.metrics.get(train_ap_50), run.at_best(VAL_AP_50)
        gap = None if train is None or val is None else train - val
        epoch = missing_cell() if run.best_epoch is None else Cell(_epochs_text(run), float(run.best_epoch))
        losses = [number_cell(run.at_best(name), 3) for name in (names.TRAIN_LOSS, names.VAL_LOSS)]
        fit = run_fit(run)
        told = text_cell(fit.fit.value, Tone.MISSING if fit.fit is Fit.NOT_KNOWN else Tone.PLAIN, fit.reason)
        cells = [title_cell(run, titles), epoch, ap_cell(train), ap_cell(val), ap_cell(gap), *losses]
        rows.append(job_row(run, [*cells, told, text_cell(fit.reason)]))
    headings = ("best epoch", "train mAP50", "val mAP50", "train − val", "train loss", "val loss")
    return Table(
        name="fit",
        title=with_width("Train against val", done),
        columns=(
            Column("title", is_number=False),
            *(Column(heading) for heading in headings),
            *(Column(heading, is_number=False) for heading in ("fit", "because")),
        ),
        rows=rows,
        notes=(
            f"{AP_NOTE} Train mAP50 is measured on a fixed subset of the training images, the same for all jobs.",
            "Fit by rules of thumb: still improving (the last quarter of the epochs added a point of val mAP50),"
            " overfitting (train 15 points above val), underfitting (train below 80), else converged.",
            *_disagreeing(done),
            "Losses at the best epoch; compare them only between jobs of one detector and box loss.",
            *legend(done),
        ),
    )


def _disagreeing(runs: Sequence[RunRecord]) -> list[str]:
    """Return a line for each recipe whose seeds do not fit in the same way."""
    told = []
    for arm in find_arms(runs):
        fits = judge_arm({f"seed {run.params.get('seed', '?')}": run_fit(run) for run in arm.runs})
        if fits.dissenting:
            told.append(f"{arm.name}: {fits.words}.")
    return told


def cost_table(runs: Sequence[RunRecord]) -> Table:
    """Return what each job took."""
    done = [run for run in ranked(runs) if run.has_result]
    titles = display_titles(runs)
    columns = {
        names.PARAMETERS_M: ("parameters (M)", 1, 1.0),
        names.MULTIPLY_ADDS_G: ("multiply-adds (G)", 1, 1.0),
        names.PEAK_MEMORY_GB: ("peak memory (GB)", 2, 1.0),
        names.IMAGES_PER_S: ("images/s", 1, 1.0),
        names.WALL_S: ("wall time (min)", 1, 1 / 60),
        names.FIRST_ITERATION_S: ("to first iteration (s)", 1, 1.0),
    }
    rows = []
    for run in done:
        cells = [title_cell(run, titles)]
        for name, (_, digits, factor) in columns.items():
            value = run.metrics.get(name)
            cells.append(number_cell(None if value is None else value * factor, digits))
        rows.append(job_row(run, cells))
    return Table(
        name="costs",
        title=with_width("Costs", done),
        columns=(Column("title", is_number=False), *(Column(title) for title, _, _ in columns.values())),
        rows=rows,
        notes=(
            "Multiply-adds of one forward pass at the test size, in 10⁹. Images per second while training, validation"
            " not counted. Peak memory of PyTorch's allocator on the GPU in 10⁹ bytes; – on the CPU, where it is not"
            " measured.",
            *legend(done),
        ),
    )


def notes_table(runs: Sequence[RunRecord]) -> Table:
    """Return what jobs noted beside their numbers, and which did."""
    titles = display_titles(runs)
    rows = []
    for note in dict.fromkeys(note for run in runs for note in run.notes):
        noted = [titles[row_key(run)] for run in runs if note in run.notes]
        who = "all" if len(noted) == len(runs) > 1 else ", ".join(noted)
        rows.append(Row("", (text_cell(note), text_cell(who))))
    return Table(
        name="notes",
        title="Notes of jobs",
        columns=(Column("note", is_number=False), Column("jobs", is_number=False)),
        rows=rows,
    )


def _epochs_text(run: RunRecord) -> str:
    n_epochs = run.params.get("n_epochs")
    return f"{run.best_epoch} of {n_epochs}" if n_epochs else str(run.best_epoch)
