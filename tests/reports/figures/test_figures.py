"""Figures: laid out once, the same in the page, as SVG and as PNG; names in them do nothing."""

import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from reports.curves import draw_curves, labels
from reports.diagnosis.costs import Cost, CostPoint
from reports.figures.bar_chart import Bar, BarGroup, bar_chart
from reports.figures.curve_figures import curve_figure
from reports.figures.dot_chart import DotRow, dot_chart
from reports.figures.drawing import COLOURS, Block, Dot, Drawing, Stroke, Word, shortened, svg_file
from reports.figures.files import file_name, write_figures
from reports.figures.painting import SCALE, paint
from reports.figures.scatter_chart import pareto_chart
from reports.read import read_runs
from reports.safe_html import TEMPLATES
from reports.sweep_report import Report
from tests.reports.gallery import write_gallery

HOSTILE = '</svg><script>alert(1)</script>"><img src=x onerror=alert(2)>\x1b[2J'
SVG = "{http://www.w3.org/2000/svg}"


def effects(name: str = "a over b") -> Drawing:
    rows = [DotRow(name, 2.0, (-1.0, 5.0), told="+2.0 [-1.0, +5.0]"), DotRow("c over b", -4.0, (-6.0, -2.0), (-5, -3))]
    return dot_chart("effects", "Difference in points", rows, marks=[-1.0, 1.0], has_zero=True)


def bars(name: str = "a") -> Drawing:
    groups = [BarGroup("missed", [Bar(4.0), Bar(8.0)]), BarGroup("both", [Bar(None), Bar(2.0, is_faint=True)])]
    return bar_chart("errors", "What errors cost", [name, "b"], groups)


def pareto(name: str = "cheap") -> Drawing:
    points = [
        CostPoint(name, 0.5, {Cost.DEVICE_HOURS: 1.0}),
        CostPoint("dear", 0.6, {Cost.DEVICE_HOURS: 3.0}),
        CostPoint("beaten", 0.55, {Cost.DEVICE_HOURS: 4.0}),
    ]
    return pareto_chart("pareto", "What a point costs", points, Cost.DEVICE_HOURS)


def test_values_stand_where_they_belong() -> None:
    drawing = effects()
    large = [part for part in drawing.parts if isinstance(part, Dot) and part.radius > 4]
    zero = next(part for part in drawing.parts if isinstance(part, Stroke) and part.colour == "ink")
    lines = [part for part in drawing.parts if isinstance(part, Stroke) and part.width == 2 and len(part.points) == 2]
    intervals = [line for line in lines if line.points[0][1] == line.points[1][1]]
    assert intervals[0].points[0][0] < zero.points[0][0] < large[0].x < intervals[0].points[1][0]
    assert large[1].x < intervals[1].points[1][0] < zero.points[0][0]
    scale = (large[0].x - zero.points[0][0]) / 2.0
    assert large[1].x - zero.points[0][0] == pytest.approx(-4.0 * scale)


def test_bars_are_as_long_as_their_values_and_pale_where_nothing_follows_from_them() -> None:
    blocks = {part.told: part for part in bars().parts if isinstance(part, Block) and part.told}
    assert blocks["missed, b: 8.0"].width == pytest.approx(2 * blocks["missed, a: 4.0"].width)
    assert blocks["both, b: 2.0"].colour == "rule"
    assert "both, a" not in " ".join(blocks)


def test_the_front_is_full_and_what_is_beaten_is_hollow() -> None:
    dots = {part.told.partition(":")[0]: part for part in pareto().parts if isinstance(part, Dot)}
    assert {name: dot.is_hollow for name, dot in dots.items()} == {"cheap": False, "dear": False, "beaten": True}
    assert dots["dear"].y < dots["beaten"].y < dots["cheap"].y
    assert dots["cheap"].x < dots["dear"].x < dots["beaten"].x


@pytest.mark.parametrize(
    "drawing", [effects(HOSTILE), bars(HOSTILE), pareto(HOSTILE)], ids=lambda drawing: drawing.name
)
def test_names_are_only_text(drawing: Drawing) -> None:
    for text in (str(drawing.svg), svg_file(drawing)):
        root = ElementTree.fromstring(text)
        tags = {element.tag.removeprefix(SVG) for element in root.iter()}
        assert tags <= {"svg", "style", "rect", "g", "polyline", "circle", "text", "title"}
        assert "\x1b" not in text
        assert not any(name.startswith("on") for element in root.iter() for name in element.attrib)


@pytest.mark.parametrize("drawing", [effects(), bars(), pareto()], ids=lambda drawing: drawing.name)
def test_no_words_leave_the_figure(drawing: Drawing) -> None:
    for part in drawing.parts:
        if isinstance(part, Word):
            assert -1 <= part.x <= drawing.width + 1
            assert 0 <= part.y <= drawing.height


def test_a_picture_shows_what_the_figure_holds() -> None:
    drawing = bars()
    picture = np.asarray(paint(drawing))
    root = ElementTree.fromstring(svg_file(drawing))
    width, height = float(root.attrib["width"]), float(root.attrib["height"])
    assert picture.shape == (round(SCALE * height), round(SCALE * width), 3)
    block = next(part for part in drawing.parts if isinstance(part, Block) and part.told == "missed, b: 8.0")
    left, top = (float(number) for number in re.findall(r"[\d.]+", root.find(f"{SVG}g").attrib["transform"]))  # type: ignore[union-attr]
    y, x = SCALE * (top + block.y + block.height / 2), SCALE * (left + block.x + block.width / 2)
    expected = [int(COLOURS["c2"][place : place + 2], 16) for place in (1, 3, 5)]
    assert picture[round(y), round(x)].tolist() == expected


def test_files_have_the_colours_of_the_page() -> None:
    style = (TEMPLATES / "page.css").read_text(encoding="utf-8").partition("@media")[0]
    for name, colour in COLOURS.items():
        assert f"--{name}: {colour};" in style


def test_figures_of_an_older_report_go(tmp_path: Path) -> None:
    write_figures([effects(), bars()], tmp_path)
    (tmp_path / "mine.txt").write_text("kept")
    written = write_figures([bars()], tmp_path)
    assert [path.name for path in written] == ["errors.svg", "errors.png"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["errors.png", "errors.svg", "mine.txt"]


def test_curves_are_figures_too(tmp_path: Path) -> None:
    runs = read_runs(write_gallery(tmp_path)).runs
    titles = {mark: key for key, mark in labels(runs).items()}
    chart = draw_curves(runs)[0]
    drawing = curve_figure("curves", chart, titles)
    lines = [part for part in drawing.parts if isinstance(part, Stroke) and part.width != 1]
    assert len(lines) == len(chart.lines)
    assert ElementTree.fromstring(svg_file(drawing)).tag == f"{SVG}svg"


def test_a_report_has_its_figures_as_files(diagnosed: Report) -> None:
    names = {path.name for path in diagnosed.figures}
    for name in ("effects-1", "arms", "errors", "sizes"):
        assert {f"{name}.svg", f"{name}.png"} <= names
    for path in diagnosed.figures:
        if path.suffix == ".png":
            with Image.open(path) as picture:
                assert picture.width > 1000


def test_long_names_lose_their_middle() -> None:
    assert shortened("short", 100) == "short"
    assert len(shortened("a" * 50 + "b" * 50, 140)) == 20
    assert shortened("a" * 50 + "b" * 50, 140)[0] + shortened("a" * 50 + "b" * 50, 140)[-1] == "ab"
    assert file_name("val mAP, IoU 0.50 / ../x") == "val-map-iou-0-50-x"
