"""The static page: the images that tell most, self-contained, harmless, and small enough to be sent."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from reports.viewing import diff_page
from reports.viewing.diff_page import write_diff_page
from reports.viewing.telling import telling_chapters
from reports.viewing.view import View, open_view
from runners.contract.errors import UserError
from tests.reports.test_page import HOSTILE, Elements
from tests.reports.viewing.viewed_sweep import N_IMAGES, made_up, view_files, view_of, view_of_sweep

if TYPE_CHECKING:
    from playwright.sync_api import Browser


@pytest.fixture(scope="module")
def view(tmp_path_factory: pytest.TempPathFactory) -> View:
    return view_of_sweep(tmp_path_factory.mktemp("sweep"))


def test_every_kind_gets_its_share_of_the_images(view: View) -> None:
    chapters = telling_chapters(view, 0.3)
    assert [(chapter.title, chapter.n_findings) for chapter in chapters] == [
        ("Found by A, missed by B", 4),
        ("Found by B, missed by A", 8),
        ("Called by another name, by A alone", 4),
        ("Found where nothing is labelled, by B alone", 1),
    ]
    images = [told.image for chapter in chapters for told in chapter.images]
    # No image stands twice but those at the head of a chapter.
    assert sorted(set(images)) == list(range(N_IMAGES))
    assert len(images) - len(set(images)) <= len(chapters) - 1
    assert sum(len(chapter.images) for chapter in telling_chapters(view, 0.3, n_images=6)) == 6


def test_errors_of_one_run_come_by_what_they_cost(tmp_path: Path) -> None:
    truth, detections = made_up(4)
    view = view_of(tmp_path, truth, [detections])
    chapters = telling_chapters(view, 0.3, n_images=12)
    costs = [float(re.findall(r"costs ([\d.]+) points", chapter.title)[0]) for chapter in chapters]
    assert costs == sorted(costs, reverse=True)
    assert len(costs) == 6
    assert sum(len(chapter.images) for chapter in chapters) == 12


def test_a_rare_class_weighs_more_than_a_common_one(tmp_path: Path) -> None:
    truth, _ = made_up(5)
    for label in truth["annotations"]:
        label.update(category_id=1, iscrowd=0)
    rare = {**truth["annotations"][-1], "id": 10_000, "category_id": 2, "bbox": [1.0, 1.0, 30.0, 30.0]}
    truth["annotations"].append(rare)
    everything = [
        {key: label[key] for key in ("image_id", "category_id", "bbox")} | {"score": 0.9}
        for label in truth["annotations"]
    ]
    chapters = telling_chapters(view_of(tmp_path, truth, [everything, []]), 0.3)
    assert chapters[0].images[0].image == rare["image_id"]


def test_the_page_needs_nothing_else_and_shows_both_runs(view: View, tmp_path: Path) -> None:
    n_images = write_diff_page(view, tmp_path / "diff.html", 0.3)
    page = (tmp_path / "diff.html").read_text(encoding="utf-8")
    elements = Elements(page)
    assert len(elements.of("img")) == 2 * n_images >= 2 * N_IMAGES
    assert all((image["src"] or "").startswith("data:image/jpeg;base64,") for image in elements.of("img"))
    assert elements.of("link") == elements.of("iframe") == []
    assert re.findall(r"https?:|url\(|@import", page) == []
    assert "default-src &#39;none&#39;; img-src data:" in page or "default-src 'none'; img-src data:" in page
    assert "ring found by A (0.90), missed by B" in page
    assert "8 of 16" in page


def test_the_page_stays_small_whatever_the_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = view_files(tmp_path)
    noise = np.random.default_rng(0).integers(0, 255, (500, 500, 3), dtype=np.uint8)
    for path in (tmp_path / "data" / "images").iterdir():
        Image.fromarray(noise).save(path.with_suffix(".jpg"))
        path.with_suffix(".jpg").replace(path)
    view = open_view(files)
    write_diff_page(view, tmp_path / "large.html", 0.3)
    monkeypatch.setattr(diff_page, "MAX_BYTES", 1_500_000)
    write_diff_page(view, tmp_path / "diff.html", 0.3)
    assert (tmp_path / "diff.html").stat().st_size < 1_500_000 < (tmp_path / "large.html").stat().st_size < 10_000_000


def test_a_score_that_nothing_reaches_is_refused_and_what_is_alike_is_said(view: View, tmp_path: Path) -> None:
    path = tmp_path / "diff.html"
    with pytest.raises(UserError, match=r"no detection of val reaches 0\.95 \(the highest is 0\.9\); .*score=0\.5"):
        write_diff_page(view, path, 0.95)
    assert not path.exists()
    assert write_diff_page(replace(view, runs=[view.runs[0], view.runs[0]]), path, 0.3) == 0
    assert "Both find the same and err the same, of what has a score of 0.3 or more." in path.read_text("utf-8")


def test_an_image_that_is_gone_is_said(tmp_path: Path) -> None:
    files = view_files(tmp_path)
    (tmp_path / "data" / "images" / "image_3.png").unlink()
    write_diff_page(open_view(files), tmp_path / "diff.html", 0.3)
    page = (tmp_path / "diff.html").read_text(encoding="utf-8")
    assert page.count("the file cannot be shown") in (2, 4)


def test_two_runs_of_which_one_names_more_classes_are_compared(tmp_path: Path) -> None:
    files = view_files(tmp_path)
    path = Path(files.runs[1].predictions)
    found = json.loads(path.read_text())
    strange = {"image_id": 10, "category_id": 0, "bbox": [0, 100, 20, 20], "score": 0.99}
    path.write_text(json.dumps([*found, strange]))
    view = open_view(files)
    assert view.class_names == ["class 0", "ring", "disc"]
    assert view.n_objects.tolist() == [0, N_IMAGES, N_IMAGES]
    write_diff_page(view, tmp_path / "diff.html", 0.3)
    page = (tmp_path / "diff.html").read_text(encoding="utf-8")
    assert "class 0 where nothing is labelled (0.99)" in page
    assert "ring found by A (0.90), missed by B" in page
    write_diff_page(open_view(replace(files, runs=files.runs[:1])), tmp_path / "one.html", 0.3)
    assert "costs" in (tmp_path / "one.html").read_text(encoding="utf-8")


@pytest.mark.browser
def test_hostile_names_do_nothing_and_pictures_are_seen(tmp_path: Path, browser: "Browser") -> None:
    view = open_view(view_files(tmp_path, names=(HOSTILE, "disc"), title=HOSTILE))
    write_diff_page(view, tmp_path / "diff.html", 0.3)
    page = browser.new_page(viewport={"width": 380, "height": 800})
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.goto((tmp_path / "diff.html").as_uri())
    assert page.title() != "taken"
    assert HOSTILE in page.locator("ul.runs").inner_text()
    assert page.evaluate("[...document.images].filter((image) => image.loading = 'eager').length") >= 2 * N_IMAGES
    page.wait_for_function("[...document.images].every((image) => image.complete && image.naturalWidth > 100)")
    assert page.evaluate("document.documentElement.scrollWidth") <= 380
    assert said == []
