"""The model zoo as the installed mmdet describes it: which detectors it has trained weights for, and where they lie."""

import difflib
import importlib.util
from functools import lru_cache
from pathlib import Path

import yaml

from runners.contract.errors import UserError

# The families whose checkpoints fit the detectors and necks of conf.
FAMILIES = ("faster_rcnn", "cascade_rcnn", "retinanet", "pafpn")


def package_folder(package: str) -> Path:
    """Return the folder of an installed package without importing it.

    Raises:
        UserError: the package is not installed.
    """
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise UserError(f"package missing in the Python environment: {package}; install detsweep with its dependencies")
    return Path(spec.origin).parent


@lru_cache(maxsize=1)
def checkpoints() -> dict[str, str]:
    """Return model name to address of the trained weights, for the families that conf can build."""
    addresses = {}
    for family in FAMILIES:
        metafile = package_folder("mmdet") / ".mim" / "configs" / family / "metafile.yml"
        content = yaml.safe_load(metafile.read_text(encoding="utf-8"))
        models = content["Models"] if isinstance(content, dict) else content
        addresses.update({model["Name"]: model["Weights"] for model in models if "Weights" in model})
    return addresses


def checkpoint_address(model: str) -> str:
    """Return the address of a model's weights trained on COCO.

    Args:
        model: the zoo's name, ``faster-rcnn_r50_fpn_1x_coco``.

    Raises:
        UserError: the zoo has no weights under that name.
    """
    known = checkpoints()
    if model in known:
        return known[model]
    detector = model.partition("_")[0]
    # Weights of Caffe's backbones want another order of colours than the composed models give.
    fitting = [name for name in known if name.startswith(f"{detector}_") and "caffe" not in name]
    near = ", ".join(difflib.get_close_matches(model, fitting, n=5, cutoff=0.0))
    raise UserError(
        f"no COCO weights in weights.model: {model} is not in mmdet's zoo, which has {near or 'none of it'}; "
        "take weights=imagenet, or a file of your own with weights=file weights.path=..."
    )
