"""The page that ``detsweep view`` opens: Streamlit runs this file, and this file alone knows Streamlit.

Names of files, classes and runs are others' choice: they are shown by what takes no markup.
"""

import math
import sys
from collections.abc import Sequence

import streamlit as st

from reports.diagnosis.findings import MAIN_TYPES, ErrorType
from reports.viewing.marked_pictures import draw_run, jpeg
from reports.viewing.selection import Item, Order, Question, Selection, Wanted, select
from reports.viewing.view import LETTERS, SIZES, View, ViewFiles, open_view
from reports.viewing.words import item_words
from runners.contract.errors import UserError

# Findings of an image that are told; more rings than these would hide what they are around.
N_WORDS = 6
PAGE_SIZES = (6, 12, 24)
N_KEPT_PICTURES = 500
PICTURE_PX, WIDE_PICTURE_PX = 900, 1200
OF_ONE_RUN = (Question.ERRORS_A, Question.IMAGES)


def main(told: str) -> None:
    """Show the page.

    Args:
        told: a `ViewFiles` as JSON.
    """
    st.set_page_config(page_title="detsweep view", layout="wide")
    try:
        view = st.cache_resource(show_spinner="Reading what the runs have found")(_open)(told)
    except UserError as error:
        st.error("This cannot be shown.")
        st.text("\n".join(error.lines()))
        return
    wanted, is_close_up, page_size = _ask(view, ViewFiles.load(told).min_score)
    for letter, run in zip(LETTERS, view.runs, strict=False):
        st.text(f"{letter}   {run.title}")
    chosen = select(view, wanted)
    st.text(f"{len(chosen.items.image)} findings in {len(chosen.images)} of {len(view.images)} images of {view.split}")
    if not chosen.images:
        highest = view.highest_score
        told_score = "" if highest is None else f" (the highest is {highest:.2f})"
        st.info(f"Nothing answers to this. Lower the score{told_score}, or leave a filter out.")
        return
    first = _page(wanted, len(chosen.images), page_size) * page_size
    for place in range(first, min(first + page_size, len(chosen.images))):
        _show(view, told, wanted, chosen, place, is_close_up)


def _open(told: str) -> View:
    return open_view(ViewFiles.load(told))


def _ask(view: View, first_score: float) -> tuple[Wanted, bool, int]:
    with st.sidebar:
        questions = list(Question) if len(view.runs) == 2 else list(OF_ONE_RUN)
        question = st.selectbox("Show", questions, format_func=lambda each: _question_words(each, len(view.runs)))
        order = st.selectbox("First", list(Order), format_func=lambda each: each.value)
        min_score = st.slider("Score at least", 0.0, 1.0, first_score, 0.05)
        errors = list(MAIN_TYPES)
        if not question.is_of_finds:
            errors = st.multiselect("Errors", list(MAIN_TYPES), format_func=lambda each: each.word) or errors
        numbers = range(len(view.class_names))
        classes = st.multiselect("Class", numbers, format_func=lambda each: view.class_names[each])
        called = st.multiselect("Called", numbers, format_func=lambda each: view.class_names[each])
        sizes = st.multiselect("Size", range(len(SIZES)), format_func=lambda each: SIZES[each])
        is_close_up = st.toggle("Close up")
        page_size = st.selectbox("Images on a page", PAGE_SIZES)
        st.caption(
            "Labels are dashed, detections solid; a white ring is around what is told. Sizes are COCO's. An object is "
            "found where a detection of its class overlaps it by half."
        )
    wanted = Wanted(
        question, _error_set(errors), frozenset(classes), frozenset(called), frozenset(sizes), min_score, order
    )
    return wanted, is_close_up, page_size


def _question_words(question: Question, n_runs: int) -> str:
    return question.value if n_runs == 2 else question.value.replace(" of A", "")


def _error_set(errors: Sequence[ErrorType]) -> frozenset[ErrorType]:
    return frozenset(ErrorType(error) for error in errors)


def _page(wanted: Wanted, n_images: int, page_size: int) -> int:
    """Return the page that is shown, from 0; another question begins at the first."""
    n_pages = math.ceil(n_images / page_size)
    if n_pages == 1:
        return 0
    number: int = st.number_input(
        f"Page, of {n_pages}",
        min_value=1,
        max_value=n_pages,
        step=1,
        key=f"page {hash((wanted, page_size))}",
        width=200,
    )
    return number - 1


def _show(view: View, told: str, wanted: Wanted, chosen: Selection, place: int, is_close_up: bool) -> None:
    image, items = chosen.images[place], chosen.items_of(place)
    ringed = tuple(items[:N_WORDS])
    words = [item_words(view, item, wanted.min_score) for item in items]
    more = [f"and {len(words) - N_WORDS} more"] if len(words) > N_WORDS else []
    draw = st.cache_data(max_entries=N_KEPT_PICTURES, show_spinner=False)(_draw)
    longest_px = PICTURE_PX if len(view.runs) == 2 else WIDE_PICTURE_PX
    with st.container(border=True):
        st.text(str(view.images[image]["file_name"]))
        st.text("\n".join([*words[:N_WORDS], *more]))
        for letter, run, column in zip(LETTERS, range(len(view.runs)), st.columns(len(view.runs)), strict=False):
            with column:
                try:
                    picture = draw(view, told, run, image, ringed, wanted.min_score, longest_px, is_close_up)
                except UserError as error:
                    st.text("\n".join(error.lines()))
                    continue
                if len(view.runs) == 2:
                    st.text(letter)
                st.image(picture, width="stretch")


def _draw(
    _view: View,
    told: str,
    run: int,
    image: int,
    items: Sequence[Item],
    min_score: float,
    longest_px: int,
    is_close_up: bool,
) -> bytes:
    """Return a picture. Streamlit keeps it by all that it is asked for but the view, which `told` stands for."""
    return jpeg(draw_run(_view, run, image, items, min_score, longest_px, is_close_up))


if __name__ == "__main__":
    main(sys.argv[1])
