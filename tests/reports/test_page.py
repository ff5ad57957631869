"""The HTML page: self-contained, harmless, and the same numbers as the tables."""

import base64
import hashlib
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from reports.sweep_report import Report, write_report
from runners.contract.folder import SweepFolder
from runners.contract.states import JobState
from tests.reports.gallery import write_gallery
from tests.reports.sweep_writing import WrittenJob, write_sweep

if TYPE_CHECKING:
    from playwright.sync_api import Browser

HOSTILE = "</script><script>document.title='taken'</script><img src=x onerror=\"document.title='taken'\">"


class Elements(HTMLParser):
    """Gathers the tags of a page with their attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.found if name == tag]


@pytest.fixture
def report(tmp_path: Path) -> Report:
    return write_report(write_gallery(tmp_path), tmp_path / "report")


def hostile_sweep(output_dir: Path) -> SweepFolder:
    jobs = [
        WrittenJob(title=HOSTILE),
        WrittenJob(title="b", state=JobState.FAILED, failure=f"\x1b[2J{HOSTILE}", n_trained=2),
    ]
    return write_sweep(output_dir, jobs, name=HOSTILE)


def test_the_page_points_to_nothing_outside_itself(report: Report) -> None:
    page = report.page.read_text(encoding="utf-8")
    assert re.findall(r"https?:|url\(|@import|//\w+\.", page) == []
    elements = Elements(page)
    assert elements.of("link") == elements.of("img") == elements.of("iframe") == []
    assert [attributes for _, attributes in elements.found if "src" in attributes] == []
    # Nothing but the folders of the jobs, beside the report.
    addresses = [attributes["href"] or "" for _, attributes in elements.found if "href" in attributes]
    assert len(addresses) == 10
    assert all(re.fullmatch(r"\.\./[\w./-]+/jobs/\d{4}/", address) for address in addresses)


def test_the_policy_lets_only_the_pages_own_script_and_style_run(report: Report) -> None:
    page = report.page.read_text(encoding="utf-8")
    (policy,) = (
        meta["content"] or "" for meta in Elements(page).of("meta") if "content" in meta and "http-equiv" in meta
    )
    for tag in ("script", "style"):
        (content,) = re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy


def test_every_table_and_number_is_on_the_page(report: Report) -> None:
    page = report.page.read_text(encoding="utf-8")
    for table in report.tables:
        assert f"<h3>{table.title.replace(chr(39), '&#39;')}</h3>" in page
        for row in table.rows:
            for cell in row.cells:
                assert cell.text.replace("<", "&lt;").replace("'", "&#39;") in page


def test_each_kind_of_loss_has_charts_of_its_own(report: Report) -> None:
    charts = [svg["aria-label"] for svg in Elements(report.page.read_text(encoding="utf-8")).of("svg")]
    assert charts[0] == "val mAP50 (AP points), by epoch"
    for detector in ("Faster R-CNN", "Cascade R-CNN", "RetinaNet"):
        assert charts.count(f"train loss, {detector}, by epoch") == 1
        assert charts.count(f"val loss, {detector}, by epoch") == 1


def test_hostile_names_are_only_text(tmp_path: Path) -> None:
    page = write_report(hostile_sweep(tmp_path), tmp_path / "report").page.read_text(encoding="utf-8")
    elements = Elements(page)
    assert len(elements.of("script")) == 1
    assert elements.of("img") == []
    assert "\x1b" not in page


def test_sixty_jobs_have_a_page_of_reasonable_size(tmp_path: Path) -> None:
    jobs = [WrittenJob(0.3 + number / 200, settings={"seed": number}, title=f"job {number}") for number in range(60)]
    page = write_report(write_sweep(tmp_path, jobs), tmp_path / "report").page
    assert page.stat().st_size < 1_000_000


@pytest.mark.browser
def test_a_click_on_a_heading_sorts_and_what_has_no_number_stays_below(report: Report, browser: "Browser") -> None:
    page = browser.new_page()
    page.goto(report.page.as_uri())
    heading = page.locator("table.study th button", has_text="train loss")

    def losses() -> list[str]:
        return page.locator("table.study tbody td:nth-child(2)").all_text_contents()

    heading.click()
    falling = [float(text.split()[0]) for text in losses()[:7]]
    assert falling == sorted(falling, reverse=True)
    assert [text.strip() for text in losses()[7:]] == ["failed", "running", "planned"]
    heading.click()
    assert [float(text.split()[0]) for text in losses()[:7]] == sorted(falling)
    assert [text.strip() for text in losses()[7:]] == ["failed", "running", "planned"]
    assert page.locator("th[aria-sort=ascending]").count() == 1


@pytest.mark.browser
def test_a_job_is_lit_in_tables_and_charts_together(report: Report, browser: "Browser") -> None:
    page = browser.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(report.page.as_uri())
    page.locator("table.study tbody tr").first.hover()
    lit = page.locator("g.line.is-lit")
    assert lit.count() == 4  # val mAP50, val mAP, train loss, val loss
    chart = page.locator("svg").first
    chart.scroll_into_view_if_needed()
    spot = chart.locator("circle.chosen").last.bounding_box()
    assert spot is not None
    page.mouse.move(spot["x"] + 3, spot["y"] + 3)
    assert page.locator("#tip").inner_text() == "cascade-rcnn_resnet101_fpn_sgd_1024, epoch 12: 72.5"
    assert said == []


@pytest.mark.browser
@pytest.mark.parametrize("width", [380, 1280])
def test_the_page_never_scrolls_sideways(report: Report, browser: "Browser", width: int) -> None:
    page = browser.new_page(viewport={"width": width, "height": 800})
    page.goto(report.page.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.browser
def test_hostile_names_do_nothing_in_a_browser(tmp_path: Path, browser: "Browser") -> None:
    report = write_report(hostile_sweep(tmp_path), tmp_path / "report")
    page = browser.new_page()
    page.goto(report.page.as_uri())
    page.locator("table.study tbody tr").first.hover()
    assert page.title() != "taken"
    assert page.locator("table.study tbody td").first.inner_text().endswith(HOSTILE)
