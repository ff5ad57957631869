"""Figures of a report: laid out once, written into the page, as SVG files and as PNG files."""
