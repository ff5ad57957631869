"""``docs/search.md`` does not rot: its files fit the configs, and detsweep takes every command line that is in it."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from runners.contract.search import Search
from sweeper.planning.compose import Composer
from sweeper.planning.overrides import parse_override
from sweeper.planning.resolvers import register
from sweeper.planning.search_check import space_problems
from sweeper.planning.search_space import default_point, file_of, has_search, inside, search_of
from sweeper.study.samplers import check_methods
from sweeper.verbs.verbs import VERBS
from tests.composition import CONF

ROOT = Path(__file__).parents[1]
DOCUMENT = ROOT / "docs" / "search.md"
README = ROOT / "README.md"
BLOCK = re.compile(r"^```(?P<kind>\w+)(?: file=(?P<file>\S+))?\n(?P<text>.*?)^```$", re.M | re.S)
# The data of whoever reads it; here the generated set stands for it.
DATA = {"dataset.root=data": "dataset=shapes"}


@dataclass(frozen=True)
class Command:
    """A command line of a document: the verb, and the words behind it."""

    verb: str
    words: tuple[str, ...]

    def __str__(self) -> str:
        return " ".join((self.verb, *self.words))


def commands(document: Path) -> Iterator[Command]:
    """Yield the command lines of a document's shell blocks."""
    for block in BLOCK.finditer(document.read_text(encoding="utf-8")):
        for line in block["text"].splitlines() if block["kind"] == "bash" else ():
            program, *words = shlex.split(line, comments=True) or [""]
            if program == "detsweep":
                yield Command(words[0], tuple(words[1:]))


def files() -> Iterator[tuple[str, str]]:
    """Yield the files of the document: where they are saved, and what is in them."""
    for block in BLOCK.finditer(DOCUMENT.read_text(encoding="utf-8")):
        if block["file"]:
            yield block["file"], block["text"]


ALL = list(dict.fromkeys(commands(DOCUMENT)))
# Those of the README that begin a search.
SHOWN = [command for command in commands(README) if any(word.startswith("search=") for word in command.words)]
COMPOSED = [command for command in (*ALL, *SHOWN) if VERBS[command.verb].is_hydras]


@pytest.fixture(scope="module")
def composer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Composer]:
    """Return what composes in a project that has the document's files."""
    project = tmp_path_factory.mktemp("project")
    (project / "detsweep.yaml").touch()
    for name, text in files():
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text(text, encoding="utf-8")
    register()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(project)
        yield Composer.of_folder(CONF)


def read(composer: Composer, command: Command) -> tuple[Search, list[str], str]:
    """Return the search of a command line, what its trials share, and its file."""
    overrides = [parse_override(DATA.get(word, word)) for word in command.words]
    config = composer.compose([str(entry.input_line) for entry in overrides if not entry.is_sweep_override()])
    assert has_search(config)
    search, shared = search_of(config, overrides)
    return search, [str(entry.input_line) for entry in shared], file_of(config)


def test_the_document_and_the_readme_have_commands_and_a_file() -> None:
    assert len(COMPOSED) > 20
    assert {"plan", "train", "check", "status", "resume", "stop", "study"} <= {command.verb for command in ALL}
    assert SHOWN
    assert [name for name, _ in files()] == ["conf/search/rates.yaml"]


@pytest.mark.parametrize("command", COMPOSED, ids=str)
def test_a_command_line_begins_a_search(composer: Composer, command: Command) -> None:
    search, shared, where = read(composer, command)
    config = composer.compose(shared)
    point = default_point(search, config)
    assert inside(search, point) == []
    check_methods(search, int(config["n_epochs"]), where)


def test_the_documents_own_search_fits_the_configs(composer: Composer) -> None:
    search, shared, where = read(composer, Command("train", ("search=rates", "dataset=shapes")))
    assert space_problems(search, composer, shared, where) == []


@pytest.mark.parametrize("command", [command for command in ALL if command not in COMPOSED], ids=str)
def test_another_command_has_a_verb_and_words_that_it_takes(command: Command) -> None:
    verb = VERBS[command.verb]
    for word in command.words:
        key, separator, _ = word.partition("=")
        assert not separator or key in verb.settings, f"{command}: {key}"
        assert not word.startswith("-") or word in verb.flags


def test_every_shipped_search_sampler_and_pruner_is_explained() -> None:
    from sweeper.study.methods import PRUNER_OPTIONS, SAMPLER_OPTIONS

    text = DOCUMENT.read_text(encoding="utf-8")
    shipped = [f"search={path.stem}" for path in CONF.glob("search/*.yaml")]
    assert [name for name in (*shipped, *SAMPLER_OPTIONS, *PRUNER_OPTIONS) if f"`{name}`" not in text] == []


def test_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", DOCUMENT.read_text(encoding="utf-8")):
        assert (DOCUMENT.parent / target).exists(), target
