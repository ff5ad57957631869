"""What every page of ours has in common: names that others chose are shown and never act, and nothing is fetched."""

import base64
import hashlib
from collections.abc import Sequence
from pathlib import Path

import jinja2
from markupsafe import Markup

from reports.neutral import plain_text

TEMPLATES = Path(__file__).parent / "templates"


def render(template: str, styles: Sequence[str], script: str, has_pictures: bool = False, **values: object) -> str:
    """Return a page that needs nothing else.

    Args:
        template: its name; it places ``policy``, ``style`` and ``script``.
        styles: names of style sheets.
        script: name of the one script that may run.
        has_pictures: whether pictures stand in it, as data addresses.
        values: what else the template needs; every text in it is escaped.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_plain,
    )
    style = "".join((TEMPLATES / name).read_text(encoding="utf-8") for name in styles)
    code = (TEMPLATES / script).read_text(encoding="utf-8")
    pictures = "img-src data:; " if has_pictures else ""
    return environment.get_template(template).render(
        style=Markup(style),
        script=Markup(code),
        policy=f"default-src 'none'; {pictures}style-src {_digest(style)}; script-src {_digest(code)}; base-uri 'none'",
        **values,
    )


def _plain(value: object) -> object:
    """Make control characters visible in every text that reaches the page; markup of ours passes."""
    return plain_text(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _digest(content: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"
