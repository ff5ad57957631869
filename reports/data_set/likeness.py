"""Finds images that are the same, or nearly: by a small perceptual hash, made sure of by a small picture.

The hash has a bit for each of 64 places that says whether it gets brighter to the right (D. Krawetz, "Kind of Like
That", 2013), so that another size, compression or brightness changes few bits.
"""

import filecmp
import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

HASH_PX, THUMB_PX = 8, 16
# Of the 64 bits; fewer than there are bands, so that two alike share a whole band.
MAX_BITS = 7
N_BANDS, BAND_BITS = 8, 8
# Mean difference of two small pictures in levels of 255. Copies of 80 photographs at three quarters of their size and
# JPEG quality 60 differed in at most 7 bits and 3.9 levels, different ones of one microscope in 12 bits and 6.9 levels.
MAX_LEVELS = 5.0
# A picture with less contrast has no hash to speak of: only equal bytes are the same then.
MIN_CONTRAST = 3.0
# Below, starting processes takes longer than they save.
N_FOR_PROCESSES = 200
CHUNK = 32


@dataclass(frozen=True)
class Look:
    """How one image looks.

    Attributes:
        bits: the hash.
        thumb: `THUMB_PX` x `THUMB_PX` grey levels.
        n_bytes: length of the file.
    """

    bits: int
    thumb: bytes
    n_bytes: int


@dataclass(frozen=True)
class Alike:
    """Images that show the same.

    Attributes:
        places: their places in what was asked about, in order; two at least.
        is_same_file: whether they are equal in every byte.
    """

    places: tuple[int, ...]
    is_same_file: bool


def read_looks(paths: Sequence[Path]) -> list[Look | None]:
    """Return how images look; None for what cannot be read. Many are read by as many processes as there are cores."""
    if len(paths) < N_FOR_PROCESSES:
        return [read_look(path) for path in paths]
    # Not forked: nothing of this process is needed, and it may have threads.
    with ProcessPoolExecutor(len(os.sched_getaffinity(0)), get_context("spawn")) as pool:
        return list(pool.map(read_look, paths, chunksize=CHUNK))


def read_look(path: Path) -> Look | None:
    """Return how an image looks, turned by its EXIF tag; None if it cannot be read."""
    try:
        with Image.open(path) as image:
            # A JPEG file is decoded at an eighth of its size, which is enough.
            image.draft("L", (4 * THUMB_PX, 4 * THUMB_PX))
            grey = ImageOps.exif_transpose(image).convert("L")
        steps = np.asarray(grey.resize((HASH_PX + 1, HASH_PX), Image.Resampling.BOX), dtype=np.int16)
        rises = np.packbits(steps[:, 1:] > steps[:, :-1])
        thumb = grey.resize((THUMB_PX, THUMB_PX), Image.Resampling.BOX).tobytes()
        return Look(int.from_bytes(rises.tobytes(), "big"), thumb, path.stat().st_size)
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError):
        return None


def find_alike(paths: Sequence[Path], looks: Sequence[Look | None]) -> list[Alike]:
    """Return the groups of images that are the same or nearly; each image is in one group at most.

    Args:
        paths: the images; the same path twice is the same image.
        looks: of each of them.
    """
    leader = list(range(len(paths)))

    def lead(place: int) -> int:
        while leader[place] != place:
            leader[place] = leader[leader[place]]
            place = leader[place]
        return place

    for one, other in _pairs(paths, looks):
        leader[max(lead(one), lead(other))] = min(lead(one), lead(other))
    groups: dict[int, list[int]] = defaultdict(list)
    for place, look in enumerate(looks):
        if look is not None:
            groups[lead(place)].append(place)
    return [
        Alike(tuple(places), all(_is_same_file(paths[places[0]], paths[place]) for place in places[1:]))
        for places in groups.values()
        if len(places) > 1
    ]


def _pairs(paths: Sequence[Path], looks: Sequence[Look | None]) -> Iterator[tuple[int, int]]:
    there = [(place, look) for place, look in enumerate(looks) if look is not None]
    if not there:
        return
    places = np.array([place for place, _ in there])
    bits = np.array([look.bits for _, look in there], dtype=np.uint64)
    thumbs = np.stack([np.frombuffer(look.thumb, dtype=np.uint8) for _, look in there]).astype(np.int16)
    has_contrast = thumbs.std(axis=1) >= MIN_CONTRAST
    for members in _sharing_a_band(bits, np.flatnonzero(has_contrast)):
        for number, one in enumerate(members[:-1]):
            others = members[number + 1 :]
            others = others[np.bitwise_count(bits[others] ^ bits[one]) <= MAX_BITS]
            others = others[np.abs(thumbs[others] - thumbs[one]).mean(axis=1) <= MAX_LEVELS]
            yield from ((int(places[one]), int(places[other])) for other in others)
    by_length: dict[int, list[int]] = defaultdict(list)
    for index in np.flatnonzero(~has_contrast):
        place, look = there[index]
        for other in by_length[look.n_bytes]:
            if _is_same_file(paths[place], paths[other]):
                yield other, place
                break
        else:
            by_length[look.n_bytes].append(place)


def _sharing_a_band(bits: npt.NDArray[np.uint64], members: npt.NDArray[np.intp]) -> Iterator[npt.NDArray[np.intp]]:
    """Yield groups of those whose hashes agree in one of the bands: all that differ in few bits are in one together."""
    for band in range(N_BANDS):
        values = (bits[members] >> np.uint64(band * BAND_BITS)) & np.uint64(2**BAND_BITS - 1)
        order = np.argsort(values, kind="stable")
        borders = np.flatnonzero(np.diff(values[order])) + 1
        yield from (group for group in np.split(members[order], borders) if len(group) > 1)


def _is_same_file(one: Path, other: Path) -> bool:
    return one == other or filecmp.cmp(one, other, shallow=False)  # reads only files of equal length
