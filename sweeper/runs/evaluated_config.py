"""What is asked of an evaluation, laid over a run's config: other data, other test settings, nothing that trains."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runners.contract.coco import CocoFile, SplitFiles, fingerprint, read_coco, split_files
from runners.contract.coco_records import check_records
from runners.contract.errors import UserError
from runners.contract.image_files import check_images
from runners.contract.metrics import Split
from runners.contract.naming import dataset_name

# What may differ from the training: where data lies, and what a trained model does at test time.
CHANGEABLE = ("dataset", "fold", "model", "pipeline.test")
DATASET = "dataset"


@dataclass(frozen=True)
class EvaluatedConfig:
    """A config, ready to be evaluated.

    Attributes:
        config: resolved.
        dataset: name of the data set, where it is another one than the run's; else empty.
        changes: every other override, as it was typed.
    """

    config: dict[str, Any]
    dataset: str
    changes: tuple[str, ...]


@dataclass(frozen=True)
class EvaluatedSplit:
    """A split that was found fit to be looked at.

    Attributes:
        files: where it lies.
        coco: its annotation file.
        fingerprint: of the file and its images.
        notices: lines worth showing.
    """

    files: SplitFiles
    coco: CocoFile
    fingerprint: str
    notices: tuple[str, ...] = ()


def lay_over(config: Mapping[str, Any], overrides: Sequence[str], split: Split, output_dir: Path) -> EvaluatedConfig:
    """Return a run's config with overrides laid over it.

    Args:
        config: of the run.
        overrides: in Hydra's grammar: ``dataset=`` an option of that group, ``dataset.root=`` and other values.
        split: the split that is looked at; of another data set only this one has to be there.
        output_dir: where generated and split data goes.

    Raises:
        UserError: a key that an evaluation cannot change, or that is not there; all problems of the data set's options.
    """
    if not overrides:
        return EvaluatedConfig(dict(config), "", ())
    # Hydra takes half a second to be imported, which the usual evaluation does without.
    from sweeper.planning.overrides import parse_override

    keys = {line: parse_override(line).key_or_group for line in overrides}
    _refuse_what_trains(keys)
    of_data = [line for line, key in keys.items() if key.split(".")[0] in (DATASET, "fold")]
    others = [line for line, key in keys.items() if line not in of_data]
    changed = dict(config)
    if any(keys[line] == DATASET for line in of_data):
        from sweeper.runs.other_data import compose_dataset

        changed[DATASET] = compose_dataset(of_data, split, output_dir, list(config[DATASET]["classes"]))
        changed["fold"] = None
    elif of_data:
        changed = _apply(changed, of_data)
    changed = _apply(changed, others)
    name = dataset_name(changed) if of_data else ""
    return EvaluatedConfig(changed, name, tuple(sorted(others)))


def check_split(config: Mapping[str, Any], split: Split) -> EvaluatedSplit:
    """Read a split and check it against the classes that the config's model knows.

    Raises:
        UserError: all that is wrong with it.
    """
    files = split_files(config[DATASET], split)
    if files is None:
        there = [name for name in ("train", "val", "test") if split_files(config[DATASET], name) is not None]
        raise UserError(f"no {split} split in dataset.{split}: null; the data set has {', '.join(there) or 'none'}")
    coco = read_coco(files.ann_file, f"{files.setting}.ann_file", "name it, or another place: dataset.root=FOLDER")
    found = check_records(coco)
    if not found.problems:
        found.add(check_images(coco, files))
    problems = [*_class_problems(coco, config[DATASET]["classes"]), *found.problems]
    if problems:
        raise UserError(*problems)
    return EvaluatedSplit(files, coco, fingerprint([(coco, files.image_dir)]), tuple(found.warnings))


def evaluation_name(split: str, tta: str | None, evaluated: EvaluatedConfig) -> str:
    """Return what an evaluation is called: its split, and whatever differs from the training's own look at it."""
    parts = [split, *([tta] if tta else []), *([_plain(evaluated.dataset)] if evaluated.dataset else [])]
    if evaluated.changes:
        parts.append(hashlib.sha256("\n".join(evaluated.changes).encode()).hexdigest()[:6])
    return "_".join(parts)


def _class_problems(coco: CocoFile, classes: Sequence[str]) -> list[str]:
    # The order does not matter: detections carry the file's own ids.
    if sorted(coco.classes) == sorted(classes):
        return []
    return [
        f"classes differ in {coco.path}: {', '.join(map(str, coco.classes))}, but the model was trained on "
        f"{', '.join(classes)}; name the categories alike"
    ]


def _refuse_what_trains(keys: Mapping[str, str]) -> None:
    problems = []
    for line, key in keys.items():
        if not any(key == part or key.startswith(f"{part}.") for part in CHANGEABLE):
            from sweeper.planning.overrides import nearest

            near = nearest(key, ("split", "tta", "name", "again", "gpus", "dataset.root", "score", "out", "log"))
            problems.append(
                f"setting '{key}' in override '{line}': the training is over; an evaluation changes "
                f"{', '.join(CHANGEABLE)}{near}"
            )
    if problems:
        raise UserError(*problems)


def _apply(config: Mapping[str, Any], lines: Sequence[str]) -> dict[str, Any]:
    """Lay values over resolved plain data, by Hydra's own code; a key that is not there wants a ``+``."""
    if not lines:
        return dict(config)
    from hydra._internal.config_loader_impl import ConfigLoaderImpl
    from hydra.errors import HydraException
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    from sweeper.planning.overrides import nearest, parse_override
    from sweeper.planning.settings import leaves

    cfg = OmegaConf.create(dict(config))
    OmegaConf.set_struct(cfg, True)
    for line in lines:
        override = parse_override(line)
        if override.is_sweep_override():
            raise UserError(f"axis in override '{line}': an evaluation is one; give one value")
        try:
            ConfigLoaderImpl._apply_overrides_to_config([override], cfg)
        except (HydraException, OmegaConfBaseException) as error:
            keys = [key for key, _ in leaves(dict(config))]
            near = nearest(override.key_or_group, keys)
            raise UserError(f"no setting '{override.key_or_group}' in override '{line}'{near}") from error
    plain = OmegaConf.to_container(cfg)
    assert isinstance(plain, dict)
    return {str(key): value for key, value in plain.items()}


def _plain(name: str) -> str:
    return (
        "".join(character if character.isalnum() or character in "-." else "-" for character in name).strip(".")
        or "data"
    )
