"""Optuna's pictures of a study in our pages' look, each as a part of the page, as an SVG file and as a PNG file."""

import io
from collections.abc import Mapping
from dataclasses import dataclass

from markupsafe import Markup

from reports.search.look import HALF, UNITS_PER_INCH, WHOLE, our_look
from reports.search.optuna_trials import unheard
from reports.search.picture_plans import PicturePlan, picture_plans
from reports.search.restyling import with_plain_ticks, without_titles
from reports.search.svg import page_svg
from reports.search.trial_records import Searched

_PNG_DPI = 144


@dataclass(frozen=True)
class StudyPicture:
    """One picture.

    Attributes:
        name: short and plain, for file names.
        title: its heading.
        svg: it, for a page.
        file: it, as an SVG file of its own.
        png: it, as a PNG file.
        notes: what a reader must know.
        is_wide: whether it takes the whole width of a page.
    """

    name: str
    title: str
    svg: Markup
    file: str
    png: bytes
    notes: tuple[str, ...] = ()
    is_wide: bool = False

    @property
    def holds_pixels(self) -> bool:
        """Whether parts of it are painted, which a page has to allow."""
        return "data:image" in self.svg


def study_pictures(
    searched: Searched, importances: Mapping[str, Mapping[str, float]], prefix: str = ""
) -> tuple[list[StudyPicture], list[str]]:
    """Return the pictures of a search, and a line for each that cannot be drawn.

    A report must not fail because of a picture.

    Args:
        searched: the search.
        importances: by objective's metric, dimension's name to its share.
        prefix: before the names, where several searches are told of.
    """
    drawn: list[StudyPicture] = []
    left_out: list[str] = []
    with unheard(), our_look():
        from matplotlib import pyplot

        for plan in picture_plans(searched, importances):
            if plan.missing:
                left_out.append(f"{plan.title}: {plan.missing}")
                continue
            try:
                drawn.append(_drawn(plan, searched, prefix))
            except Exception as error:  # whatever an odd study makes Optuna or matplotlib stumble over
                left_out.append(f"{plan.title}: not drawn ({type(error).__name__}: {error})")
            finally:
                pyplot.close("all")
    return drawn, left_out


def _drawn(plan: PicturePlan, searched: Searched, prefix: str) -> StudyPicture:
    axes = plan.draw()
    figure = (axes.flat[0] if hasattr(axes, "flat") else axes).figure
    without_titles(figure)
    plan.adapt(figure)
    with_plain_ticks(figure)
    size = WHOLE if plan.is_wide else HALF
    figure.set_size_inches(*(side / UNITS_PER_INCH for side in size))
    text, picture = io.StringIO(), io.BytesIO()
    figure.savefig(text, format="svg", metadata={"Date": None}, dpi=_PNG_DPI)
    figure.savefig(picture, format="png", dpi=_PNG_DPI)
    name, n_trials = f"{prefix}{plan.name}", len(searched.records)
    alt = f"{plan.title}: search {searched.search.name}, {n_trials} trials. {' '.join(plan.notes)}".strip()
    return StudyPicture(
        name=name,
        title=plan.title,
        svg=page_svg(text.getvalue(), name, alt),
        file=text.getvalue(),
        png=picture.getvalue(),
        notes=plan.notes,
        is_wide=plan.is_wide,
    )
