"""Finds a font of this machine that has the letters of a class name, whatever its script."""

from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path

from PIL import ImageFont

# Where the usual systems keep their fonts.
FOLDERS = (
    Path("~/.local/share/fonts"),
    Path("~/.fonts"),
    Path("/usr/local/share/fonts"),
    Path("/usr/share/fonts"),
    Path("/Library/Fonts"),
    Path("/System/Library/Fonts"),
    Path("C:/Windows/Fonts"),
)
ENDINGS = (".ttf", ".otf", ".ttc")
# Upright fonts with many scripts first; bold and slanted ones are never needed to have the letters.
FIRST = ("notosans-regular", "dejavusans", "notosanscjk-regular", "wqy", "droidsansfallback", "notosans", "unifont")
SLANTED = ("italic", "oblique", "bold", "black", "light", "thin")
# Not a character, so that every font shows for it what it shows for letters that it lacks.
LACKING = "\U0010ffff"
ADVICE = "install a font that has them, such as Debian's fonts-noto-cjk or fonts-noto-core"

Font = ImageFont.FreeTypeFont


def font_for(text: str, size_px: int) -> Font | None:
    """Return a font that has every letter of a text, or None where no font of this machine has.

    Args:
        text: what is to be written; spaces need no letter.
        size_px: height of the letters.
    """
    return _font_with(frozenset(text.replace(" ", "")), size_px)


def without_font(texts: Iterable[str]) -> list[str]:
    """Return those texts of which no font of this machine has all letters."""
    return [text for text in texts if font_for(text, 16) is None]


@lru_cache(maxsize=1024)
def _font_with(letters: frozenset[str], size_px: int) -> Font | None:
    bundled = ImageFont.load_default(size_px)
    if isinstance(bundled, ImageFont.FreeTypeFont) and _has(bundled, letters):
        return bundled
    for path in _font_files():
        try:
            font = ImageFont.truetype(path, size_px)
            if _has(font, letters):
                return font
        except OSError:  # a file that FreeType does not read, or letters of a size that this one has not
            continue
    return None


def _has(font: Font, letters: Iterable[str]) -> bool:
    lacking = _shape(font, LACKING)
    return all(_shape(font, letter) != lacking for letter in letters)


def _shape(font: Font, letter: str) -> tuple[tuple[int, int], bytes]:
    mask = font.getmask(letter)
    return mask.size, bytes(mask)


@lru_cache(maxsize=1)
def _font_files() -> tuple[Path, ...]:
    found = sorted(_files(), key=lambda path: (_rank(path), path.name))
    return tuple(found)


def _files() -> Iterator[Path]:
    for folder in FOLDERS:
        for path in folder.expanduser().rglob("*"):
            if path.suffix.lower() in ENDINGS and not any(word in path.stem.lower() for word in SLANTED):
                yield path


def _rank(path: Path) -> int:
    name = path.stem.lower()
    return next((number for number, start in enumerate(FIRST) if name.startswith(start)), len(FIRST))
