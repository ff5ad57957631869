"""An outsider's first hour, as ``docs/first_hour.md`` tells it: every block of it is run, from the installed wheel."""

import json
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCUMENT = ROOT / "docs" / "first_hour.md"
DATA = ROOT.parent / "shared" / "data" / "aquatrash"
BLOCK = re.compile(
    r"^(?P<note><!-- by hand.*?-->\n)?```(?P<kind>\w+)(?: file=(?P<file>\S+))?\n(?P<text>.*?)^```$", re.M | re.S
)
N_PICTURES = 3
# A third of the photographs, so that the hour takes minutes.
EVERY = 3


@dataclass(frozen=True)
class Block:
    """A fenced block of the document.

    Attributes:
        kind: bash, python or yaml.
        file: where a person would save it; None of a command.
        text: its lines.
        is_by_hand: whether the test does this in its own way.
    """

    kind: str
    file: str | None
    text: str
    is_by_hand: bool


def blocks() -> Iterator[Block]:
    for found in BLOCK.finditer(DOCUMENT.read_text(encoding="utf-8")):
        yield Block(found["kind"], found["file"], found["text"], found["note"] is not None)


@dataclass
class Terminal:
    """A shell that remembers where it is and what was printed."""

    folder: Path
    environment: dict[str, str]
    said: list[tuple[str, str]]

    def run(self, lines: str) -> None:
        """Run lines as one types them; fail with what they said if one of them does."""
        where = self.folder.parent / "where"
        script = f"set -e\n{lines}\npwd > {where}\n"
        shown = subprocess.run(
            ["bash", "-c", script], cwd=self.folder, env=self.environment, capture_output=True, text=True
        )
        assert shown.returncode == 0, f"{lines}\n{shown.stdout[-6000:]}\n{shown.stderr[-6000:]}"
        self.said.append((lines, shown.stdout))
        self.folder = Path(where.read_text(encoding="utf-8").strip())

    def output_of(self, word: str) -> str:
        """Return what the block that holds a word printed."""
        (said,) = [text for lines, text in self.said if word in lines]
        return said


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the ``bin`` of an environment that has the wheel, and the other packages of this one."""
    folder = tmp_path_factory.mktemp("installed")
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "venv"], check=True, capture_output=True)
    (site,) = (folder / "venv" / "lib").glob("python*/site-packages")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    # A path in a .pth file brings packages, and not the .pth files beside them: the checkout stays out.
    (site / "others.pth").write_text(f"{next(p for p in sys.path if p.endswith('site-packages'))}\n", encoding="utf-8")
    command = folder / "venv" / "bin" / "detsweep"
    python = folder / "venv" / "bin" / "python"
    # As pip writes it.
    script = f"#!{python}\nimport sys\nfrom sweeper.cli import main\nif __name__ == '__main__':\n    sys.exit(main())\n"
    command.write_text(script, encoding="utf-8")
    command.chmod(0o755)
    return command.parent


def pack_release(folder: Path) -> None:
    """Re-pack the set as a competition hands it out: one labelled file, one without labels."""
    folder.mkdir()
    train, val, test = (json.loads((DATA / f"{split}.json").read_bytes()) for split in ("train", "val", "test"))
    images = [*train["images"], *val["images"]][::EVERY]
    ids = {image["id"] for image in images}
    boxes = [entry for entry in (*train["annotations"], *val["annotations"]) if entry["image_id"] in ids]
    labelled = {"images": images, "annotations": boxes, "categories": train["categories"]}
    (folder / "train.json").write_text(json.dumps(labelled), encoding="utf-8")
    unlabelled = {"images": test["images"][::EVERY], "annotations": [], "categories": test["categories"]}
    (folder / "test.json").write_text(json.dumps(unlabelled), encoding="utf-8")
    (folder / "images").symlink_to(DATA / "images")


@pytest.fixture(scope="module")
def hour(installed: Path, tmp_path_factory: pytest.TempPathFactory) -> Terminal:
    """Run the whole document once."""
    if not DATA.is_dir():
        pytest.skip(f"needs the data set in {DATA}")
    home = tmp_path_factory.mktemp("hour")
    start = home / "home"
    start.mkdir()
    pack_release(start / "release")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment |= {"PATH": f"{installed}:{environment['PATH']}", "PYTHONDONTWRITEBYTECODE": "1"}
    terminal = Terminal(start, environment, [])
    for block in blocks():
        if block.is_by_hand:
            continue
        if block.file is not None:
            path = terminal.folder / block.file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text, encoding="utf-8")
            continue
        assert block.kind == "bash"
        if "release-pictures" in block.text:
            pictures = terminal.folder / "release-pictures"
            pictures.mkdir()
            for source in sorted((DATA / "images").iterdir())[:N_PICTURES]:
                (pictures / source.name).symlink_to(source)
        terminal.run(block.text)
    return terminal


@pytest.mark.train
class TestTheFirstHour:
    def test_the_project_is_found_and_its_own_options_are_listed(self, hour: Terminal) -> None:
        assert "105 images" in hour.output_of("detsweep init trash")
        assert "resnet18_plain" in hour.output_of("detsweep options")

    def test_the_sweep_ends_with_its_comparison(self, hour: Terminal) -> None:
        said = hour.output_of("detsweep train")
        assert "resnet18_plain" in said
        assert "report:" in said

    def test_a_detector_is_evaluated_and_fused_and_handed_in(self, hour: Terminal) -> None:
        project = hour.folder.parent / "trash"
        said = hour.output_of("detsweep evaluate")
        assert "flip" in said
        assert "wbf" in said.lower()
        assert list(project.glob("outputs/*_first_*/jobs/*/submission/*.csv"))
        drawn = [path for path in project.glob("outputs/*_first_*/jobs/*/evaluations/*/pictures/*") if path.is_file()]
        assert len(drawn) == N_PICTURES

    def test_plain_mmdetection_loads_what_was_exported(self, hour: Terminal, installed: Path) -> None:
        # The pure-Python mmcv lacks its operators; ours serve them, and nothing else of detsweep is imported.
        code = "import runpy; from runners.ops import install; install(); runpy.run_path('reload.py')"
        shown = subprocess.run(
            [installed / "python", "-c", code],
            cwd=hour.folder.parent / "trash",
            env=hour.environment,
            capture_output=True,
            text=True,
        )
        assert shown.returncode == 0, shown.stderr
        assert re.search(r"\d+ boxes in ", shown.stdout)

    def test_a_colleagues_report_has_the_same_digits(self, hour: Terminal) -> None:
        reports = [
            next((hour.folder.parent / place).glob("outputs/*_first_*/report/study.csv")).read_text(encoding="utf-8")
            for place in ("trash", "colleague")
        ]
        assert reports[0] == reports[1]
        assert reports[0].count("\n") == 3

    def test_nothing_is_written_into_the_installation(self, hour: Terminal, installed: Path) -> None:
        (site,) = (installed.parent / "lib").glob("python*/site-packages")
        assert not [path for path in site.rglob("*") if path.is_file() and path.stat().st_mtime > _began(hour)]


def _began(hour: Terminal) -> float:
    return (hour.folder.parent / "release" / "train.json").stat().st_mtime
