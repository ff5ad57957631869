"""Jobs on generated images, small enough to train in seconds, and a warm server to train them."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from runners.contract.folder import JobFolder
from runners.contract.records import AttemptResult
from runners.ops import install
from sweeper.planning.shapes import write_shapes
from tests.composition import compose
from tests.runners.warm_server import WarmServer

# Before any test module imports mmdet.
install()

JobMaker = Callable[..., JobFolder]
Trained = tuple[JobFolder, AttemptResult]


@pytest.fixture(scope="session")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set of 16 training, 8 validation and 8 test images."""
    root = tmp_path_factory.mktemp("data") / "shapes"
    write_shapes(root, n_train=16, n_val=8, n_test=8, image_px=96, difficulty=0.0, n_classes=3, seed=0)
    return root


@pytest.fixture
def make_job(tmp_path: Path, shapes: Path) -> JobMaker:
    """Return a function that writes the folder of a job: a narrow Faster R-CNN, one epoch, plus overrides."""

    def make(*overrides: str) -> JobFolder:
        config = compose(
            "dataset=shapes",
            f"dataset.root={shapes}",
            "backbone=resnet18",
            "width=narrow",
            "weights=none",
            "image_size=96px",
            "batch_size=4",
            "n_epochs=1",
            *overrides,
        )
        folder = JobFolder(tmp_path / f"{len(list(tmp_path.iterdir())) + 1:04}")
        folder.path.mkdir()
        folder.config.write_text(yaml.safe_dump(config, allow_unicode=True, sort_keys=False), encoding="utf-8")
        return folder

    return make


@pytest.fixture(scope="session")
def server() -> Iterator[WarmServer]:
    """One warm server for all tests that do not end it."""
    server = WarmServer()
    server.event("ready")
    yield server
    server.close()


@pytest.fixture(scope="session")
def trained(server: WarmServer, shapes: Path, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """One job that was trained for two epochs, and how it ended; its folder is not to be changed."""
    config = compose(
        *("dataset=shapes", f"dataset.root={shapes}", "backbone=resnet18", "width=narrow", "weights=none"),
        *("image_size=96px", "batch_size=4", "n_epochs=2"),
    )
    job = JobFolder(tmp_path_factory.mktemp("trained") / "0001")
    job.path.mkdir()
    job.config.write_text(yaml.safe_dump(config, allow_unicode=True, sort_keys=False), encoding="utf-8")
    _, result = server.run(job)
    return job, result
