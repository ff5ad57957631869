"""Takes the power out of names that others chose, before they reach a terminal, a spreadsheet or Markdown."""

import re

# What a spreadsheet takes for the beginning of a formula (OWASP, "CSV Injection").
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")
# An underscore between letters or digits is a plain one in every dialect that has tables.
MARKDOWN = re.compile(r"([\\`*\[\]<>|#~&]|(?<![^\W_])_|_(?![^\W_]))")


def plain_text(text: str) -> str:
    """Return text on one line in which control characters, and those that turn its direction, are seen, not obeyed."""
    return CONTROLS.sub(lambda match: f"\\x{ord(match[0]):02x}", text)


def csv_text(text: str) -> str:
    """Return text that a spreadsheet shows instead of computing it."""
    text = plain_text(text)
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text


def markdown_text(text: str) -> str:
    """Return text that Markdown shows as it is, in a table cell too."""
    return MARKDOWN.sub(r"\\\1", plain_text(text))
