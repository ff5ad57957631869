"""The viewer as a person meets it: its mistakes in one line, its file, and its page in a browser."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest

from runners.contract.evaluations import EvaluationResult
from runners.contract.folder import SweepFolder
from sweeper.cli import main
from tests.reports.viewing.viewed_sweep import write_viewed_sweep

CHROMIUM = Path("/usr/bin/chromium")
DETSWEEP = Path(sys.executable).with_name("detsweep")
START_S = 90


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> SweepFolder:
    return write_viewed_sweep(tmp_path_factory.mktemp("viewed"))


def view(sweep: SweepFolder, *words: str) -> int:
    return main(["view", *words, f"output_dir={sweep.path.parent}"])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "0 given; name one, or two"),
        (["1", "2", "1"], "3 given; name one, or two"),
        (["1", "1"], "same run twice"),
        (["1", "9"], "no job 9; it holds 1, 2"),
        (["1", "split=train"], "train is not stored; choices: val, test"),
        (["1", "split=test"], "predictions in"),
        (["1:flip"], "no val_flip of first; there is none"),
        (["1", "html=x.html", "score=2"], "value out of range in score=2"),
        (["1", "port=7"], "no port in port=7"),
        (["1", "colour=red"], "no setting 'colour'"),
    ],
)
def test_mistakes_are_told_in_one_line(
    sweep: SweepFolder, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    assert view(sweep, *words) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_without_streamlit_the_way_to_it_is_told_and_the_file_is_written_all_the_same(
    sweep: SweepFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "streamlit", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert view(sweep, "1", "2") == 2
    assert "pip install 'detsweep[view]'" in capsys.readouterr().err
    monkeypatch.undo()
    assert view(sweep, "1", "2", f"html={tmp_path / 'diff.html'}") == 0
    assert "wrote" in capsys.readouterr().out
    assert "ring found by A (0.90), missed by B" in (tmp_path / "diff.html").read_text(encoding="utf-8")
    # The findings were kept where the page looks for them.
    assert [path.name for path in (sweep.job("0001").path / "viewing").iterdir()] == ["val.npz"]


def test_runs_on_other_images_and_data_without_labels_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sweep = write_viewed_sweep(tmp_path)
    labels = tmp_path / "data" / "val.json"
    config = sweep.job("0002").config
    other = labels.with_name("other.json")
    other.write_text(labels.read_text().replace('"iscrowd": 0', '"iscrowd": 1', 1))
    config.write_text(config.read_text().replace("val.json", "other.json"))
    assert view(sweep, "1", "2") == 2
    assert "val files differ between the runs" in capsys.readouterr().err
    labels.write_text(labels.read_text().partition('"annotations"')[0] + '"annotations": [], "categories": []}')
    assert view(sweep, "1") == 2
    assert "labels in" in capsys.readouterr().err


def test_a_stored_evaluation_and_a_run_of_others_are_looked_at(tmp_path: Path) -> None:
    sweep = write_viewed_sweep(tmp_path)
    first, second = sweep.all_jobs()
    flip = first.evaluation("val_flip")
    flip.path.mkdir(parents=True)
    EvaluationResult({}, 8, 0).write(flip)
    flip.detections.write_text("[]")
    flip.config.write_text(first.config.read_text())
    assert view(sweep, "1", "1:flip", f"html={tmp_path / 'flip.html'}") == 0
    assert "0 of 16" in (tmp_path / "flip.html").read_text(encoding="utf-8")
    # What others trained has one checkpoint, and predictions of that alone.
    second.imported.write_text("{}")
    (second.predictions / "a1_val_last.json").rename(second.predictions / "a1_val_best.json")
    assert view(sweep, "2", f"html={tmp_path / 'theirs.html'}") == 0
    assert "disc where nothing is labelled (0.60)" in (tmp_path / "theirs.html").read_text(encoding="utf-8")


@pytest.fixture
def address(sweep: SweepFolder) -> "Iterator[tuple[str, subprocess.Popen[str]]]":
    pytest.importorskip("streamlit")
    command = [DETSWEEP, "view", "1", "2", f"output_dir={sweep.path.parent}"]
    process = subprocess.Popen(command, cwd=sweep.path, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        line = next(line for line in iter(process.stdout.readline, "") if line.startswith("open "))
        yield line.split()[1], process
    finally:
        if process.poll() is None:
            process.terminate()
        process.wait(30)


@pytest.mark.browser
def test_the_page_shows_what_one_finds_and_the_other_misses_on_this_machine_alone(
    address: "tuple[str, subprocess.Popen[str]]", sweep: SweepFolder
) -> None:
    if not CHROMIUM.exists():
        pytest.skip(f"no Chromium at {CHROMIUM}")
    from playwright.sync_api import sync_playwright

    url, process = address
    family = psutil.Process(process.pid).children(recursive=True)
    listening = [
        connection.laddr.ip
        for each in family
        for connection in each.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert listening == ["127.0.0.1"]
    asked: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1400, "height": 900})
        page.on("request", lambda request: asked.append(request.url))
        page.goto(url)
        page.get_by_text("4 findings in 4 of 8 images of val").wait_for(timeout=1000 * START_S)
        page.get_by_text("ring found by A (0.90), missed by B").first.wait_for()
        page.wait_for_function("[...document.images].filter((image) => image.naturalWidth > 300).length >= 8")
        page.get_by_role("combobox", name="Show").click()
        page.get_by_role("option", name="errors that only B makes").click()
        page.get_by_text("disc where nothing is labelled (0.60)").wait_for()
        browser.close()
    assert {urlsplit(each).hostname for each in asked if each.startswith(("http", "ws"))} == {"127.0.0.1"}
    os.kill(process.pid, signal.SIGINT)
    assert process.wait(30) == 130
    deadline = time.monotonic() + 10
    while any(each.is_running() for each in family) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(each.is_running() for each in family)
