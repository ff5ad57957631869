"""``detsweep predict``: what a trained detector finds in images, as pictures, COCO results and a competition file."""

import hashlib
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.text import Text

from runners.contract.coco import CocoFile, read_coco, split_files
from runners.contract.errors import UserError
from runners.contract.jsonfile import write_json
from runners.contract.metrics import Split
from runners.contract.yamlfile import load_yaml
from sweeper.runs.evaluation import Evaluated, Workplace, evaluate_split, predict_images
from sweeper.runs.evaluation_log import log_evaluation
from sweeper.runs.subject import Subject
from sweeper.verbs.evaluate import find_subject, plain_name, say_problem
from sweeper.verbs.image_words import find_images, image_list
from sweeper.verbs.report import open_console
from sweeper.verbs.run_words import MACHINE_SETTINGS, RunWords, read_run_words, workplace

SETTINGS = {
    **MACHINE_SETTINGS,
    **{
        "split": "",
        "tta": "",
        "name": "",
        "score": "0.3",
        "out": "",
        "pictures": "true",
        "again": "false",
        "log": "true",
    },
}
EXIT_SOME_LEFT_OUT = 1
# A store is no place for thousands of pictures.
N_LOGGED_PICTURES = 50
N_NAMED = 20


@dataclass(frozen=True)
class _Looked:
    """What was looked at.

    Attributes:
        coco: images and categories.
        folder: of the images.
    """

    coco: CocoFile
    folder: Path


def run_predict(words: Sequence[str]) -> int:
    """Carry ``detsweep predict RUN|CHECKPOINT IMAGES... [KEY=VALUE ...]`` out.

    Returns:
        0, or 1 if some of the images cannot be used: the others are done.

    Raises:
        UserError: the run, the images or a word is wrong; none of the images can be used; or the process failed.
    """
    told = read_run_words("predict", words, SETTINGS, has_overrides=True)
    split = told.split(None)
    if not told.names or (len(told.names) == 1) == (split is None):
        raise UserError(
            f"images in {told.line}: name a run or checkpoint, and images (files, folders, patterns) or split=test"
        )
    tta, score, again = told.tta, told.number("score", 0, 1), told.truth("again")
    should_draw, should_log, name = told.truth("pictures"), told.truth("log"), plain_name(told)
    # Before anything is composed: a folder without images is told at once.
    images = find_images(told.names[1:])
    console = open_console()
    subject, overrides = find_subject(told.names[0], told)
    with workplace(told, console, f"predicting with {subject.title}") as place:
        if split is None:
            name = name or _name(images, told)
            done = predict_images(subject, image_list(images, subject.config), tta, overrides, place, name, again=again)
        else:
            done = evaluate_split(subject, split, tta, overrides, place, name=name, again=again)
        looked = _looked_at(done, split)
        out = Path(told.settings["out"]).expanduser().absolute() if told.settings["out"] else done.folder.path
        written = _write(done, looked, subject, out)
        pictures = _draw(done, looked, score, out, place) if should_draw else []
    if not done.is_new:
        console.print(Text(f"predicted before, taken as stored (again=true predicts again): {done.folder.path}"))
    _tell(done, written, pictures, out, score, console)
    if should_log:
        files = [*written, *pictures[:N_LOGGED_PICTURES]]
        say_problem(log_evaluation(subject, done, files, "predictions"), console)
    return EXIT_SOME_LEFT_OUT if done.result.left_out else 0


def _name(images: Sequence[Path], told: RunWords) -> str:
    """Return what predictions of somebody's images are called: by their folder, and told apart from all others."""
    folder = images[0].parent.name if len(images) > 1 else images[0].stem
    plain = "".join(character if character.isalnum() else "-" for character in folder).strip("-") or "images"
    decides = [str(path) for path in images] + [told.settings["tta"], *sorted(told.overrides)]
    return f"images_{plain}_{hashlib.sha256(json.dumps(decides).encode()).hexdigest()[:6]}"


def _looked_at(done: Evaluated, split: Split | None) -> _Looked:
    if split is None:
        coco = read_coco(done.folder.images)
        usable = [image for image in coco.images if image["file_name"] not in done.result.left_out]
        return _Looked(CocoFile(coco.path, {**coco.content, "images": usable}, coco.digest), Path("/"))
    files = split_files(load_yaml(done.folder.config.read_text(encoding="utf-8"))["dataset"], split)
    assert files is not None  # it has just been looked at
    return _Looked(read_coco(files.ann_file, files.setting), files.image_dir)


def _write(done: Evaluated, looked: _Looked, subject: Subject, out: Path) -> list[Path]:
    """Write results, images and the competition file; return the files."""
    from reports.submission import write_detections

    folder = done.folder
    detections = json.loads(folder.detections.read_text(encoding="utf-8"))
    out.mkdir(parents=True, exist_ok=True)
    results, images = out / folder.detections.name, out / folder.images.name
    if out != folder.path:
        shutil.copyfile(folder.detections, results)
    content = {"images": looked.coco.images, "categories": looked.coco.categories}
    if images != folder.images or not folder.images.exists():
        write_json(images, content)
    # Nobody's competition knows where the images lie on this machine.
    named = [{**image, "file_name": Path(str(image["file_name"])).name} for image in looked.coco.images]
    short = CocoFile(
        looked.coco.path, {**content, "images": named if looked.folder == Path("/") else content["images"]}, ""
    )
    classes = subject.config["dataset"]["classes"]
    csv = write_detections(detections, short, classes, out / folder.submission.name, folder.detections).csv
    return [results, images, csv]


def _draw(done: Evaluated, looked: _Looked, score: float, out: Path, place: Workplace) -> list[Path]:
    from reports.prediction_pictures import write_pictures

    detections = json.loads(done.folder.detections.read_text(encoding="utf-8"))
    pictures, problems = write_pictures(
        detections, looked.coco, looked.folder, score, out / done.folder.pictures.name, place.advance
    )
    for problem in list(problems.values())[:N_NAMED]:
        place.say(f"not drawn: {problem}")
    return pictures


def _tell(
    done: Evaluated, written: Sequence[Path], pictures: Sequence[Path], out: Path, score: float, console: Console
) -> None:
    result = done.result
    lines = [f"{result.n_detections} detections in {result.n_images} images"]
    lines += [f"note: {note}" for note in result.notes]
    lines += [f"left out: {problem}" for problem in list(result.left_out.values())[:N_NAMED]]
    if len(result.left_out) > N_NAMED:
        lines.append(f"left out: {len(result.left_out) - N_NAMED} more, listed in {done.folder.metrics}")
    lines += [f"wrote {path}" for path in written]
    if pictures:
        lines.append(f"wrote {len(pictures)} pictures in {pictures[0].parent}, of scores from {score:g} (score=)")
    for line in lines:
        console.print(Text(line), soft_wrap=True)
