"""The page's own logic, run by Streamlit without a browser."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from reports.viewing.view import ViewFiles
from tests.reports.viewing.viewed_sweep import view_files

pytest.importorskip("streamlit")

if TYPE_CHECKING:
    from streamlit.testing.v1 import AppTest

PAGE = Path(__file__).parents[3] / "reports" / "viewing" / "streamlit_page.py"
# As markdown it would be a picture that is fetched from elsewhere.
HOSTILE = "![x](http://elsewhere.example/x.png) <b>bold</b>"
BOUND_S = 60


@pytest.fixture
def files(tmp_path: Path) -> ViewFiles:
    return view_files(tmp_path, names=(HOSTILE, "disc"), title=HOSTILE)


def opened(files: ViewFiles, monkeypatch: pytest.MonkeyPatch) -> "AppTest":
    from streamlit.testing.v1 import AppTest

    monkeypatch.setattr(sys, "argv", [str(PAGE), files.dump()])
    return AppTest.from_file(str(PAGE), default_timeout=BOUND_S).run()


def said(page: "AppTest") -> list[str]:
    return [each.value for each in page.text]


def chooser(page: "AppTest", kind: str, label: str) -> Any:
    return next(each for each in getattr(page, kind) if each.label == label)


def test_the_page_begins_with_the_score_that_was_typed(files: ViewFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    page = opened(replace(files, min_score=0.95), monkeypatch)
    assert page.slider[0].value == 0.95
    assert (
        page.info[0].value == "Nothing answers to this. Lower the score (the highest is 0.90), or leave a filter out."
    )


def test_questions_filters_and_pages_lead_to_what_they_ask_for(
    files: ViewFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = opened(files, monkeypatch)
    assert not page.exception
    assert "4 findings in 4 of 8 images of val" in said(page)
    assert [text for text in said(page) if text.endswith(".png")] == [f"image_{n}.png" for n in (1, 3, 5, 7)]
    shown = chooser(page, "selectbox", "Show")
    assert len(shown.options) == 7
    shown.select("B finds, A misses").run()
    assert "8 findings in 8 of 8 images of val" in said(page)
    assert len([text for text in said(page) if text.endswith(".png")]) == 6
    page.number_input[0].set_value(2).run()
    assert [text for text in said(page) if text.endswith(".png")] == ["image_6.png", "image_7.png"]
    # Another question begins at its first page.
    chooser(page, "selectbox", "Show").select("errors of A").run()
    assert "image_0.png" in said(page)
    chooser(page, "multiselect", "Errors").select("classification").run()
    assert "4 findings in 4 of 8 images of val" in said(page)
    assert f"disc called {HOSTILE} (0.80)" in said(page)
    page.slider[0].set_value(0.95).run()
    assert page.info[0].value.startswith("Nothing answers to this")
    assert not page.exception


def test_names_of_others_are_never_markup(files: ViewFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    page = opened(files, monkeypatch)
    assert f"B   {HOSTILE}" in said(page)
    for kind in ("markdown", "caption", "error", "warning", "info"):
        assert all("elsewhere" not in each.value for each in getattr(page, kind))


def test_one_run_has_fewer_questions_and_one_picture_of_each_image(
    files: ViewFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = ViewFiles(files.split, files.ann_file, files.image_dir, files.runs[:1])
    page = opened(alone, monkeypatch)
    assert chooser(page, "selectbox", "Show").options == ["errors", "all images, with the errors"]
    assert "8 findings in 8 of 8 images of val" in said(page)
    assert f"disc called {HOSTILE} (0.80)" in said(page)


def test_a_picture_that_is_gone_is_said_and_the_others_are_shown(
    files: ViewFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    (Path(files.image_dir) / "image_3.png").unlink()
    page = opened(files, monkeypatch)
    assert not page.exception
    assert any("image_3.png" in text and "cannot be read" in text for text in said(page))
    assert "image_5.png" in said(page)
