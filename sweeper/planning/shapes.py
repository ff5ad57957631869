"""A generated data set of coloured shapes, for demos, tests and trying out: seeded, in COCO format, written once."""

import hashlib
import json
import math
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from runners.contract.errors import UserError
from runners.contract.jsonfile import read_json, write_json

# Corners of each shape in a unit square, (x, y), y downwards. The class is told by the outline; colour helps only in
# easy images.
_OUTLINES: dict[str, list[tuple[float, float]]] = {
    "square": [(0, 0), (1, 0), (1, 1), (0, 1)],
    "circle": [
        (0.5 + 0.5 * math.cos(math.tau * step / 24), 0.5 + 0.5 * math.sin(math.tau * step / 24)) for step in range(24)
    ],
    "triangle": [(0.5, 0), (1, 1), (0, 1)],
    "cross": [
        *[(0.33, 0), (0.67, 0), (0.67, 0.33), (1, 0.33), (1, 0.67), (0.67, 0.67)],
        *[(0.67, 1), (0.33, 1), (0.33, 0.67), (0, 0.67), (0, 0.33), (0.33, 0.33)],
    ],
    "diamond": [(0.5, 0), (1, 0.5), (0.5, 1), (0, 0.5)],
    "arrow": [(0, 0.3), (0.5, 0.3), (0.5, 0), (1, 0.5), (0.5, 1), (0.5, 0.7), (0, 0.7)],
    "hourglass": [(0, 0), (1, 0), (0.6, 0.5), (1, 1), (0, 1), (0.4, 0.5)],
    "corner": [(0, 0), (0.35, 0), (0.35, 0.65), (1, 0.65), (1, 1), (0, 1)],
}
SHAPES = tuple(_OUTLINES)

# Marks a folder as ours and complete; holds the parameters that made it.
_RECIPE_FILE = "shapes.json"


