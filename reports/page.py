"""Draws a report as one HTML page that needs nothing else: style, script and curves stand in it."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone

from reports.chart import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, Chart
from reports.curves import draw_curves, labels
from reports.figures.drawing import Drawing
from reports.figures.report_figures import ReportFigures
from reports.first_screen.screen import FirstScreen
from reports.ranking import VAL_AP_50, display_titles, ranked, row_key, width_warning
from reports.records import RunSet, SweepRecord
from reports.safe_html import render
from reports.search.section import SearchSection
from reports.section import Section
from reports.table import Table, ap_cell
from reports.tables import TEST_AP_50, scored_cell

# The figures that stand behind a table.
_PLACES = {"study": ("arms", "axes"), "errors": ("errors",), "own-sizes": ("sizes",), "prices": ("pareto",)}


@dataclass(frozen=True)
class Fact:
    """One number to be seen first: what it is, itself, and what belongs to it."""

    title: str
    text: str
    detail: str = ""


@dataclass(frozen=True)
class SectionView:
    """A section as the template needs it.

    Attributes:
        section: its title and tables.
        facts: what is to be seen first.
        charts: AP first, then losses.
        swatches: row key to the number and colour of its lines; empty text for a grey line, absent for none.
        legend: key, number and title of the jobs in colour, the best first.
        n_grey: number of jobs in grey.
        warning: of narrow width.
        figures: what stands behind a table, by the table's name.
    """

    section: Section
    facts: Sequence[Fact]
    charts: Sequence[Chart]
    swatches: dict[str, str]
    legend: Sequence[tuple[str, str, str]]
    n_grey: int
    warning: str
    figures: Mapping[str, Sequence[Drawing]]


def html_page(
    runs: RunSet,
    screen: FirstScreen,
    sections: Sequence[Section],
    figures: ReportFigures,
    leading: Sequence[Table] = (),
    displayed: Sequence[Table] = (),
    closing: Sequence[Table] = (),
    searches: Sequence[SearchSection] = (),
) -> str:
    """Return the page. Every name in it is escaped, and its policy lets no other script run and nothing be fetched.

    Args:
        runs: what the report is about.
        screen: what is to be seen first.
        sections: its data sets.
        figures: those of the whole, and of each section.
        leading: tables behind the first screen.
        displayed: tables of others, behind all else.
        closing: tables behind those of the data sets.
        searches: behind the verdicts.
    """
    return render(
        "page.html.jinja",
        ["page.css", "first_screen.css", "search.css"],
        "page.js",
        has_pictures=bool(screen.pictures) or any(one.holds_pixels for search in searches for one in search.pictures),
        heading=runs.title,
        warning=width_warning(runs.runs),
        screen=screen,
        sweeps=runs.sweeps,
        sections=[_view(section, drawn) for section, drawn in zip(sections, figures.of_sections, strict=True)],
        effects=figures.effects,
        displayed=displayed,
        leading=leading,
        searches=searches,
        closing=closing,
        has_others=bool(displayed) or any(run.noted for run in runs.runs),
        frame={"width": WIDTH, "height": HEIGHT, "left": LEFT, "right": RIGHT, "top": TOP, "bottom": BOTTOM},
        when=_when,
        images=_images,
        command=_command,
        duration=_duration,
    )


def _view(section: Section, figures: Sequence[Drawing]) -> SectionView:
    titles = display_titles(section.runs)
    marks = labels(section.runs)
    drawn = [run for run in ranked(section.runs) if run.curves]
    return SectionView(
        section=section,
        facts=_facts(section),
        charts=draw_curves(section.runs),
        swatches={row_key(run): marks.get(row_key(run), "") for run in drawn},
        legend=[(key, mark, titles[key]) for key, mark in marks.items()],
        n_grey=len(drawn) - len(marks),
        warning=width_warning(section.runs),
        figures={table: [one for one in figures if one.name in names] for table, names in _PLACES.items()},
    )


def _facts(section: Section) -> list[Fact]:
    runs = section.runs
    counts = {state: sum(run.state is state for run in runs) for state in dict.fromkeys(run.state for run in runs)}
    n_done = sum(run.has_result for run in runs)
    facts = [
        Fact(
            "jobs with a result",
            f"{n_done} of {len(runs)}",
            ", ".join(f"{count} {state.value.lower()}" for state, count in counts.items()),
        )
    ]
    scored = [run for run in ranked(runs) if run.has_result and run.at_best(VAL_AP_50) is not None]
    if scored:
        best = scored[0]
        test = scored_cell(best, "test", best.metrics.get(TEST_AP_50))
        title = display_titles(runs)[row_key(best)]
        facts.append(Fact("best val mAP50", ap_cell(best.at_best(VAL_AP_50)).text, title))
        how = "measured once, with the checkpoint chosen on val" if test.value is not None else ""
        facts.append(Fact("its test mAP50", test.text, how))
    return facts


def _when(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%d %H:%M UTC")


def _command(sweep: SweepRecord) -> str:
    return shlex.join(sweep.command)


def _images(sweep: SweepRecord) -> list[str]:
    splits = [split for split in ("train", "val", "test") if split in sweep.n_images]
    return [f"{sweep.n_images[split]} {split} images" for split in splits]


def _duration(sweep: SweepRecord) -> str:
    if sweep.started_at is None or sweep.ended_at is None:
        return ""
    seconds = sweep.ended_at - sweep.started_at
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
