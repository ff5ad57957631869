"""Which findings and images are shown: held against TIDE on the detections that are left, and against plain loops."""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reports.diagnosis.error_types import find_errors
from reports.diagnosis.findings import MAIN_TYPES, ErrorType
from reports.viewing.selection import Order, Question, Wanted, select
from reports.viewing.view import View
from reports.viewing.words import item_words
from tests.reports.viewing.viewed_sweep import made_up, view_of, view_of_sweep


@pytest.fixture(scope="module")
def two_runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], list[list[dict[str, Any]]], View]:
    truth, one = made_up(1)
    other = made_up(1, other=True)[1]
    return truth, [one, other], view_of(tmp_path_factory.mktemp("made_up"), truth, [one, other])


@pytest.fixture(scope="module")
def view(tmp_path_factory: pytest.TempPathFactory) -> View:
    return view_of_sweep(tmp_path_factory.mktemp("sweep"))


def words(view: View, wanted: Wanted) -> list[tuple[str, list[str]]]:
    chosen = select(view, wanted)
    return [
        (
            str(view.images[image]["file_name"]),
            [item_words(view, item, wanted.min_score) for item in chosen.items_of(place)],
        )
        for place, image in enumerate(chosen.images)
    ]


@pytest.mark.parametrize("min_score", [0.0, 0.2, 0.5, 0.9])
def test_errors_at_a_score_are_those_of_tide_on_what_reaches_it(
    two_runs: tuple[dict[str, Any], list[list[dict[str, Any]]], View], min_score: float
) -> None:
    truth, runs, view = two_runs
    for question, detections in zip((Question.ERRORS_A, Question.ERRORS_B), runs, strict=True):
        left = find_errors(truth, [entry for entry in detections if entry["score"] >= min_score])
        is_wrong = (left.error != ErrorType.NONE) & ~left.is_ignored
        theirs = Counter(zip(left.error[is_wrong].tolist(), left.image[is_wrong].tolist(), strict=True))
        items = select(view, Wanted(question, min_score=min_score)).items
        assert Counter(zip(items.error.tolist(), items.image.tolist(), strict=True)) == theirs
        kinds = {error for error, _ in theirs}
        assert kinds == {int(error) for error in MAIN_TYPES} or (min_score > 0.5 and ErrorType.MISSED in kinds)


def test_what_one_finds_and_the_other_misses_is_what_two_lists_say(
    two_runs: tuple[dict[str, Any], list[list[dict[str, Any]]], View],
) -> None:
    truth, runs, view = two_runs
    found = []
    for detections in runs:
        left = find_errors(truth, [entry for entry in detections if entry["score"] >= 0.4])
        found.append({row.object for row in left.records() if row.error is ErrorType.NONE})
    for number, question in enumerate((Question.FOUND_BY_A, Question.FOUND_BY_B)):
        items = select(view, Wanted(question, min_score=0.4)).items
        assert set(items.object.tolist()) == found[number] - found[1 - number] != set()


def test_an_error_that_both_make_is_no_ones_alone(
    two_runs: tuple[dict[str, Any], list[list[dict[str, Any]]], View], tmp_path: Path
) -> None:
    truth, runs, view = two_runs
    alone = select(view, Wanted(Question.ONLY_A)).items
    assert 0 < len(alone.image) < len(select(view, Wanted(Question.ERRORS_A)).items.image)
    twins = view_of(tmp_path, truth, [runs[0], runs[0]])
    assert select(twins, Wanted(Question.ONLY_A)).images == select(twins, Wanted(Question.FOUND_BY_B)).images == []
    # A twin whose scores are too low makes none of them.
    faint = [{**entry, "score": 0.2 * entry["score"]} for entry in runs[0]]
    view = view_of(tmp_path, truth, [runs[0], faint])
    errors = frozenset(MAIN_TYPES) - {ErrorType.MISSED}
    alone, every = (
        select(view, Wanted(question, errors)).items.row.tolist() for question in (Question.ONLY_A, Question.ERRORS_A)
    )
    assert alone == every != []


def test_questions_about_two_runs_are_answered_in_words(view: View) -> None:
    assert words(view, Wanted(Question.FOUND_BY_A)) == [
        (f"image_{number}.png", ["ring found by A (0.90), missed by B"]) for number in (1, 3, 5, 7)
    ]
    by_b = dict(words(view, Wanted(Question.FOUND_BY_B)))
    assert by_b["image_0.png"] == ["disc found by B (0.70), missed by A"]
    assert by_b["image_1.png"] == ["disc found by B (0.70), by A with a wrong name or box (0.80)"]
    only_a = dict(words(view, Wanted(Question.ONLY_A)))
    assert only_a["image_1.png"] == ["disc called ring (0.80)"]
    assert only_a["image_0.png"] == ["disc missed by A, found by B (0.70)"]
    assert words(view, Wanted(Question.ONLY_B, frozenset({ErrorType.BACKGROUND}))) == [
        ("image_0.png", ["disc where nothing is labelled (0.60)"])
    ]


def test_filters_leave_what_they_name(view: View) -> None:
    asked = Wanted(Question.ERRORS_A)
    assert Counter(select(view, asked).items.error.tolist()) == {ErrorType.CLASSIFICATION: 4, ErrorType.MISSED: 4}
    assert len(select(view, replace(asked, called=frozenset({0}))).items.image) == 4  # called ring
    assert len(select(view, replace(asked, classes=frozenset({1}))).items.image) == 8  # discs
    assert len(select(view, replace(asked, called=frozenset({1}))).items.image) == 0
    assert len(select(view, replace(asked, sizes=frozenset({0}))).items.image) == 0  # 40 x 40 is medium
    assert len(select(view, replace(asked, sizes=frozenset({1}))).items.image) == 8
    assert len(select(view, replace(asked, min_score=0.85)).items.image) == 8  # all discs are missed then
    assert set(select(view, replace(asked, min_score=0.85)).items.error.tolist()) == {ErrorType.MISSED}


@pytest.mark.parametrize("order", list(Order))
def test_images_come_in_the_order_that_is_asked_for(
    two_runs: tuple[dict[str, Any], list[list[dict[str, Any]]], View], order: Order
) -> None:
    view = two_runs[2]
    chosen = select(view, Wanted(Question.ERRORS_A, order=order))
    keys: list[Any] = []
    for image, numbers in zip(chosen.images, chosen.numbers, strict=True):
        assert set(chosen.items.image[numbers].tolist()) == {image}
        if order is Order.MOST:
            keys.append(-len(numbers))
        elif order is Order.SCORE:
            keys.append(-chosen.items.score[numbers].max())
        elif order is Order.OVERLAP:
            keys.append(np.nan_to_num(chosen.items.iou[numbers], nan=2.0).min())
        elif order is Order.NAME:
            keys.append(view.images[image]["file_name"])
        else:
            assert order is Order.SMALLEST
            sides = [
                view.runs[0].boxes[row, 2:] if thing < 0 else view.labels.boxes[thing, 2:]
                for row, thing in zip(chosen.items.row[numbers], chosen.items.object[numbers], strict=True)
            ]
            keys.append(min(float(np.prod(side)) for side in sides))
    assert len(keys) > 5
    assert keys == sorted(keys)


def test_all_images_are_there_if_all_are_asked_for(view: View) -> None:
    chosen = select(view, Wanted(Question.IMAGES, frozenset({ErrorType.CLASSIFICATION})))
    assert chosen.images == [1, 3, 5, 7, 0, 2, 4, 6]
    assert [len(chosen.items_of(place)) for place in range(8)] == [1, 1, 1, 1, 0, 0, 0, 0]
