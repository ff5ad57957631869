"""The import rules of the house: who may import whom, and which library is let in by which door."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
OURS = ("conf", "runners", "sweeper", "reports")

# package prefix -> prefixes of our own modules that it may import
MAY_IMPORT = {
    "runners.contract": ("runners.contract",),
    "runners": ("runners",),
    "reports": ("reports", "runners.contract"),
    "sweeper": ("sweeper", "reports", "runners.contract", "conf"),
    "conf": (),
}
# library -> the only modules that may import it
DOORS = {
    "mlflow": (
        "sweeper.tracking.mlflow_store",
        "reports.read",
        "reports.mlflow_runs",
        "reports.stored_jobs",
        "reports.store_columns",
    ),
    "optuna": (
        "sweeper.study.pruning",
        "sweeper.study.samplers",
        "sweeper.study.sampling",
        "reports.search.optuna_trials",
        "reports.search.picture_plans",
    ),
    "ray": ("sweeper.executors.ray",),
    "submitit": ("sweeper.executors.slurm",),
    "pynvml": ("sweeper.hardware.devices",),
    "streamlit": ("reports.viewing.streamlit_page",),
}
MM_STACK = ("torch", "torchvision", "mmengine", "mmcv", "mmdet")


def modules() -> Iterator[tuple[str, ast.Module]]:
    for package in OURS:
        for path in (ROOT / package).rglob("*.py"):
            relative = path.relative_to(ROOT / package).with_suffix("")
            parts = [package, *relative.parts]
            if "hydra_plugins" in parts:
                continue
            name = ".".join(parts).removesuffix(".__init__")
            yield name, ast.parse(path.read_text(encoding="utf-8"))


def imports(tree: ast.Module, *, top_only: bool = False) -> Iterator[str]:
    nodes = tree.body if top_only else ast.walk(tree)
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def is_below(name: str, prefix: str) -> bool:
    return name == prefix or name.startswith(f"{prefix}.")


ALL = list(modules())


def test_there_is_something_to_check() -> None:
    assert {name.partition(".")[0] for name, _ in ALL} == set(OURS)


@pytest.mark.parametrize(("name", "tree"), ALL, ids=[name for name, _ in ALL])
def test_imports_follow_the_direction_of_dependencies(name: str, tree: ast.Module) -> None:
    allowed = next(prefixes for package, prefixes in MAY_IMPORT.items() if is_below(name, package))
    for imported in imports(tree):
        if imported.partition(".")[0] in OURS:
            # `sweeper` finds the folder of `runners` through the bare package, which imports nothing.
            ok = any(is_below(imported, prefix) for prefix in allowed) or (
                is_below(name, "sweeper") and imported == "runners"
            )
            assert ok, f"{name} imports {imported}"
        for library, doors in DOORS.items():
            if is_below(imported, library):
                assert name in doors, f"{name} imports {imported}, whose door is {doors}"
        if imported.partition(".")[0] in MM_STACK:
            assert is_below(name, "runners"), f"{name} imports {imported}"
            assert not is_below(name, "runners.contract"), f"{name} imports {imported}"


def test_no_two_rooms_of_the_sweeper_lean_on_each_other() -> None:
    leans = {
        (name.split(".")[1], imported.split(".")[1])
        for name, tree in ALL
        for imported in imports(tree, top_only=True)
        if is_below(name, "sweeper") and imported.startswith("sweeper.") and name.count(".") > 1
    }
    assert len(leans) > 10
    assert not {(one, other) for one, other in leans if one < other and (other, one) in leans}


@pytest.mark.parametrize(("name", "tree"), [pair for pair in ALL if is_below(pair[0], "sweeper")])
def test_sweeper_imports_reports_only_when_it_is_needed(name: str, tree: ast.Module) -> None:
    assert not [imported for imported in imports(tree, top_only=True) if is_below(imported, "reports")]


@pytest.mark.parametrize("module", ["sweeper.cli", "sweeper.verbs.run", "sweeper.verbs.check", "reports"])
def test_the_controller_starts_without_the_training_stack(module: str) -> None:
    heavy = ("torch", "mmengine", "mmdet", "mlflow", "optuna")
    code = f"import sys, {module}; print([m for m in {heavy} if m in sys.modules])"
    shown = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


def test_a_file_has_one_subject() -> None:
    """The house looks for the second subject at 250 lines; past 400 nobody can say there is only one."""
    long = [
        (name, tree.body[-1].end_lineno) for name, tree in ALL if tree.body and (tree.body[-1].end_lineno or 0) > 400
    ]
    assert not long
