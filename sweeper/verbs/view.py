"""``detsweep view``: looks at what one run or two find, image by image: a page in the browser, or a file of it."""

import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.text import Text

import runners
from runners.contract.errors import UserError
from sweeper.runs.viewed import find_viewed
from sweeper.serving.served_page import LOOPBACK, ServedPage, choose_port, serve
from sweeper.verbs.report import open_console
from sweeper.verbs.run_words import read_run_words

SETTINGS = {"split": "val", "html": "", "score": "0.3", "port": ""}
SPLITS = ("val", "test")
USUAL_PORT = 8501
INSTALL = "pip install 'detsweep[view]' (Streamlit), or write a file instead: html=diff.html"


def run_view(words: Sequence[str]) -> int:
    """Carry ``detsweep view RUN [RUN] [KEY=VALUE ...]`` out.

    Raises:
        UserError: a run or a word is wrong, or Streamlit is not installed.
        PageFailedError: the page could not be served.
    """
    told = read_run_words("view", words, SETTINGS, has_overrides=False)
    if len(told.names) not in (1, 2):
        raise UserError(f"runs in {told.line}: {len(told.names)} given; name one, or two to be compared")
    split, score = told.split("val"), told.number("score", 0, 1)
    if split is None or split not in SPLITS:
        raise UserError(f"split in {told.line}: {split} is not stored; choices: {', '.join(SPLITS)}")
    html = told.settings["html"]
    if not html and importlib.util.find_spec("streamlit") is None:
        raise UserError(f"Streamlit is missing in {sys.prefix}: detsweep view shows its page with it; {INSTALL}")
    port = choose_port(told.settings["port"], USUAL_PORT)
    console = open_console()
    found = find_viewed(told.names, split, told.place)
    from reports.viewing.view import RunFiles, ViewFiles, open_view

    files = ViewFiles(
        split,
        str(found[0].files.ann_file.absolute()),
        str(found[0].files.image_dir.absolute()),
        [RunFiles(each.title, str(each.predictions.absolute()), str(each.kept.absolute())) for each in found],
        score,
    )
    with console.status("reading what the runs have found"):
        # Here already, so that what is wrong is told here, and the page finds everything computed.
        view = open_view(files)
    if html:
        from reports.viewing.diff_page import write_diff_page

        n_images = write_diff_page(view, Path(html).absolute(), score)
        console.print(Text(f"wrote {Path(html).absolute()}: {n_images} images"), soft_wrap=True)
        return 0
    address = f"http://{LOOPBACK}:{port}"

    def say() -> None:
        console.print(Text(f"open {address} in a browser of this machine; Ctrl-C ends it"), soft_wrap=True)

    return serve(_page(files.dump(), address, port), say)


def _page(told: str, address: str, port: int) -> ServedPage:
    # -m looks into the working directory first: it must be the folder of our own `reports`.
    root = Path(runners.__file__).parents[1]
    settings = {
        "server.address": LOOPBACK,
        "server.port": str(port),
        "server.headless": "true",
        "server.enableXsrfProtection": "true",
        "server.enableCORS": "true",
        "server.fileWatcherType": "none",
        "server.runOnSave": "false",
        "browser.serverAddress": LOOPBACK,
        "browser.gatherUsageStats": "false",
        "global.developmentMode": "false",
        "client.toolbarMode": "minimal",
        "client.showErrorDetails": "none",
    }
    flags = [word for key, value in settings.items() for word in (f"--{key}", value)]
    script = str(root / "reports" / "viewing" / "streamlit_page.py")
    command = [sys.executable, "-m", "streamlit", "run", script, *flags, "--", told]
    return ServedPage("page of detsweep view", command, root, {}, f"{address}/_stcore/health")
