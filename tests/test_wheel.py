"""What is installed from a wheel is whole: groups, templates, plug-ins; and it composes without the checkout."""

import os
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.sweeper.project.coco_release import write_release

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


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A team's repository: a release of a competition, and packages that are called as ours."""
    repository = tmp_path_factory.mktemp("team") / "repository"
    write_release(repository / "release", n_train=20)
    for package in ("conf", "runners", "reports", "tests"):
        (repository / package).mkdir()
        (repository / package / "__init__.py").write_text("raise RuntimeError('this is the team, not detsweep')\n")
    (repository / "conf" / "config.yaml").write_text("theirs: true\n")
    return repository


def run(installed: Path, folder: Path, *words: str, environment: Mapping[str, str] | None = None) -> str:
    """Run the installed command as its script does: the working directory is on no path."""
    script = installed.parent / "detsweep"
    script.write_text("import sys; from sweeper.cli import main; sys.exit(main())\n")
    # In place of a real installation, whose files come from the same wheel and are compiled by pip.
    told = {**os.environ, "PYTHONPATH": str(installed), "PYTHONDONTWRITEBYTECODE": "1", **(environment or {})}
    shown = subprocess.run([sys.executable, script, *words], cwd=folder, env=told, capture_output=True, text=True)
    assert shown.returncode == 0, shown.stdout + shown.stderr
    return shown.stdout


def snapshot(folder: Path) -> dict[str, tuple[int, int, int]]:
    """Return everything below a folder, with mode, size and time of its last change."""
    paths = [folder, *folder.rglob("*")]
    return {str(path): (path.lstat().st_mode, path.lstat().st_size, path.lstat().st_mtime_ns) for path in paths}


def test_a_teams_repository_becomes_a_project_and_nothing_is_written_into_the_installation(
    installed: Path, team: Path
) -> None:
    for path in [*installed.rglob("*"), installed]:
        path.chmod(path.stat().st_mode & ~0o222)
    before, theirs = snapshot(installed), snapshot(team)
    try:
        made = run(installed, team, "init", "data=release", "name=cup")
        assert "conf/ is another program's and stays as it is; detsweep's groups are in detsweep_conf/" in made
        (team / "detsweep_conf" / "backbone").mkdir()
        (team / "detsweep_conf" / "backbone" / "ours.yaml").write_text(
            "# @package _global_\ndefaults: [/backbone/resnet18, _self_]\nbackbone: {name: ours, title: Ours}\n"
        )
        (team / "detsweep_conf" / "local.yaml").write_text("gpus: none\njobs_per_gpu: 2\noutput_dir: sweeps\n")
        (team / "notebooks").mkdir()
        words = ["recipe=quick", "backbone=ours,resnet18"]
        assert "faster-rcnn_ours_fpn_sgd_160_4e_scratch_narrow" in run(installed, team / "notebooks", "plan", *words)
        assert "ours" in run(installed, team, "options", "backbone")
        trained = run(installed, team / "notebooks", "train", *words, "entry=tests.quick_job", "tracking=off")
        assert "faster-rcnn_ours_fpn_sgd_160_4e_scratch_narrow" in trained
        assert f"{team}/sweeps/" in trained
        assert "finished" in run(installed, team / "notebooks", "ls")
        run(installed, team, "verify")
    finally:
        after = snapshot(installed)
        for path in [installed, *installed.rglob("*")]:
            path.chmod(path.stat().st_mode | 0o200)
    assert after == before
    now = snapshot(team)
    changed = {name for name, state in theirs.items() if now[name] != state} - {str(team)}
    assert not changed
    made_beside = {Path(name).relative_to(team).parts[0] for name in now.keys() - theirs.keys()}
    assert made_beside == {"detsweep.yaml", "detsweep_conf", "README.md", ".gitignore", "notebooks", "sweeps"}
