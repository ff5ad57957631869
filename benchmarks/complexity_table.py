"""Counts what the detectors of our groups cost, once, and writes ``sweeper/forecast/complexity.csv``.

``python -m benchmarks.complexity_table [--only narrow]``; minutes on two CPU cores, no download, no training. To be run
again when a detector, backbone, neck or width is added to ``conf`` or changed.
"""

import argparse
import csv
import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from runners import ops
from runners.contract.naming import READ_DETECTORS
from sweeper.forecast.complexity import COLUMNS, GROUPS, TABLE
from sweeper.planning.compose import Composer
from sweeper.planning.resolvers import register
from sweeper.planning.settings import resolve

CONF = Path(__file__).parents[1] / "conf"

# As many as COCO has: the published memory that the estimates lean on was measured with them.
N_CLASSES = 80


def main() -> None:
    """Count every combination and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="print the rows of this option instead of writing the file")
    only = parser.parse_args().only
    ops.install()  # before anything of MMDetection is imported
    from runners.complexity_table import count_complexity

    register()
    composer = Composer.of_folder(CONF)
    rows = []
    for chosen in itertools.product(*map(_options, GROUPS)):
        choices = dict(zip(GROUPS, chosen, strict=True))
        if not only or only in chosen:
            models = (_model(composer, choices, weights) for weights in ("imagenet", "none"))
            rows.append({**choices, **count_complexity(*models)})
            print(",".join(str(value) for value in rows[-1].values()), flush=True)
    if not only:
        with TABLE.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, [*GROUPS, *COLUMNS], lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)


def _options(group: str) -> list[str]:
    # A detector that reads a config of MMDetection is as large as that says.
    return sorted(path.stem for path in (CONF / group).glob("*.yaml") if path.stem not in READ_DETECTORS)


def _model(composer: Composer, choices: Mapping[str, str], weights: str) -> dict[str, Any]:
    classes = ",".join(f"c{number}" for number in range(N_CLASSES))
    overrides = [f"{group}={choice}" for group, choice in choices.items()]
    config = composer.compose(
        [*overrides, f"weights={weights}", "dataset=coco", "dataset.root=data", f"dataset.classes=[{classes}]"]
    )
    model: dict[str, Any] = resolve(OmegaConf.masked_copy(config, [str(key) for key in config]))["model"]
    return model


if __name__ == "__main__":
    main()
