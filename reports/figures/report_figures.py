"""All figures of a report: those that stand in its page, and with its curves those that are written as files."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from reports.curves import draw_curves, labels
from reports.figures.choice import effect_figures, section_figures
from reports.figures.curve_figures import curve_figure
from reports.figures.drawing import Drawing
from reports.figures.files import file_name
from reports.ranking import display_titles
from reports.section import Section
from reports.verdicts import SweepVerdicts


@dataclass(frozen=True)
class ReportFigures:
    """The figures of a report.

    Attributes:
        effects: of all hypotheses.
        of_sections: of each data set; their names are the same in each.
        files: all, and the curves, with names of their own.
    """

    effects: tuple[Drawing, ...]
    of_sections: tuple[tuple[Drawing, ...], ...]
    files: tuple[Drawing, ...]


def draw_figures(verdicts: Sequence[SweepVerdicts], sections: Sequence[Section]) -> ReportFigures:
    """Return the figures of a report."""
    effects = tuple(effect_figures(verdicts))
    of_sections = tuple(tuple(section_figures(section)) for section in sections)
    files = list(effects)
    for number, (section, figures) in enumerate(zip(sections, of_sections, strict=True), start=1):
        prefix = f"dataset{number}-" if len(sections) > 1 else ""
        files += [replace(one, name=f"{prefix}{one.name}") for one in (*figures, *_curves(section))]
    return ReportFigures(effects, of_sections, tuple(files))


def _curves(section: Section) -> Iterator[Drawing]:
    titles = display_titles(section.runs)
    by_mark = {mark: titles[key] for key, mark in labels(section.runs).items()}
    for number, chart in enumerate(draw_curves(section.runs), start=1):
        yield curve_figure(f"curves-{number}-{file_name(chart.title)}", chart, by_mark)
