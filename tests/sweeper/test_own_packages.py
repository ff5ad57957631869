"""Packages of a project that are called as ours are neither imported nor in the way."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_a_project_on_the_python_path_may_have_packages_of_our_names(tmp_path: Path) -> None:
    for package in ("conf", "runners", "reports", "tests"):
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").write_text("raise RuntimeError('this is the project, not detsweep')\n")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    code = (
        "import sweeper.cli, runners.contract, reports, conf; print(runners.__file__, reports.__file__, conf.__file__)"
    )
    shown = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    assert [Path(file).parents[1] for file in shown.stdout.split()] == [ROOT] * 3


def test_other_packages_are_found_as_ever(tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "__init__.py").write_text("runners = 5\n")
    code = (
        "import sweeper, theirs; print(theirs.runners, sum(type(f).__name__ == 'OwnPackages' for f in sys.meta_path))"
    )
    shown = subprocess.run(
        [sys.executable, "-c", f"import sys; {code}"],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert shown.stdout.split() == ["5", "1"]
