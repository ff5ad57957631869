"""The first screen in a browser: it prints to one page, links lead to folders, pictures and names do nothing."""

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from reports.figures.report_figures import draw_figures
from reports.first_screen.questions import N_ROWS
from reports.first_screen.screen import N_DECISIONS, N_STEPS, FirstScreen, NextCommand
from reports.page import html_page
from reports.read import read_runs
from reports.sweep_report import Report, write_report
from runners.contract.folder import SweepFolder
from tests.reports.diagnosed_sweep import write_diagnosed_sweep
from tests.reports.test_page import HOSTILE, Elements

if TYPE_CHECKING:
    from playwright.sync_api import Browser

# A4 less its margins of 12 mm, at 96 pixels an inch.
A4_WIDTH, A4_HEIGHT = 703, 1032


def filled(report: Report, is_dense: bool) -> FirstScreen:
    """Return a screen as full as one gets, or as one that is printed in letters of the usual size."""
    screen, word = report.screen, "faster_rcnn resnext101_32x4d over faster_rcnn resnet101"
    (row,) = screen.questions.rows
    cells = [replace(row.cells[0], text=f"{word}, val mAP50"), *row.cells[1:]]
    cells[4] = replace(cells[4], text="optimizer.lr (accepted), weights, batch_size")
    cells[5] = replace(
        cells[5], text="1.3 times the device-hours (0.12 against 0.09), 1.1 times the memory (7.2 against 6)"
    )
    line = f"Errors, in points of AP50 that they cost, {word}: classification 3.3 against 29.5 (-26.3 [-31.8, -20.7])"
    n_lines, n_rows = (6, N_ROWS) if is_dense else (2, 4)
    command = NextCommand(
        "a loss of the overlap itself", line, "detsweep train " + "optimizer.weight_decay=0.001 " * 11
    )
    return FirstScreen(
        decisions=[f"Not decided, leans to better: {word}, {line}"] * (N_DECISIONS if is_dense else 1),
        questions=replace(screen.questions, rows=[replace(row, cells=cells)] * n_rows, notes=("9 more below.",)),
        reasons=[line] * n_lines,
        open=[line] * (n_lines + 1),
        commands=[command] * N_STEPS,
        pictures=[replace(screen.pictures[0], caption="class and box: Paper pack called Plastic bag, 0.93")] * 6,
    )


def test_pictures_stand_in_the_page_and_nothing_is_fetched(diagnosed: Report) -> None:
    page = diagnosed.page.read_text(encoding="utf-8")
    elements = Elements(page)
    sources = [attributes["src"] or "" for attributes in elements.of("img")]
    assert len(sources) == len(diagnosed.screen.pictures)
    assert all(source.startswith("data:image/jpeg;base64,") for source in sources)
    (policy,) = (meta["content"] or "" for meta in elements.of("meta") if "http-equiv" in meta)
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'sha256-")
    assert re.findall(r"https?:|url\(|@import", re.sub(r"base64,[\w+/=]+", "", page)) == []
    assert diagnosed.page.stat().st_size < 600_000


def test_hostile_classes_are_only_text(tmp_path: Path) -> None:
    sweep = write_diagnosed_sweep(tmp_path, names=(HOSTILE, f"{HOSTILE} too", "Glass"))
    report = write_report(sweep, sweep.report)
    page = report.page.read_text(encoding="utf-8")
    elements = Elements(page)
    assert len(elements.of("script")) == 1
    assert all((attributes["src"] or "").startswith("data:") for attributes in elements.of("img"))
    assert "&lt;img src=x" in page
    assert HOSTILE not in report.markdown.read_text(encoding="utf-8")
    assert all("<script" not in path.read_text() for path in report.figures if path.suffix == ".svg")


@pytest.mark.browser
@pytest.mark.parametrize("is_dense", [True, False])
def test_a_full_screen_prints_to_one_page(
    diagnosed: Report, browser: "Browser", tmp_path: Path, is_dense: bool
) -> None:
    screen = filled(diagnosed, is_dense)
    assert screen.is_dense is is_dense
    runs = read_runs(SweepFolder(diagnosed.page.parent.parent))
    figures = draw_figures(diagnosed.verdicts, diagnosed.sections)
    path = tmp_path / "index.html"
    path.write_text(html_page(runs, screen, diagnosed.sections, figures, diagnosed.leading))
    page = browser.new_page(viewport={"width": A4_WIDTH, "height": A4_HEIGHT})
    page.goto(path.as_uri())
    page.emulate_media(media="print")
    ends = page.evaluate("document.querySelector('.first').getBoundingClientRect().bottom")
    assert ends <= A4_HEIGHT
    assert page.evaluate("getComputedStyle(document.querySelector('.first')).breakAfter") == "page"


@pytest.mark.browser
@pytest.mark.parametrize("width", [380, 1280])
def test_figures_and_pictures_do_not_make_the_page_scroll_sideways(
    diagnosed: Report, browser: "Browser", width: int
) -> None:
    page = browser.new_page(viewport={"width": width, "height": 800})
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.goto(diagnosed.page.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    shown = page.evaluate("[...document.querySelectorAll('.telling img')].map((image) => image.naturalWidth)")
    assert len(shown) == len(diagnosed.screen.pictures)
    assert all(pixels > 100 for pixels in shown)
    assert said == []


@pytest.mark.browser
def test_a_run_leads_to_its_folder(diagnosed: Report, browser: "Browser") -> None:
    page = browser.new_page()
    page.goto(diagnosed.page.as_uri())
    page.locator("table.run-list a").first.click()
    assert page.url == (diagnosed.page.parent.parent / "jobs" / "0001").as_uri() + "/"
    assert "config.yaml" in page.content()
