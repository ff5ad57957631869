"""Another data set to evaluate a run on, composed from its config group as a sweep would."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf, open_dict

from runners.contract.coco import split_files
from runners.contract.metrics import Split
from sweeper.planning.compose import Composer
from sweeper.planning.dataset import place_dataset, prepare_dataset
from sweeper.planning.resolvers import register
from sweeper.project.project import SHIPPED_CONF


def compose_dataset(overrides: Sequence[str], split: Split, output_dir: Path, classes: list[str]) -> dict[str, Any]:
    """Return the `dataset` node of a job's config.

    A split that has a file of its own is all that need be there: what holds data to test on need not hold any to train.

    Args:
        overrides: ``dataset=OPTION`` and values of that node, and ``fold``.
        split: what is looked at.
        output_dir: where generated and split data goes.
        classes: those that the model knows, in the order of its labels.

    Raises:
        UserError: the option, a value, or the data set is wrong.
    """
    register()
    # Said here, classes are not looked for in a train split, which need not be there.
    known = f"dataset.classes=[{','.join(map(_quoted, classes))}]"
    config = Composer.of_folder(SHIPPED_CONF).compose([*overrides, known])
    with open_dict(config.dataset):
        config.dataset.classes = None  # which order the files have does not matter
    node = OmegaConf.to_container(config.dataset, resolve=True)
    assert isinstance(node, dict)
    named = {str(key): value for key, value in node.items()}
    placed = place_dataset(named, output_dir.absolute())
    if split_files(placed, split) is None or (placed.get("n_folds") is not None and split != "test"):
        placed = prepare_dataset(named, output_dir, config.fold).node
    return {**placed, "classes": classes}


def _quoted(name: str) -> str:
    """Return a text as a value of Hydra's grammar."""
    escaped = name.replace("'", "\\'")
    return f"'{escaped}'"
