"""Composing the config of each job: Hydra's groups once per combination, values on top, every mistake in one line."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from hydra import version
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.utils import create_config_search_path
from hydra.core.config_loader import ConfigLoader
from hydra.core.object_type import ObjectType
from hydra.core.override_parser.types import Override
from hydra.core.utils import JobRuntime
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from runners.contract.errors import UserError
from runners.contract.naming import DETECTOR_CONFIG as CONFIG
from runners.contract.naming import READ_DETECTORS as READING
from sweeper.planning.mm_files import MmFile
from sweeper.planning.mm_naming import import_problems, place_named, reading_option, unread, without_effect
from sweeper.planning.override_check import value_problem
from sweeper.planning.overrides import expand_override, nearest, parse_overrides
from sweeper.planning.own_paths import anchor_paths
from sweeper.planning.setting_rules import range_problems
from sweeper.planning.settings import MISSING, config_problems
from sweeper.project.own_options import misplaced_options, unreadable_options
from sweeper.project.project import find_project, unread_option

RECIPE = "recipe"

# What Hydra raises for a person's mistake. ValueError is among them: it answers so to a number as a group's option.
COMPOSITION_ERRORS = (HydraException, OmegaConfBaseException, yaml.YAMLError, ValueError, RecursionError)


@dataclass
class _Base:
    """One combination of groups, composed; jobs take copies of it."""

    config: DictConfig
    raw: Mapping[str, Any]  # the same as plain data, interpolations as text
    reads: bool = False  # a config of MMDetection
    file: MmFile | None = None  # that config; while none is named, nobody knows what settings there are

    # Overridden keys with which nothing is missing and every interpolation leads somewhere.
    sound_with: set[frozenset[str]] = field(default_factory=set)
    # What is wrong with an override, by its line: jobs of a sweep have most of their overrides in common.
    judged: dict[str, str | None] = field(default_factory=dict)

    @property
    def has_our_size(self) -> bool:
        """Whether the pipelines are ours, which follow ``image_size``."""
        return "image_size" in self.config.hydra.runtime.choices


class Composer:
    """Composes jobs that differ in their overrides.

    A whole composition takes Hydra about 70 ms; here each combination of groups is composed once and values are laid
    on a copy of it by Hydra's own code.

    Args:
        loader: Hydra's loader, which knows the search path.
        master: a config that this loader composed: gives the root file's name, and the overrides of Hydra's own node.
    """

    def __init__(self, loader: ConfigLoader, master: DictConfig) -> None:
        self._loader = loader
        self.defaults: Mapping[str, str | None] = dict(master.hydra.runtime.choices)
        self._config_name: str = master.hydra.job.config_name
        self._hydra_lines: list[str] = list(master.hydra.overrides.hydra)
        self._bases: dict[tuple[tuple[str, ...], str | None], _Base] = {}
        self._options: dict[str, list[str]] = {}
        self._groups: list[str] = loader.list_groups("")

    @classmethod
    def of_folder(cls, conf_dir: Path, config_name: str = "config") -> "Composer":
        """Build one outside `hydra.main`, for a folder of groups."""
        version.setbase("1.3")
        JobRuntime.instance().set("name", "detsweep")
        loader = ConfigLoaderImpl(create_config_search_path(str(conf_dir.absolute())))
        try:
            return cls(loader, loader.load_configuration(config_name, [], RunMode.RUN))
        except COMPOSITION_ERRORS as error:
            raise UserError(_one_line(error)) from error

    def compose(self, overrides: Sequence[str]) -> DictConfig:
        """Compose one job.

        Args:
            overrides: in Hydra's grammar, without axes.

        Returns:
            The config with Hydra's node; interpolations are not replaced yet, for some need the data set.

        Raises:
            UserError: with all problems of these overrides.
        """
        base, values, problems = self._read(overrides)
        if problems:
            raise UserError(*problems)
        config = copy.deepcopy(base.config)
        try:
            ConfigLoaderImpl._apply_overrides_to_config(values, config)
        except (HydraException, OmegaConfBaseException) as error:
            raise UserError(_one_line(error)) from error
        config.hydra.overrides.task = list(overrides)
        problems = range_problems(config)
        if base.file is not None:
            problems += import_problems(base.file, OmegaConf.to_object(config.plugins))
        # What the files leave open depends on which keys are overridden, and jobs of a sweep override the same ones.
        keys = frozenset(override.get_key_element() for override in values)
        if keys not in base.sound_with or any("${" in line or MISSING in line for line in overrides):
            problems += config_problems(config, with_interpolations=not problems)
            if not problems:
                base.sound_with.add(keys)
        if problems:
            raise UserError(*problems)
        return config

    def problems(self, overrides: Sequence[str]) -> list[str]:
        """Return what is wrong with overrides, axes among them, without composing every job."""
        parsed, problems = parse_overrides(overrides)
        lines = [[override.input_line or "" for override in expand_override(entry)] for entry in parsed]
        fixed = [values[0] for values in lines if len(values) == 1]
        # One axis at a time, all else as it stands: what is wrong with a value is wrong in every combination.
        alone = [[*fixed, line] for values in lines if len(values) > 1 for line in values]
        is_read = any(line in (f"detector={option}" for option in READING) for values in lines for line in values)
        for job in [fixed, *alone]:
            problems += [problem for problem in self._read(job, is_read)[2] if problem not in problems]
        return problems

    def groups(self) -> Mapping[str, Sequence[str]]:
        """Return every group that stands in a folder of its own, with the names of its options."""
        return {group: self._group_options(group) for group in self._groups}

    def folders(self) -> Sequence[Path]:
        """Return the folders of groups, the one that is searched first before the others."""
        return [Path(source.path) for source in self._loader.get_sources() if source.scheme() == "file"]

    def is_group(self, key: str) -> bool:
        """Whether a key of an override chooses an option, and is no value."""
        return bool(self._group_options(key))

    def is_choice(self, key: str) -> bool:
        """Whether a key of an override decides which settings there are: a group, or the config that is read."""
        return key == CONFIG or self.is_group(key)

    def _read(
        self, overrides: Sequence[str], is_read_elsewhere: bool = False
    ) -> tuple[_Base, list[Override], list[str]]:
        """Return the combination of groups, the values to lay on it, and what is wrong with either."""
        parsed, problems = parse_overrides(overrides)
        problems += _recipe_problems(parsed)
        values: list[Override] = []
        groups: list[str] = []
        named: str | None = None
        for override in parsed:
            if override.key_or_group.startswith("hydra.") or override.key_or_group == "hydra":
                groups.append(override.input_line or "")
            elif not self.is_group(override.key_or_group) or isinstance(override.value(), dict):
                values.append(override)
                named = str(override.value()) if override.key_or_group == CONFIG else named
            else:
                problem = self._option_problem(override)
                if problem:
                    problems.append(problem)
                else:
                    groups.append(override.input_line or "")
        base = self._base(tuple(groups), named)
        for override in [] if base.reads and base.file is None else values:
            if override.key_or_group == CONFIG and not base.reads:
                problems += [] if is_read_elsewhere else [unread(override)]
                continue
            if base.file is not None and override.key_or_group.startswith("image_size.") and not base.has_our_size:
                problems.append(without_effect(override))
                continue
            line = override.input_line or ""
            if line not in base.judged:
                base.judged[line] = value_problem(override, base.config, base.raw, self._groups)
            problem = base.judged[line]
            if problem:
                problems.append(problem)
        return base, values, problems

    def _base(self, groups: tuple[str, ...], named: str | None) -> _Base:
        """Return a combination of groups.

        Args:
            groups: the overrides that choose options.
            named: the config of MMDetection that the command line names.
        """
        key = (groups, named)
        if key not in self._bases:
            try:
                config = self._loader.load_configuration(self._config_name, [*self._hydra_lines, *groups], RunMode.RUN)
            except COMPOSITION_ERRORS as error:
                raise UserError(_one_line(error)) from error
            misplaced = misplaced_options(find_project(), config.hydra.runtime.choices)
            if misplaced:
                raise UserError(*misplaced)
            kind = reading_option(config)
            file = None
            if kind is not None:
                file = place_named(config, kind, named, self._chosen(groups, config), self._recipe(config))
            anchor_paths(config)  # what a command line says is laid on later
            ours = {str(key): None for key in config if key != "hydra"}
            raw = OmegaConf.to_container(OmegaConf.masked_copy(config, list(ours)), resolve=False)
            assert isinstance(raw, dict)
            self._bases[key] = _Base(config, {str(key): value for key, value in raw.items()}, kind is not None, file)
        return self._bases[key]

    def _chosen(self, groups: Sequence[str], config: DictConfig) -> set[str]:
        """Return the groups of which the command line or a recipe chooses an option."""
        usual = self._loader.load_configuration(self._config_name, self._hydra_lines, RunMode.RUN).hydra.runtime.choices
        chosen = {group for group, option in config.hydra.runtime.choices.items() if option != usual.get(group)}
        return chosen | {line.partition("=")[0].lstrip("+~").partition("@")[0] for line in groups}

    def _recipe(self, config: DictConfig) -> dict[str, Any]:
        """Return what the chosen recipe says of single values."""
        option = config.hydra.runtime.choices.get(RECIPE)
        paths = [folder / RECIPE / f"{option}.yaml" for folder in self.folders()] if option else []
        path = next((path for path in paths if path.is_file()), None)
        content = yaml.safe_load(path.read_text(encoding="utf-8")) if path else None
        return {key: value for key, value in (content or {}).items() if key not in ("defaults", "hydra")}

    def _group_options(self, group: str) -> list[str]:
        if group not in self._options:
            self._options[group] = self._loader.get_group_options(
                group, ObjectType.CONFIG, self._config_name, self._hydra_lines
            )
        return self._options[group]

    def _option_problem(self, override: Override) -> str | None:
        group, options = override.key_or_group, self._group_options(override.key_or_group)
        value = override.value()
        if override.is_delete():
            return None
        line, choices = override.input_line, ", ".join(options)
        for option in value if isinstance(value, list) else [value]:
            if option == "":
                return f"no value in override '{line}': axis '{group}' has none; choices: {choices}"
            if not isinstance(option, str) or option not in options:
                return (
                    f"unknown {group} in override '{line}': {option}{nearest(str(option), options)}; choices: {choices}"
                    f"{unread_option(group, option)}"
                )
        return None


def explain(error: Exception, conf_dir: Path, words: Sequence[str] = ()) -> UserError:
    """Return what a person needs to hear of an exception that Hydra raised before any job was composed.

    Args:
        error: what `hydra.main` raised.
        conf_dir: the folder of the groups.
        words: the command line without its verb; where given, all of its mistakes are told and not only Hydra's first.

    Raises:
        ValueError: the error itself, if it is none of Hydra's and the words are sound: a mistake of ours.
    """
    overrides = [word for word in words if "=" in word and not word.startswith("-")]
    if overrides:
        problems = Composer.of_folder(conf_dir).problems(overrides)
        if problems:
            return UserError(*problems)
    if isinstance(error, ValueError) and not isinstance(error, HydraException | OmegaConfBaseException):
        raise error
    return UserError(_one_line(error))


def _recipe_problems(overrides: Sequence[Override]) -> list[str]:
    """Return a line if two recipes are chosen: each brings axes, and Hydra would drop those of one without a word."""
    chosen = [override for override in overrides if override.key_or_group == RECIPE and not override.is_delete()]
    names = {str(override.value()) for override in chosen}
    if len(names) < 2 and not any(isinstance(override.value(), list) for override in chosen):
        return []
    lines = " ".join(override.input_line or "" for override in chosen)
    return [f"two recipes in override '{lines}': each brings its own axes; choose one, or start one sweep per recipe"]


def _one_line(error: BaseException) -> str:
    """Return an exception of Hydra or OmegaConf as one line; the deepest cause says most."""
    while error.__cause__ is not None:
        error = error.__cause__
    if isinstance(error, UnicodeDecodeError | RecursionError):
        problems = unreadable_options(find_project())
        if problems:
            return problems[0]
    if isinstance(error, UserError):
        return "; ".join(error.problems)
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        at = f"line {error.problem_mark.line + 1}, column {error.problem_mark.column + 1}"
        return f"broken YAML in {error.problem_mark.name}: {error.problem} at {at}"
    told = " ".join(str(error).split()).partition(" Config search path:")[0]
    return f"config cannot be composed in conf: {told or type(error).__name__}"
