"""The table of an evaluation, or of several things measured on the same images: one column each."""

from collections.abc import Mapping, Sequence

from reports.table import AP_NOTE, Cell, Column, Row, Table, ap_cell, mark_best, text_cell
from runners.contract.metrics import AP_NAMES, Split, class_metric, metric

_ROWS = ("AP", "AP50", "AP75", "AP small", "AP medium", "AP large")


def evaluation_table(
    title: str, split: Split, columns: Sequence[tuple[str, Mapping[str, float]]], classes: Sequence[str]
) -> Table:
    """Return average precisions by threshold, object size and class.

    Args:
        title: of the table.
        split: which split's metrics are shown.
        columns: heading and metrics (full names, AP in 0-1) of each.
        classes: in the order of the rows.
    """
    named = [(word, metric(split, name)) for word, name in zip(_ROWS, AP_NAMES, strict=True)]
    named += [(f"AP {name}", class_metric(split, name)) for name in classes]
    rows = [
        Row("", [text_cell(word), *(ap_cell(metrics.get(name)) for _, metrics in columns)])
        for word, name in named
        # A size or class without objects has no value in any column.
        if any(name in metrics for _, metrics in columns)
    ]
    headings = [Column(split, is_number=False), *(Column(heading) for heading, _ in columns)]
    return Table(
        "evaluation", title, headings, rows, [f"{AP_NOTE} AP50: at IoU 0.50; AP and the rest: mean over 0.50 to 0.95."]
    )


def members_table(
    title: str, split: Split, members: Sequence[tuple[str, Mapping[str, float]]], classes: Sequence[str]
) -> Table:
    """Return one row for each member of a comparison; the highest value of each column is marked.

    Args:
        title: of the table.
        split: which split's metrics are shown.
        members: name and metrics (full names, AP in 0-1) of each.
        classes: whose AP has a column each, behind the others.
    """
    named = [(word, metric(split, name)) for word, name in zip(_ROWS, AP_NAMES, strict=True)]
    named += [(f"AP {name}", class_metric(split, name)) for name in classes]
    shown = [(word, name) for word, name in named if any(name in metrics for _, metrics in members)]
    rows = [Row("", _member_cells(name, metrics, [key for _, key in shown])) for name, metrics in members]
    for number in range(1, len(shown) + 1):
        rows = mark_best(rows, number)
    headings = [Column("", is_number=False), *(Column(word) for word, _ in shown)]
    return Table("members", title, headings, rows, [f"{AP_NOTE} On {split}, all on the same images."])


def _member_cells(name: str, metrics: Mapping[str, float], keys: Sequence[str]) -> Sequence[Cell]:
    return [text_cell(name), *(ap_cell(metrics.get(key)) for key in keys)]
