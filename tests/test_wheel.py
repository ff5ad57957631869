"""What is installed from a wheel is whole: groups, templates, plug-ins; and it composes without the checkout."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def test_every_file_of_the_packages_is_in_the_wheel(installed: Path) -> None:
    for package in ("conf", "runners", "sweeper", "reports"):
        for path in (ROOT / package).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts and "plugin" not in path.parts:
                assert (installed / path.relative_to(ROOT)).is_file(), path
    assert (installed / "hydra_plugins" / "detsweep" / "sweeper.py").is_file()
    assert not (installed / "tests").exists()


def test_the_installed_command_composes_from_its_own_groups(installed: Path, tmp_path: Path) -> None:
    # PYTHONPATH comes before the checkout that this environment has installed in place.
    code = (
        "import sys, conf, sweeper.cli; print(conf.__file__);"
        "sys.exit(sweeper.cli.main(['plan', 'dataset=shapes', 'weights=none', 'backbone=resnet18,resnet34']))"
    )
    environment = {**os.environ, "PYTHONPATH": str(installed), "PYTHONSAFEPATH": "1"}
    shown = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert shown.returncode == 0, shown.stderr
    assert Path(shown.stdout.splitlines()[0]).is_relative_to(installed)
    assert "faster-rcnn_resnet34_fpn_sgd_512_scratch" in shown.stdout