@dataclass(frozen=True)
class ShapesRecipe:
    """What decides every byte of a generated data set.

    Attributes:
        n_train, n_val, n_test: images of each split.
        image_px: width and height of the square images.
        difficulty: from 0 (few, large, plain, coloured by class) to 1 (many, small, faint, noisy, any colour).
        seed: seed of every random choice; one image depends on it, its split and its number only.
        n_classes: how many of the shapes occur.
    """

    n_train: int = 200
    n_val: int = 50
    n_test: int = 50
    image_px: int = 160
    difficulty: float = 0.2
    seed: int = 0
    n_classes: int = 3

    def __post_init__(self) -> None:
        ranges = {
            "n_train": (1, 100_000),
            "n_val": (1, 100_000),
            "n_test": (1, 100_000),
            "image_px": (32, 4096),
            "difficulty": (0, 1),
            "seed": (0, 2**32 - 1),
            "n_classes": (1, len(SHAPES)),
        }
        problems = []
        for name, (low, high) in ranges.items():
            value = getattr(self, name)
            is_number = isinstance(value, (int, float) if name == "difficulty" else int) and not isinstance(value, bool)
            if not is_number or not low <= value <= high:
                kind = "a number" if name == "difficulty" else "a whole number"
                problems.append(f"value out of range in dataset.shapes.{name}: {value}; {kind} from {low} to {high}")
        if problems:
            raise UserError(*problems)

    @classmethod
    def of(cls, params: Mapping[str, Any]) -> "ShapesRecipe":
        """Build from the config's `dataset.shapes` node.

        Raises:
            UserError: an unknown key or a value out of range.
        """
        names = [entry.name for entry in fields(cls)]
        unknown = [key for key in params if key not in names]
        if unknown:
            choices = ", ".join(names)
            raise UserError(*(f"unknown setting in dataset.shapes: {key}; choices: {choices}" for key in unknown))
        return cls(**params)

    @property
    def digest(self) -> str:
        """Twelve hex digits that name the data set."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:12]


def shapes_root(output_dir: Path, params: Mapping[str, Any]) -> Path:
    """Return where a generated data set lies by default: ``<output_dir>/data/shapes-<digest>``.

    Raises:
        UserError: as `ShapesRecipe.of`.
    """
    return output_dir / "data" / f"shapes-{ShapesRecipe.of(params).digest}"


def write_shapes(root: Path, **params: Any) -> Path:
    """Write the data set unless it stands already: ``train.json``, ``val.json``, ``test.json``, ``images/``.

    The folder appears in one piece by a rename, so that two sweeps may ask for it at once.

    Args:
        root: the folder of the data set.
        params: the fields of `ShapesRecipe`.

    Returns:
        The folder, `root`.

    Raises:
        UserError: a parameter is out of range, or the folder holds something else.
    """
    recipe = ShapesRecipe.of(params)
    if _stands(root, recipe):
        return root
    root.parent.mkdir(parents=True, exist_ok=True)
    unfinished = root.with_name(f".{root.name}.{os.getpid()}.tmp")
    try:
        (unfinished / "images").mkdir(parents=True)
        first_id = 1
        for number, split in enumerate(("train", "val", "test")):
            n_images = getattr(recipe, f"n_{split}")
            write_json(
                unfinished / f"{split}.json", _write_split(unfinished, recipe, split, number, n_images, first_id)
            )
            first_id += n_images
        write_json(unfinished / _RECIPE_FILE, asdict(recipe))
        try:
            unfinished.rename(root)
        except OSError:
            # Another process was faster, which is as good; anything else in the way is not.
            if not _stands(root, recipe):
                raise
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return root


def _stands(root: Path, recipe: ShapesRecipe) -> bool:
    if not root.exists() or (root.is_dir() and not any(root.iterdir())):
        return False
    mark = root / _RECIPE_FILE
    if not mark.is_file():
        raise UserError(f"folder in the way in dataset.root: {root} holds other files; choose another dataset.root")
    if read_json(mark) != asdict(recipe):
        raise UserError(
            f"folder in the way in dataset.root: {root} holds shapes made with other parameters; "
            "choose another dataset.root or remove the folder"
        )
    return True


def _write_split(
    root: Path, recipe: ShapesRecipe, split: str, split_number: int, n_images: int, first_id: int
) -> dict[str, Any]:
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number in range(n_images):
        # RandomState's stream is frozen by NumPy's policy: the same data set on every version.
        random = np.random.RandomState([recipe.seed, split_number, number])
        picture, objects = _draw_image(recipe, random)
        image_id, name = first_id + number, f"{split}_{number:05d}.png"
        picture.save(root / "images" / name)
        images.append({"id": image_id, "file_name": name, "width": recipe.image_px, "height": recipe.image_px})
        for place, (category_id, (x, y, width, height)) in enumerate(objects):
            annotations.append(
                {
                    # Ids run through the three files, ten places for each image, so that no split knows of another.
                    "id": image_id * 10 + place,
                    "image_id": image_id,
                    "category_id": category_id,
                    "bbox": [x, y, width, height],
                    "area": width * height,
                    "iscrowd": 0,
                }
            )
    categories = [{"id": number, "name": name} for number, name in enumerate(SHAPES[: recipe.n_classes], start=1)]
    return {"images": images, "annotations": annotations, "categories": categories}


def _draw_image(
    recipe: ShapesRecipe, random: np.random.RandomState
) -> tuple[Image.Image, list[tuple[int, tuple[int, int, int, int]]]]:
    """Draw one image; objects are (category id, x, y, width, height in pixels) and do not overlap."""
    size, hard = recipe.image_px, recipe.difficulty
    picture = Image.fromarray(_background(size, hard, random))
    draw = ImageDraw.Draw(picture)
    smallest, largest = size * (0.25 - 0.17 * hard), size * (0.45 - 0.15 * hard)
    boxes: list[tuple[int, int, int, int]] = []
    objects = []
    for _ in range(random.randint(1, 4 + round(4 * hard))):
        width = round(random.uniform(smallest, largest))
        height = round(width * random.uniform(0.8, 1.25))
        for _attempt in range(20):
            x, y = random.randint(0, size - width), random.randint(0, max(1, size - height))
            if not any(
                x < other_x + other_w and other_x < x + width and y < other_y + other_h and other_y < y + height
                for other_x, other_y, other_w, other_h in boxes
            ):
                break
        else:
            continue
        label = random.randint(recipe.n_classes)
        corners = [(x + u * (width - 1), y + v * (height - 1)) for u, v in _OUTLINES[SHAPES[label]]]
        draw.polygon(corners, fill=_colour(label, recipe.n_classes, hard, random))
        boxes.append((x, y, width, height))
        objects.append((label + 1, (x, y, width, height)))
    return picture, objects


def _background(size: int, hard: float, random: np.random.RandomState) -> "np.ndarray[Any, np.dtype[np.uint8]]":
    """Return a dark (size, size, 3) RGB image: large soft blotches under fine noise."""
    blotches = random.randint(20, 60 + round(60 * hard), (4, 4, 3)).astype(np.uint8)
    soft = np.asarray(Image.fromarray(blotches).resize((size, size), Image.Resampling.BICUBIC), dtype=np.float64)
    return np.clip(soft + random.normal(0, 4 + 20 * hard, soft.shape), 0, 255).astype(np.uint8)


def _colour(label: int, n_classes: int, hard: float, random: np.random.RandomState) -> str:
    """Return a bright colour: the class's own hue in easy images, any hue in hard ones."""
    hue = (360 * label / n_classes + random.uniform(-180, 180) * hard) % 360
    return f"hsl({round(hue)},{round(random.uniform(60, 100))}%,{round(random.uniform(50, 70) - 15 * hard)}%)"
