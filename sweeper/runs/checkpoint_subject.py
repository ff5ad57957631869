"""A checkpoint that detsweep did not train, with the config that says what it is: composed as one job of a sweep."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from runners.contract.digest import sha256_of
from runners.contract.errors import UserError
from runners.contract.folder import JobFolder, SweepFolder
from runners.contract.jsonfile import write_text
from runners.contract.yamlfile import dump_yaml
from sweeper.runs.addresses import RunPlace
from sweeper.runs.subject import Subject
from sweeper.tracking.run_log import LoggedRun

# What is measured with other people's checkpoints stands here, beside the sweeps and not among them.
EVALUATIONS = "evaluations"
SUFFIXES = (".pth", ".pt", ".ckpt", ".bin")


def is_checkpoint(name: str) -> bool:
    """Whether a word of a command line means a file of weights and not a run."""
    return Path(name).is_file() or name.lower().endswith(SUFFIXES)


def subject_of_checkpoint(name: str, overrides: Sequence[str], place: RunPlace) -> Subject:
    """Return what a checkpoint and the overrides of one job describe.

    Args:
        name: the file.
        overrides: what composes its config, as behind ``detsweep train``: detector, backbone, data set.
        place: where its evaluations go.

    Raises:
        UserError: there is no such file, or all problems of config and data set.
    """
    path = Path(name).absolute()
    if not path.is_file():
        raise UserError(
            f"checkpoint missing in {name}: {'a folder' if path.is_dir() else 'no such file'}; give a .pth file"
        )
    # Hydra takes half a second to be imported, which an evaluation of a run does without.
    from sweeper.planning.axes import read_axes
    from sweeper.planning.compose import Composer
    from sweeper.planning.overrides import parse_override
    from sweeper.planning.plan import make_plan
    from sweeper.planning.resolvers import register
    from sweeper.planning.settings import sweep_settings
    from sweeper.project.project import SHIPPED_CONF
    from sweeper.stored.plugin_copies import write_plugins
    from sweeper.stored.sweep_folder import UMASKS, set_umask

    register()
    composer = Composer.of_folder(SHIPPED_CONF)
    # Nothing is trained: no weights are wanted to begin with, and no batch has to be filled. An override wins.
    lines = ["weights=none", "batch_size=1", *overrides]
    axes = read_axes([parse_override(line) for line in lines])
    if axes.values:
        raise UserError(f"axis in {', '.join(axes.values)}: a checkpoint has one config; give one value each")
    settings = sweep_settings(composer.compose(axes.overrides({})))
    plan = make_plan(composer, axes, settings, place.output_dir)
    (job,) = plan.jobs
    digest = sha256_of(path)
    told = json.dumps(
        [digest, job.config["model"], job.config["pipeline"]["test"], job.dataset.fingerprint], sort_keys=True
    )
    name = f"{path.stem}-{hashlib.sha256(told.encode()).hexdigest()[:8]}"
    folder = JobFolder(place.output_dir / EVALUATIONS / name)
    set_umask(UMASKS[settings["share"]])
    folder.path.mkdir(parents=True, exist_ok=True)
    title = f"{path.stem} ({job.title})"
    write_text(folder.config, dump_yaml({**job.config, "title": title}))
    write_plugins(SweepFolder(folder.path), plan.plugins)
    logged = LoggedRun(place.tracking, f"{EVALUATIONS}/{name}")
    return Subject(folder, title, job.config, path, digest, logged, is_foreign=True, has_own_run=True)
