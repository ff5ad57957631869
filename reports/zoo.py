"""MMDetection's published numbers, read from the metafiles of the installed package."""

import functools
import importlib.util
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from runners.contract.errors import UserError

# Options of our groups as mmdet's config names spell them.
DETECTORS = {"faster_rcnn": "faster-rcnn", "cascade_rcnn": "cascade-rcnn", "retinanet": "retinanet"}
# Options of `box_loss` that are what mmdet's own config of the detector has, and so have no word in its name.
OWN_BOX_LOSS = {("faster_rcnn", "l1"), ("cascade_rcnn", "smooth_l1"), ("retinanet", "l1")}
EPOCHS_OF_1X = 12
# The column of a job that names the config of MMDetection that it was trained by.
READ_CONFIG = "detector_config"


@dataclass(frozen=True)
class ZooEntry:
    """One published model, trained and validated on COCO 2017.

    Attributes:
        config: stem of its config file.
        collection: the method, ``Faster R-CNN``.
        box_ap: on val2017, 0-1.
        memory_gb: peak training memory on one GPU; None where it was not published.
        n_epochs: None where it was not published.
    """

    config: str
    collection: str
    box_ap: float
    memory_gb: float | None
    n_epochs: int | None


def find_entry(params: Mapping[str, str]) -> ZooEntry | None:
    """Return the published model of the same detector, backbone, neck, box loss and number of epochs, if there is one.

    A job that is trained by a config of the zoo is told by its name; a file of one's own has none.

    Args:
        params: columns of a job (`runners.contract.naming.run_params`).
    """
    named = params.get(READ_CONFIG, "")
    if named:
        entry = None if named.endswith(".py") else read_zoo().get(_plain(Path(named).name))
        return entry if entry is not None and str(entry.n_epochs) == params.get("n_epochs") else None
    detector = params.get("detector", "")
    if detector not in DETECTORS or params.get("width") != "standard":
        return None
    words = [DETECTORS[detector], _backbone_word(params.get("backbone", "")), params.get("neck", "")]
    box_loss = params.get("box_loss", "zoo")
    if box_loss != "zoo" and (detector, box_loss) not in OWN_BOX_LOSS:
        words.append(box_loss)
    words += [schedule_title(params), "coco"]
    return read_zoo().get(_plain("_".join(words)))


def schedule_title(params: Mapping[str, str]) -> str:
    """Return a schedule as the zoo names it: ``1x`` is 12 epochs, ``2x`` 24, any other number is said (``20e``)."""
    n_epochs = int(params["n_epochs"])
    return f"{n_epochs // EPOCHS_OF_1X}x" if n_epochs in (EPOCHS_OF_1X, 2 * EPOCHS_OF_1X) else f"{n_epochs}e"


def backbone_title(params: Mapping[str, str]) -> str:
    """Return backbone and neck as the zoo's tables write them, ``X-101-32x4d-FPN``; narrow width is said."""
    if READ_CONFIG in params:
        return "its own"
    word = _backbone_word(params.get("backbone", ""))
    title = re.sub(r"^([rx])(?=\d)", lambda match: f"{match[1].upper()}-", word)
    title = re.sub(r"^swin-(\w)", lambda match: f"Swin-{match[1].upper()}", title)
    title = f"{title}-{params.get('neck', '').upper()}"
    return f"{title} (narrow)" if params.get("width") == "narrow" else title


def detector_title(params: Mapping[str, str]) -> str:
    """Return a detector as papers write it, ``Faster R-CNN``."""
    name = params.get("detector", "")
    return {"faster_rcnn": "Faster R-CNN", "cascade_rcnn": "Cascade R-CNN", "retinanet": "RetinaNet"}.get(name, name)


@functools.cache
def read_zoo() -> Mapping[str, ZooEntry]:
    """Read all published COCO models, by the stem of their config with plain dashes.

    Raises:
        UserError: mmdet is not installed, or without its metafiles.
    """
    spec = importlib.util.find_spec("mmdet")
    if spec is None or not spec.submodule_search_locations:
        raise UserError("package mmdet in this environment: not found; install detsweep with its dependencies")
    root = Path(spec.submodule_search_locations[0]) / ".mim"
    if not (root / "model-index.yml").is_file():
        raise UserError(f"model index in {root}: not found; install mmdet from its wheel")
    index = _read_yaml(root / "model-index.yml")
    entries: dict[str, ZooEntry] = {}
    for metafile in index["Import"]:
        content = _read_yaml(root / metafile)
        for model in content["Models"] if isinstance(content, dict) else content:
            entry = _entry(model)
            if entry is not None:
                # A few configs are listed twice; the first is the one of the config's own family.
                entries.setdefault(_plain(entry.config), entry)
    return entries


def _entry(model: Mapping[str, Any]) -> ZooEntry | None:
    metadata = model.get("Metadata") or {}
    box_ap = [
        result["Metrics"]["box AP"]
        for result in model.get("Results") or ()
        if result.get("Dataset") == "COCO" and "box AP" in result.get("Metrics", ())
    ]
    if not box_ap:
        return None
    return ZooEntry(
        config=Path(model["Config"]).stem,
        collection=model["In Collection"],
        box_ap=float(box_ap[0]) / 100,
        memory_gb=_number(metadata.get("Training Memory (GB)")),
        n_epochs=int(metadata["Epochs"]) if "Epochs" in metadata else None,
    )


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _backbone_word(option: str) -> str:
    """Return a backbone option as config names spell it: ``resnext101_32x4d`` is ``x101-32x4d``."""
    word = re.sub(r"^resnext(?=\d)", "x", option)
    word = re.sub(r"^resnet(?=\d)", "r", word)
    return word.replace("_", "-")


def _plain(stem: str) -> str:
    # mmdet itself spells x101-64x4d and x101_64x4d.
    return stem.replace("_", "-").lower()


def _read_yaml(path: Path) -> Any:
    # The C parser reads the whole zoo in a tenth of a second; PyYAML is sometimes built without it.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return yaml.load(path.read_text(encoding="utf-8"), Loader=loader)
