"""Turns matplotlib's SVG into one that may stand in our pages, whose policy lets no style within elements act."""

import re
from xml.etree import ElementTree

from markupsafe import Markup

from reports.neutral import plain_text

_SVG, _XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
_FONT = re.compile(r"(?:(?:italic|oblique|normal)\s+)?(?:(bold|\d{3})\s+)?([\d.]+)px\s+.*")
# Parts that a picture in a page has no use for.
_DROPPED = ("metadata", "style", "title")


def page_svg(text: str, name: str, alt: str) -> Markup:
    """Return a picture for a page: without names of other places, ids of its own, its looks as attributes.

    Args:
        text: what matplotlib wrote, letters kept as text.
        name: tells its ids from those of other pictures in the page.
        alt: what it shows, for those who cannot see it.

    Raises:
        xml.etree.ElementTree.ParseError: a name in it holds characters that XML has not.
    """
    root = ElementTree.fromstring(text)
    used = set(re.findall(r"(?:#|url\(#)([\w-]+)", text))
    for parent in list(root.iter()):
        for child in list(parent):
            if _local(child.tag) in _DROPPED:
                parent.remove(child)
    for element in root.iter():
        _cleaned(element, name, used)
    for size in ("width", "height", "version"):
        root.attrib.pop(size, None)
    root.attrib |= {
        "class": "study-picture",
        "role": "img",
        "aria-label": plain_text(alt),
        "stroke-linejoin": "round",
        "stroke-linecap": "butt",
    }
    written = ElementTree.tostring(root, encoding="unicode", short_empty_elements=False)
    return Markup(written)  # every text in it was escaped when it was written


def _cleaned(element: ElementTree.Element, name: str, used: set[str]) -> None:
    """Change one element in place."""
    element.tag = _local(element.tag)
    attributes = dict(element.attrib)
    element.attrib.clear()
    for key, value in attributes.items():
        local = _local(key)
        if local == "style":
            element.attrib |= _attributes(value, name)
        elif local == "id":
            if value in used:
                element.attrib["id"] = f"{name}-{value}"
        elif local == "href":
            element.attrib["href"] = f"#{name}-{value[1:]}" if value.startswith("#") else value
        else:
            element.attrib[local] = _own(value, name)
    element.text = None if element.text is None else _plain(element.text)
    element.tail = None if element.tail is None else _plain(element.tail)


def _attributes(style: str, name: str) -> dict[str, str]:
    """Return the attributes that say what a style says."""
    found: dict[str, str] = {}
    for rule in style.split(";"):
        key, _, value = (part.strip() for part in rule.partition(":"))
        font = _FONT.fullmatch(value) if key == "font" else None
        if font is not None:
            found["font-size"] = font[2]
            if font[1] is not None:
                found["font-weight"] = font[1]
        elif key and key != "font":
            found[key] = _own(value, name)
    return found


def _own(value: str, name: str) -> str:
    return value.replace("url(#", f"url(#{name}-")


def _plain(text: str) -> str:
    # Line breaks between elements are matplotlib's own.
    return text if text.isspace() else plain_text(text)


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]
