"""A ring stands around what is told, a close-up shows its surroundings, and names stay readable over both."""

from collections.abc import Sequence

import numpy as np
import pytest
from PIL import Image

from reports.box_pictures import DrawnBox
from reports.diagnosis.findings import ErrorType
from reports.viewing import marked_pictures
from reports.viewing.marked_pictures import RING, draw_run, item_box
from reports.viewing.selection import Question, Wanted, select
from reports.viewing.view import View
from tests.reports.viewing.viewed_sweep import SIDE_PX, view_of_sweep


@pytest.fixture(scope="module")
def view(tmp_path_factory: pytest.TempPathFactory) -> View:
    return view_of_sweep(tmp_path_factory.mktemp("sweep"))


def test_a_ring_stands_around_what_is_told_in_either_picture(view: View) -> None:
    chosen = select(view, Wanted(Question.FOUND_BY_A))
    (item,) = chosen.items_of(0)
    assert item.error is ErrorType.NONE
    assert item_box(view, item) == (10.0, 10.0, 30.0, 30.0)
    for run in (0, 1):
        picture = np.asarray(draw_run(view, run, item.image, [item], 0.3, longest_side_px=512))
        plain = np.asarray(draw_run(view, run, item.image, [], 0.3, longest_side_px=512))
        is_ring = (picture == RING).all(axis=2) & (plain != RING).any(axis=2)
        rows, columns = np.nonzero(is_ring)
        scale = 512 / SIDE_PX
        assert 25 < columns.min() < 10 * scale  # outside the box, which begins there
        assert 40 * scale < columns.max() < 190
        assert 40 * scale < rows.max() < 190


def test_a_detection_below_the_score_is_not_drawn(view: View) -> None:
    shown = np.asarray(draw_run(view, 1, 0, [], 0.5, 512)), np.asarray(draw_run(view, 1, 0, [], 0.65, 512))
    differs = np.nonzero((shown[0] != shown[1]).any(axis=2))
    assert differs[0].min() > 250  # only the box at the bottom is gone
    assert differs[1].max() < 300


def test_a_close_up_shows_the_first_finding_and_only_what_is_around_it(
    view: View, monkeypatch: pytest.MonkeyPatch
) -> None:
    (item,) = select(view, Wanted(Question.FOUND_BY_B)).items_of(0)
    monkeypatch.setattr(marked_pictures, "AROUND", 1.2)
    drawn: list[set[str]] = []
    draw = marked_pictures.draw_on

    def note(picture: Image.Image, boxes: Sequence[DrawnBox], scale: float, classes: Sequence[str]) -> None:
        drawn.append({box.label for box in boxes})
        draw(picture, boxes, scale, classes)

    monkeypatch.setattr(marked_pictures, "draw_on", note)
    whole = draw_run(view, 1, 2, [item], 0.3, 640)
    near = draw_run(view, 1, 2, [item], 0.3, 640, is_close_up=True)
    assert near.size == (640, 640)
    green = [np.abs(np.asarray(each).astype(int) - (60, 90, 60)).max(axis=2) < 12 for each in (whole, near)]
    assert green[1].sum() > 3 * green[0].sum() > 0
    # The ring in the other corner is out of sight, and so is its name.
    assert drawn == [{"ring", "disc"}, {"disc"}]


def test_labels_alone_are_drawn_without_a_run(view: View) -> None:
    alone, found = (np.asarray(draw_run(view, run, 1, [], 0.3, 512)) for run in (None, 0))
    assert (alone != found).any()
