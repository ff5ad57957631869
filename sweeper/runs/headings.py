"""What the heading of somebody else's column means: a metric in one of its many spellings, or nothing that is known."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

_SPLITS = {
    "train": ("train", "training", "tr"),
    "val": ("val", "valid", "validation", "dev"),
    "test": ("test", "testing"),
}
_SIZES = {"small": ("s", "small"), "medium": ("m", "medium"), "large": ("l", "large")}
# Words that say nothing more of a metric.
_EMPTY = frozenset(
    ["b", "bbox", "box", "boxes", "coco", "best", "final", "metric", "metrics", "score", "mean", "iou", "at"]
)
_TITLES = ("title", "name", "run name", "run", "model", "experiment", "config")
# The spellings of a range of overlaps, of one, and of the metric itself; longest first.
_WORDS = (
    (r"(?:0?\.50?|50)\s*[:\-–]\s*(?:0?\.05\s*[:\-–]\s*)?(?:0?\.95|95)", " all "),
    (r"0?\.50?(?!\d)|(?<=ap)_?50(?!\d)|(?<![\d.])50(?!\d)", " fifty "),
    (r"0?\.75(?!\d)|(?<=ap)_?75(?!\d)|(?<![\d.])75(?!\d)", " seventyfive "),
    (r"average\s+precision", " ap "),
)


@dataclass(frozen=True)
class Meaning:
    """What a column was taken for.

    Attributes:
        words: a metric, ``val mAP50``; two columns of the same words cannot be told apart.
        is_ap: whether it is an average precision.
        is_percent: whether the heading says that its numbers are percents.
    """

    words: str
    is_ap: bool
    is_percent: bool


def title_rank(heading: str) -> int | None:
    """Return how likely a heading is that of the rows' names, 0 the most; None if it is not."""
    words = re.sub(r"[\s_\-]+", " ", heading.strip().casefold())
    return _TITLES.index(words) if words in _TITLES else None


def meaning_of(heading: str) -> Meaning | None:
    """Return what a heading means; None if it names no metric that is known.

    A heading without a split is taken as it is: nobody here can say which it was.
    """
    text = heading.casefold()
    is_percent = "%" in text or "percent" in text
    text = re.sub(r"percent|%", " ", text)
    for pattern, word in _WORDS:
        text = re.sub(pattern, word, text)
    words = [word for word in re.findall(r"[^\W\d_]+|\d+", text) if word not in _EMPTY]
    split = _take(words, _SPLITS)
    if _take(words, {"loss": ("loss",)}) is not None:
        return None if words else Meaning(f"{split or 'some'} loss", is_ap=False, is_percent=False)
    if _take(words, {"ap": ("map", "ap")}) is None:
        return None
    overlap = _take(words, {"50": ("fifty",), "75": ("seventyfive",), "": ("all",)})
    size = _take(words, _SIZES)
    if words:
        return None
    told = f"{split} mAP{overlap or ''}" if split else f"mAP{overlap or ''} of a split that the file does not name"
    return Meaning(f"{told}, {size} objects" if size else told, is_ap=True, is_percent=is_percent)


def _take(words: list[str], choices: Mapping[str, tuple[str, ...]]) -> str | None:
    """Take the first word that is one of the choices out of a list; None if there is none."""
    for word in words:
        for choice, spellings in choices.items():
            if word in spellings:
                words.remove(word)
                return choice
    return None
