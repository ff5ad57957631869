"""Fixtures that several rooms share."""

import os
import signal
from collections import Counter
from pathlib import Path

import pytest

# One thread a test process: the machine's cores are shared with the job processes that tests start.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A shell has what it starts in the background ignore Ctrl-C and hang-ups; tests are about those signals.
signal.signal(signal.SIGINT, signal.default_int_handler)
for number in (signal.SIGHUP, signal.SIGQUIT, signal.SIGTERM):
    signal.signal(number, signal.SIG_DFL)


# What takes longest begins first: at the end the other core would wait for it. All of these run in processes of their
# own, and leave nothing behind in the process of the tests.
LONG_STORIES = ("test_first_hour.py", "test_resume.py", "test_sweep.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the long stories first, and then the files with most tests, each file in its own order."""
    n_tests = Counter(item.path for item in items)
    here = Path(__file__).parent

    def place(item: pytest.Item) -> tuple[int, int]:
        is_long = item.path.parent == here and item.path.name in LONG_STORIES
        return (LONG_STORIES.index(item.path.name) if is_long else len(LONG_STORIES), -n_tests[item.path])

    items.sort(key=place)


@pytest.fixture(scope="session", autouse=True)
def _own_state(tmp_path_factory: pytest.TempPathFactory) -> None:
    """What detsweep remembers of this user is none of the tests' business."""
    os.environ["XDG_STATE_HOME"] = str(tmp_path_factory.mktemp("state"))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of the real data sets that stand beside a checkout; they are no part of the project."""
    folder = Path(__file__).parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no real data sets in {folder}")
    return folder
