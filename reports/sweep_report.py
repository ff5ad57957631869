"""Makes the report of a sweep or an experiment: its tables, as data and as files."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from reports.csv_file import csv_runs, csv_table
from reports.diagnosed_runs import diagnose_runs
from reports.displayed import displayed_tables
from reports.figures.files import FOLDER, write_figures
from reports.figures.report_figures import draw_figures
from reports.first_screen.screen import FirstScreen, first_screen, markdown_screen
from reports.gathering import Gathered
from reports.markdown import markdown_table
from reports.neutral import markdown_text
from reports.page import html_page
from reports.ranking import row_key
from reports.read import Experiment, read_runs
from reports.records import RunRecord, RunSet
from reports.replicates import read_elsewhere
from reports.run_list import run_list
from reports.search.confirmation import Confirmation, confirm_searches
from reports.search.section import SearchSection, search_sections
from reports.section import Section, split_sections
from reports.table import Table
from reports.verdicts import SweepVerdicts, judge_sweeps, verdict_tables
from runners.contract.displayed import read_displayed
from runners.contract.folder import SweepFolder
from runners.contract.jsonfile import write_text

PAGE = "index.html"
MARKDOWN = "report.md"
RUNS = "runs.csv"


@dataclass(frozen=True)
class Report:
    """A report that was written.

    Attributes:
        title: the sweep's or the experiment's name.
        screen: what a lead decides from.
        sections: one per data set; each holds its tables.
        page: one self-contained HTML file: first screen, tables, figures and curves.
        markdown: the same but for figures and pictures.
        csv: one file per table, and `runs.csv` with every recorded number.
        figures: each as SVG and as PNG.
        displayed: tables of others, which belong to no data set here.
        verdicts: what the sweeps' hypotheses came to; empty without any.
        leading: the tables that are to be seen first, which belong to no one data set: the verdicts.
        closing: the tables behind those of the data sets: the list of runs.
        searches: what there is to say of each search.
        is_all_searches: whether it is about searches and nothing else.
    """

    title: str
    screen: FirstScreen
    sections: tuple[Section, ...]
    page: Path
    markdown: Path
    csv: tuple[Path, ...]
    figures: tuple[Path, ...] = ()
    displayed: tuple[Table, ...] = ()
    verdicts: tuple[SweepVerdicts, ...] = ()
    leading: tuple[Table, ...] = ()
    closing: tuple[Table, ...] = ()
    searches: tuple[SearchSection, ...] = ()
    is_all_searches: bool = False

    @property
    def tables(self) -> tuple[Table, ...]:
        """All tables: verdicts, searches, then data set by data set, the list of runs, and last those of others."""
        of_searches = (table for search in self.searches for table in search.tables)
        of_sections = (table for section in self.sections for table in section.tables)
        return (*self.leading, *of_searches, *of_sections, *self.closing, *self.displayed)


def write_report(source: SweepFolder | Experiment, out: Path, output_dir: Path | None = None) -> Report:
    """Read a sweep or an experiment and write its report into a folder, over an older one.

    Args:
        source: a sweep's folder, finished or not, or an experiment of a tracking store.
        out: the folder; made if missing.
        output_dir: where tables of others lie; None: where the sweep does.

    Raises:
        UserError: the source cannot be read.
    """
    runs = read_runs(source)
    beside = source.path.parent if isinstance(source, SweepFolder) else None
    elsewhere = Gathered((), {})
    if isinstance(source, SweepFolder) and _has_claims(runs):
        elsewhere = read_elsewhere(source, runs.runs)
    confirmations = confirm_searches(runs, elsewhere.runs)
    displayed = displayed_tables(read_displayed(folder) if (folder := output_dir or beside) else [])
    return write_runs(runs, judge_sweeps(runs, elsewhere), out, displayed, confirmations)


def write_runs(
    runs: RunSet,
    verdicts: Sequence[SweepVerdicts],
    out: Path,
    displayed: Sequence[Table] = (),
    confirmations: Sequence[Confirmation] = (),
) -> Report:
    """Write the report of runs that have been read and judged into a folder, over an older one.

    Args:
        runs: what it is about.
        verdicts: what hypotheses came to.
        out: the folder; made if missing.
        displayed: tables of others.
        confirmations: what the candidates of searches came to.
    """
    verdicts = [*verdicts, *(confirmation.verdicts for confirmation in confirmations)]
    compared = {row_key(run): run for found in verdicts for run in _judged_runs(found)}
    diagnosed = diagnose_runs([*runs.runs, *compared.values()], compared)
    sections = split_sections(runs, diagnosed, verdicts)
    leading, closing = tuple(verdict_tables(verdicts)), (run_list(runs.runs, out),)
    searches, problems = search_sections(runs, confirmations)
    screen = first_screen(runs, verdicts, sections, diagnosed, searches, problems)
    figures = draw_figures(verdicts, sections)
    pictures = [picture for search in searches for picture in search.pictures]
    of_searches = [table for search in searches for table in search.tables]
    out.mkdir(parents=True, exist_ok=True)
    alone = [(f"{table.name}.csv", csv_table(table)) for table in (*leading, *of_searches, *closing, *displayed)]
    tables = [*_csv_files(sections, runs.runs), *alone]
    for name, text in tables:
        write_text(out / name, text)
    behind = (*closing, *displayed)
    shown = [(picture.title, picture.name) for picture in pictures]
    shown += [(figure.title, figure.name) for figure in figures.files]
    write_text(out / MARKDOWN, _markdown(runs, screen, (*leading, *of_searches), sections, behind, shown))
    write_text(out / PAGE, html_page(runs, screen, sections, figures, leading, displayed, closing, searches))
    return Report(
        title=runs.title,
        screen=screen,
        sections=sections,
        page=out / PAGE,
        markdown=out / MARKDOWN,
        csv=tuple(out / name for name, _ in tables),
        figures=tuple(write_figures(figures.files, out / FOLDER, pictures)),
        displayed=tuple(displayed),
        verdicts=tuple(verdicts),
        leading=leading,
        closing=closing,
        searches=tuple(searches),
        is_all_searches=bool(searches) and len(searches) == len(runs.sweeps),
    )


def _csv_files(sections: Sequence[Section], runs: Sequence[RunRecord]) -> Iterator[tuple[str, str]]:
    for number, section in enumerate(sections, start=1):
        prefix = f"dataset{number}-" if len(sections) > 1 else ""
        for table in section.tables:
            yield f"{prefix}{table.name}.csv", csv_table(table)
    yield RUNS, csv_runs(runs)


def _has_claims(runs: RunSet) -> bool:
    """Return whether anything is judged: hypotheses, or what searches found."""
    confirmed = any(run.trial is not None and run.trial.origin == "confirm" for run in runs.runs)
    return confirmed or any(sweep.hypothesis is not None for sweep in runs.sweeps)


def _judged_runs(verdicts: SweepVerdicts) -> list[RunRecord]:
    """Return the runs that a hypothesis' arms consist of, those of other sweeps too."""
    return [] if verdicts.judged is None else [run for cell in verdicts.judged.cells for run in cell.runs]


def _markdown(
    runs: RunSet,
    screen: FirstScreen,
    leading: Sequence[Table],
    sections: Sequence[Section],
    behind: Sequence[Table],
    figures: Sequence[tuple[str, str]],
) -> str:
    parts = [f"# {markdown_text(runs.title)}\n", markdown_screen(screen), *map(markdown_table, leading)]
    for section in sections:
        parts.append(f"{markdown_text(section.title)}\n")
        parts += [markdown_table(table) for table in section.tables]
    parts += [markdown_table(table) for table in behind]
    parts += [f"![{markdown_text(title)}]({FOLDER}/{name}.png)\n" for title, name in figures]
    return "\n".join(parts)
