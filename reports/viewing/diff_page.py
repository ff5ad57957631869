"""Draws the most telling images of one run or two as one HTML page that needs nothing else."""

import base64
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from reports.diagnosis.tide import diagnose
from reports.safe_html import render
from reports.viewing.marked_pictures import draw_run, jpeg
from reports.viewing.telling import Chapter, TellingImage, telling_chapters
from reports.viewing.view import LETTERS, View
from reports.viewing.words import item_words
from runners.contract.errors import UserError

# Of the whole page, which is sent by mail: its pictures share what a page of words leaves. As text they take 4/3.
MAX_BYTES, WORDS_BYTES = 10_000_000, 500_000
# Tried one after the other until a picture is small enough: longest side in pixels, quality.
STEPS = ((640, 82), (640, 68), (512, 68), (512, 50), (384, 50), (256, 40))
# Findings of an image that are told; more rings than these would hide what they are around.
N_WORDS = 6


@dataclass(frozen=True)
class ShownImage:
    """One image as the template needs it.

    Attributes:
        name: its file.
        pictures: (letter of the run, data address) of each run; no address where the file cannot be shown.
        words: its findings.
        n_more: how many more findings there are.
    """

    name: str
    pictures: Sequence[tuple[str, str]]
    words: Sequence[str]
    n_more: int


def write_diff_page(view: View, path: Path, min_score: float) -> int:
    """Write the page, and return how many images stand on it. Every name in it is escaped, and nothing is fetched.

    Args:
        view: of one run or two.
        path: the file; one that is there is replaced.
        min_score: a detection below it is taken for not there, 0-1.

    Raises:
        UserError: the file cannot be written, or no detection has such a score, so that every object would be missed.
    """
    highest = view.highest_score
    if highest is not None and highest < min_score:
        raise UserError(
            f"score in detsweep view: no detection of {view.split} reaches {min_score:g} (the highest is {highest:.2g}"
            f"); give a lower one, such as score={highest / 2:.1g}"
        )
    chapters = telling_chapters(view, min_score)
    n_images = sum(len(chapter.images) for chapter in chapters)
    content = render(
        "diff.html.jinja",
        ["page.css", "data.css", "diff.css"],
        "page.js",
        has_pictures=True,
        runs=list(zip(LETTERS, (run.title for run in view.runs), strict=False)),
        split=view.split,
        ann_file=str(view.coco.path),
        facts=_facts(view, min_score),
        min_score=f"{min_score:g}",
        n_images=n_images,
        n_all=len(view.images),
        chapters=[(chapter, _shown(view, chapter, min_score, n_images)) for chapter in chapters],
    )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        unfinished.write_text(content, encoding="utf-8")
        unfinished.replace(path)
    except OSError as error:
        raise UserError(f"page in {path}: {error.strerror}; name another file with html=") from None
    return n_images


def _facts(view: View, min_score: float) -> list[tuple[str, str, str]]:
    n_all = int(view.labels.is_counted.sum())
    facts = []
    for letter, run in zip(LETTERS, view.runs, strict=False):
        n_found = int((run.found_score >= min_score).sum())
        share = f"{100 * n_found / n_all:.1f} %" if n_all else ""
        ap50 = f"AP50 after TIDE {100 * diagnose(run.findings).ap50:.1f}"
        facts.append((f"objects found by {letter}", f"{n_found} of {n_all}", f"{share}, {ap50}"))
    if len(view.runs) == 2:
        one, other = (run.found_score >= min_score for run in view.runs)
        facts.append(("by A alone", str(int(np.sum(one & ~other))), "missed by B"))
        facts.append(("by B alone", str(int(np.sum(other & ~one))), "missed by A"))
    return facts


def _shown(view: View, chapter: Chapter, min_score: float, n_images: int) -> list[ShownImage]:
    allowed = (MAX_BYTES - WORDS_BYTES) * 3 // 4 // max(1, n_images * len(view.runs))
    return [_shown_image(view, each, min_score, allowed) for each in chapter.images]


def _shown_image(view: View, told: TellingImage, min_score: float, allowed: int) -> ShownImage:
    words = [item_words(view, item, min_score) for item in told.items]
    pictures = [(LETTERS[run], _source(view, run, told, min_score, allowed)) for run in range(len(view.runs))]
    return ShownImage(
        str(view.images[told.image]["file_name"]), pictures, words[:N_WORDS], max(0, len(words) - N_WORDS)
    )


def _source(view: View, run: int, told: TellingImage, min_score: float, allowed: int) -> str:
    for longest_px, quality in STEPS:
        try:
            content = jpeg(draw_run(view, run, told.image, told.items[:N_WORDS], min_score, longest_px), quality)
        except UserError:
            return ""
        if len(content) <= allowed:
            break
    return f"data:image/jpeg;base64,{base64.b64encode(content).decode()}"
