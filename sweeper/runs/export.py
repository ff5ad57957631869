"""A run goes out: weights, config, classes and its own code in a folder that plain MMDetection uses without us."""

import contextlib
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import runners
from runners.contract.coco import SPLITS
from runners.contract.digest import sha256_of
from runners.contract.errors import UserError
from runners.contract.jsonfile import write_text
from runners.contract.plugin_sources import DIGEST, find_copy
from runners.contract.yamlfile import load_yaml
from sweeper.runs.portable_config import PortableConfig, portable_config
from sweeper.runs.subject import Subject

CONFIG, WEIGHTS, CLASSES, README = "config.py", "best.pth", "classes.txt", "README.md"
# What our transforms are called where detsweep is not: one file, without any import of ours.
OWN_TRANSFORMS = {"runners.transforms": "detsweep_transforms"}


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        folder: all of it.
        config: what the config names.
    """

    folder: Path
    config: PortableConfig


def export(subject: Subject, folder: Path) -> Exported:
    """Write a trained detector into a new folder, in one piece.

    Args:
        subject: the run.
        folder: not there yet, or empty.

    Raises:
        UserError: the folder is not empty, or cannot be written; or the run's config or checkpoint is not whole.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"folder in {folder}: it is not empty; name one that is not there yet")
    config = _config(subject)
    making = folder.with_name(f".{folder.name}.{os.getpid()}.exporting")
    try:
        making.mkdir(parents=True)
        shutil.copyfile(subject.checkpoint, making / WEIGHTS)
        if sha256_of(making / WEIGHTS) != subject.sha256:
            raise UserError(
                f"checkpoint changed in {subject.checkpoint}: its SHA-256 is not the recorded one; restore it"
            )
        write_text(making / CONFIG, config.text)
        classes = [str(name) for name in subject.config["dataset"]["classes"]]
        write_text(making / CLASSES, "".join(f"{' '.join(name.split())}\n" for name in classes))
        _copy_code(subject, config, making)
        write_text(making / README, _readme(subject, config, len(classes)))
        if folder.is_dir():
            folder.rmdir()
        making.rename(folder)
    except OSError as error:
        raise UserError(
            f"folder in {folder}: cannot be written ({error.strerror}: {error.filename}); choose another one"
        ) from None
    finally:
        with contextlib.suppress(OSError):
            shutil.rmtree(making)
    return Exported(folder, config)


def _config(subject: Subject) -> PortableConfig:
    path = subject.job.mmdet_config
    try:
        text = path.read_text(encoding="utf-8")
        # Written before the config of a set without test images could be loaded by MMDetection's own functions.
        for part in ("dataloader", "cfg", "evaluator"):
            text = text.replace(f"\ntest_{part} = None\n", f"\ntest_{part} = val_{part}\n")
        text = text.replace("\ntest_cfg = val_cfg\n", "\ntest_cfg = dict(type='TestLoop')\n")
        # As it was when the file was written; the subject's own may have moved since.
        config = load_yaml(subject.job.config.read_text(encoding="utf-8"))
        before, now = (dict(_places(each["dataset"])) for each in (config, subject.config))
        moved = {place: now[key] for key, place in before.items() if key in now}
        return portable_config(text, before["root"], subject.title, OWN_TRANSFORMS, moved)
    except FileNotFoundError:
        raise UserError(
            f"config of {subject.title} in {path}: no such file; only a run that began to train has it"
        ) from None
    except (SyntaxError, UnicodeDecodeError) as error:
        raise UserError(f"config of {subject.title} in {path}: damaged ({error}); restore the file") from None


def _places(dataset: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield where a data set and the annotation files of its splits lie."""
    yield "root", str(dataset["root"])
    for split in SPLITS:
        if isinstance(dataset.get(split), Mapping) and dataset[split].get("ann_file"):
            yield split, str(dataset[split]["ann_file"])


def _copy_code(subject: Subject, config: PortableConfig, folder: Path) -> None:
    """Copy what the config imports: the project's own packages as the sweep keeps them, and our transforms."""
    for module, name in OWN_TRANSFORMS.items():
        if name in config.modules:
            source = Path(str(runners.__file__)).parent / f"{module.rpartition('.')[2]}.py"
            shutil.copyfile(source, folder / f"{name}.py")
    digest = subject.config.get(DIGEST)
    if digest:
        shutil.copytree(find_copy(subject.job.path, digest), folder, dirs_exist_ok=True)


def _readme(subject: Subject, config: PortableConfig, n_classes: int) -> str:
    """Return the usage note: the commands of plain MMDetection, to be typed in the folder."""
    places = ", ".join(f"`{name}`" for name in config.paths) or "nothing"
    code = ", ".join(f"`{name}`" for name in config.modules)
    imports = f"\nIt imports {code} from this folder: have Python find it, with PYTHONPATH." if code else ""
    before = "PYTHONPATH=. " if code else ""
    return f"""\
# {" ".join(subject.title.split())}

`{WEIGHTS}` (SHA-256 {subject.sha256[:12]}), `{CONFIG}` and `{CLASSES}` ({n_classes}, in the order of the labels) are
all that plain MMDetection 3.x needs. To edit at the top of `{CONFIG}` where the data lies elsewhere: {places}.{imports}

    {before}mim test mmdet {CONFIG} --checkpoint {WEIGHTS}
    {before}python <mmdetection>/tools/test.py {CONFIG} {WEIGHTS}
    {before}python
    >>> from mmdet.apis import inference_detector, init_detector
    >>> model = init_detector("{CONFIG}", "{WEIGHTS}", device="cpu")
    >>> inference_detector(model, "image.jpg").pred_instances
"""
