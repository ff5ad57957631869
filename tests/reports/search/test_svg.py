"""matplotlib's SVG within a page: looks as attributes, ids of its own, names shown and never obeyed."""

import pytest

from reports.search.svg import page_svg

WRITTEN = """<?xml version="1.0" encoding="utf-8" standalone="no"?>
<svg xmlns:xlink="http://www.w3.org/1999/xlink" width="10pt" height="10pt" viewBox="0 0 10 10"
 xmlns="http://www.w3.org/2000/svg" version="1.1">
 <metadata><a href="https://matplotlib.org/">here</a></metadata>
 <defs><style type="text/css">*{stroke-linejoin: round}</style><path id="m1" d="M 0 0"/></defs>
 <g id="figure_1"><g clip-path="url(#p1)"><use xlink:href="#m1" x="1" y="2" style="fill: #1f6fb2; stroke: #1f6fb2"/></g>
 <text style="font: 700 11.5px 'DejaVu Sans', sans-serif; text-anchor: middle">NAME</text></g>
 <defs><clipPath id="p1"><rect x="0"/></clipPath></defs>
</svg>"""


def test_what_a_style_says_becomes_attributes() -> None:
    svg = page_svg(WRITTEN, "history", "what it shows")
    assert "style" not in svg
    assert 'fill="#1f6fb2"' in svg
    assert 'font-size="11.5" font-weight="700" text-anchor="middle"' in svg
    assert 'role="img" aria-label="what it shows"' in svg


def test_ids_are_of_one_picture_and_lead_where_they_led() -> None:
    svg = page_svg(WRITTEN, "history", "")
    assert 'id="history-m1"' in svg
    assert 'href="#history-m1"' in svg
    assert 'clip-path="url(#history-p1)"' in svg
    assert 'id="history-p1"' in svg
    assert "figure_1" not in svg


def test_nothing_in_it_leads_elsewhere() -> None:
    svg = page_svg(WRITTEN, "history", "")
    assert "http" not in svg
    assert "metadata" not in svg


@pytest.mark.parametrize("name", ["&lt;script&gt;alert(1)&lt;/script&gt;", "a &amp; b &lt;b&gt;"])
def test_a_name_is_shown_and_not_obeyed(name: str) -> None:
    svg = page_svg(WRITTEN.replace("NAME", name), "history", '"><script>')
    assert name in svg
    assert "<script>" not in svg


def test_letters_that_turn_text_round_are_seen() -> None:
    assert "\\x202e" in page_svg(WRITTEN.replace("NAME", "a\u202eb"), "history", "")
