"""Everything that is told of a data set: its numbers, its suspects, and a sample that shows every class."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

from reports.data_set.numbers import Numbers, count_split, is_used
from reports.data_set.suspects import Record, SeenImage, SuspectKind, find_suspects
from runners.contract.coco import CocoFile
from runners.contract.coco_check import SplitContents
from runners.contract.metrics import Split

N_SAMPLES = 12


@dataclass(frozen=True)
class Examination:
    """What was found about one data set.

    Attributes:
        name: what it is called.
        contents: the splits whose records are sound.
        numbers: of the same splits.
        suspects: by kind, the worst first.
        problems: why it cannot be trained on; empty if it can.
        notes: lines worth knowing.
    """

    name: str
    contents: SplitContents = field(repr=False)
    numbers: Numbers
    suspects: Sequence[SuspectKind]
    problems: Sequence[str]
    notes: Sequence[str]

    @property
    def classes(self) -> list[str]:
        """Class names in the order of the labels."""
        first = next(iter(self.contents.values()), None)
        return [] if first is None else list(map(str, first[1].classes))


def examine(
    name: str,
    contents: SplitContents,
    input_scale: tuple[int, int],
    problems: Sequence[str] = (),
    notes: Sequence[str] = (),
) -> Examination:
    """Count a data set and look for what is wrong in it.

    Args:
        name: what it is called.
        contents: the splits whose records are sound.
        input_scale: longest and shorter side that images are resized to, in pixels.
        problems: what the check found that keeps it from being trained on.
        notes: what else it found.
    """
    numbers = {split: count_split(coco) for split, (_, coco) in contents.items()}
    return Examination(name, contents, numbers, find_suspects(contents, numbers, input_scale), problems, notes)


def choose_sample(split: Split, coco: CocoFile, number: int = N_SAMPLES) -> list[SeenImage]:
    """Return images of a split, the same every time: one for each class, the rarest first, then any."""
    order = sorted(coco.images, key=lambda image: hashlib.sha256(str(image["file_name"]).encode()).digest())
    boxes: dict[int, list[Record]] = {image["id"]: [] for image in order}
    for box in filter(is_used, coco.annotations):
        boxes[box["image_id"]].append(box)
    n_boxes = {category["id"]: 0 for category in coco.categories}
    for box in filter(is_used, coco.annotations):
        n_boxes[box["category_id"]] += 1
    chosen: dict[int, Record] = {}
    shown: set[int] = set()
    for category in sorted(n_boxes, key=lambda category: n_boxes[category]):
        if len(chosen) == number or category in shown:
            continue
        for image in order:
            held = {box["category_id"] for box in boxes[image["id"]]}
            if category in held:
                chosen[image["id"]] = image
                shown |= held
                break
    rest = (image for image in order if image["id"] not in chosen)
    picked = [*chosen.values(), *(image for image, _ in zip(rest, range(number - len(chosen)), strict=False))]
    return [SeenImage(split, image) for image in picked]
