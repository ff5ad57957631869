"""The files that a project begins with, as text: marker, example recipe, machine settings, README and the others."""

from collections.abc import Sequence
from dataclasses import dataclass

from sweeper.project.dataset_option import BATCH_SIZE, DatasetOption
from sweeper.project.project import CONF, LOCAL, MARKER, OUTPUTS

RECIPE = "first"
QUICK = "quick"

_LOCAL = """\
# What this machine needs; not in git. It counts over detsweep's defaults, and under a recipe and the command line.
# Only how sweeps run: what is trained is said in a recipe or on the command line, and is the same on every machine.
# Relative paths begin at the project's folder. Take the # away from what you need.

# gpus: 0,1 # all, none, or numbers
# jobs_per_gpu: auto # side by side on a device: a number, or as many as fit into its memory
# busy_gpus: wait # for a GPU that somebody else computes on; use: share it
# n_workers: 4 # data loader processes of a job
# batch_per_step: 4 # images on a device at once; the batch stays what it is
# keep: best # checkpoints of a finished job: best, best+last, all
# share: group # the sweeps' files belong to the group of the output folder as well
# output_dir: /data/{name} # instead of {outputs}/
# tracking.uri: http://localhost:5000 # instead of mlflow.db in the output folder
# tracking.experiment: {name}
"""

_HYPOTHESIS = """\
Hypotheses go here, a YAML file each: a claim about detectors, with what is compared to judge it.
`detsweep options hypothesis` lists those that come with detsweep.
"""


@dataclass(frozen=True)
class StarterFile:
    """A file to be made.

    Attributes:
        name: its path from the project's root.
        text: what it holds.
        purpose: what a person is told of it.
    """

    name: str
    text: str
    purpose: str


def starter_files(option: DatasetOption, conf: str, has_readme: bool, has_gitignore: bool) -> list[StarterFile]:
    """Return the files of a new project.

    Args:
        option: its data set.
        conf: name of the folder of groups.
        has_readme: whether the folder has a README of its own, which stays as it is.
        has_gitignore: the same of ``.gitignore``.
    """
    ignored = f"/{OUTPUTS}/\n/{conf}/{LOCAL}\n__pycache__/\n"
    # In a repository that has its own rules, ours stand where they are needed.
    gitignore = (f"{conf}/.gitignore", f"/{LOCAL}\n") if has_gitignore else (".gitignore", ignored)
    readme = f"{conf}/README.md" if has_readme else "README.md"
    return [
        StarterFile(MARKER, _marker(conf), "marks this folder as a project"),
        option_file(option, conf),
        StarterFile(f"{conf}/recipe/{RECIPE}.yaml", _recipe(option), f"an example: detsweep train recipe={RECIPE}"),
        StarterFile(f"{conf}/recipe/{QUICK}.yaml", _quick(option), f"a look in minutes: detsweep train recipe={QUICK}"),
        StarterFile(f"{conf}/hypothesis/README.md", _HYPOTHESIS, "place for hypotheses"),
        StarterFile(
            f"{conf}/{LOCAL}",
            _LOCAL.format(name=option.name, outputs=OUTPUTS),
            "what this machine needs, in comments",
        ),
        StarterFile(*gitignore, "what git leaves out"),
        StarterFile(readme, _readme(option, conf), "the commands that work here"),
    ]


def option_file(option: DatasetOption, conf: str) -> StarterFile:
    """Return the file of a data set's option."""
    return StarterFile(f"{conf}/dataset/{option.name}.yaml", option.text(), option.summary)


def _marker(conf: str) -> str:
    lines = [
        "# This file marks the root of a detsweep project: here and below it, this folder's groups are read",
        "# before detsweep's own, and sweeps are kept here.",
        "",
        "# Other folders whose Python files (mmdet configs) may be executed; this one and the installed mmdet's may.",
        "# trusted_folders: [../our_configs]",
    ]
    if conf != CONF:
        lines += ["", f"conf: {conf} # the folder of groups; {CONF}/ is another program's"]
    return "\n".join(lines) + "\n"


def _recipe(option: DatasetOption) -> str:
    lines = [
        "# @package _global_",
        f"# detsweep train recipe={RECIPE}",
        "# Does a bigger backbone help? Two of them on our data, everything else the same.",
        "defaults:",
        f"  - override /dataset: {option.name}",
        "  - override /detector: faster_rcnn",
        "  - override /image_size: 512px",
        "",
    ]
    if option.batch_size < BATCH_SIZE:
        lines += [f"batch_size: {option.batch_size} # there are few images", ""]
    lines += ["hydra:", "  sweeper:", "    params:", "      backbone: resnet18,resnet50"]
    return "\n".join(lines) + "\n"


def _quick(option: DatasetOption) -> str:
    return f"""\
# @package _global_
# detsweep train recipe={QUICK}
# A look in minutes, without a GPU and without a download: small nets on small images, from scratch. No numbers to keep.
defaults:
  - override /dataset: {option.name}
  - override /detector: faster_rcnn
  - override /image_size: 160px
  - override /weights: none
  - override /width: narrow
  - override /schedule: 4e

batch_size: {min(4, option.batch_size)}
# Given for a batch of 16. From scratch a narrow net learns at higher rates than a pretrained one is tuned at.
optimizer: {{lr: 0.08}}

hydra:
  sweeper:
    params:
      backbone: resnet18,resnet34
"""


def _readme(option: DatasetOption, conf: str) -> str:
    name = option.name
    batch = f" batch_size={option.batch_size}" if option.batch_size < BATCH_SIZE else ""
    commands: list[tuple[str, str]] = [
        (f"detsweep check data dataset={name}", "classes, sizes, what looks wrong; a page with pictures"),
        (f"detsweep plan recipe={RECIPE}", "the jobs, and what they will take; starts nothing"),
        (f"detsweep train recipe={QUICK}", "two small nets in minutes, without a GPU or a download"),
        (f"detsweep train recipe={RECIPE}", "two backbones, to the report"),
        (f"detsweep train dataset={name} optimizer=sgd,adamw{batch}", "without a recipe; a comma makes an axis"),
    ]
    if option.n_folds is not None:
        folds = ",".join(map(str, range(option.n_folds)))
        commands.append((f"detsweep train recipe={RECIPE} fold={folds}", "every part of train is val once"))
    commands += [
        ("detsweep status", "the newest sweep; detsweep attach shows it live"),
        ("detsweep evaluate best tta=flip", "its best run again on val, with mirrored images"),
        ("detsweep report", "its tables; its page is in its folder under outputs/"),
    ]
    if option.has_unlabelled_test:
        commands.append(("detsweep report submission best", "what a competition wants, of the newest sweep's best run"))
    return "\n".join(
        [
            f"# {name}",
            "",
            f"Object detectors for {option.classes_told}, compared with detsweep. {option.summary}.",
            "",
            "```bash",
            *_columns(commands),
            "```",
            "",
            f"`detsweep options` lists what there is to choose from. What stands in `{conf}/` is found before "
            "detsweep's own:",
            "",
            "| to | do |",
            "|---|---|",
            f"| keep a command line | a file in `{conf}/recipe/`, as `{RECIPE}.yaml` |",
            f"| have a backbone (neck, optimizer ...) of your own | `{conf}/backbone/NAME.yaml` that begins with "
            "`# @package _global_` and `defaults: [/backbone/resnet50, _self_]`, below them what differs; "
            "then `backbone=NAME` |",
            "| have a transform, hook or layer of your own | a package or module in this folder, `plugins=[NAME]` |",
            "| train a config of MMDetection's dialect | `detector=file detector.config=my_config.py` |",
            f"| use other data | `detsweep init name=NAME data=FOLDER` adds `{conf}/dataset/NAME.yaml` |",
            f"| describe this machine | `{conf}/{LOCAL}` (GPUs, output folder, tracking server); it is not in git |",
            "",
            "Relative paths in these files begin at this folder, those on the command line where you type it.",
            "",
        ]
    )


def _columns(commands: Sequence[tuple[str, str]]) -> list[str]:
    width = max(len(command) for command, _ in commands)
    return [f"{command:<{width}}  # {meaning}" for command, meaning in commands]
