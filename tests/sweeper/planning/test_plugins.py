"""A project's own code is found and read without being imported, and every mistake in it is one line."""

import sys
from pathlib import Path

import pytest

from runners.contract.errors import UserError
from runners.contract.plugin_sources import digest_of
from sweeper.planning.compose import Composer
from sweeper.planning.plan import Plan, make_plan
from sweeper.planning.plugin_files import MAX_BYTES
from sweeper.planning.plugins import PluginFinder, find_plugins
from sweeper.planning.resolvers import register
from tests.composition import CONF
from tests.plugin_project import write_package
from tests.sweeper.planning.test_plan import SETTINGS, axes_of


@pytest.fixture(scope="module")
def composer() -> Composer:
    register()
    return Composer.of_folder(CONF)


def problems_of(root: Path, *names: str) -> list[str]:
    with pytest.raises(UserError) as caught:
        find_plugins(names, root)
    return list(caught.value.problems)


def write(root: Path, **modules: str) -> None:
    for name, text in modules.items():
        (root / f"{name}.py").write_text(text, encoding="utf-8")


def test_all_files_of_a_package_are_read_and_none_is_executed(tmp_path: Path) -> None:
    package = write_package(tmp_path)
    (package / "__init__.py").write_text("raise SystemExit('imported')", encoding="utf-8")
    (package / "fonts").mkdir()
    (package / "fonts" / "names.txt").write_bytes(b"a\xff")
    (package / "__pycache__").mkdir()
    (package / "__pycache__" / "nets.cpython-311.pyc").write_bytes(b"x")
    (package / ".git").mkdir()
    (package / ".git" / "HEAD").write_bytes(b"x")
    found = find_plugins(["trash_augs"], tmp_path)
    assert set(found.sources) == {
        *(f"trash_augs/{name}.py" for name in ("__init__", "flips", "nets", "watch")),
        "trash_augs/fonts/names.txt",
    }
    assert found.sources["trash_augs/fonts/names.txt"] == b"a\xff"
    assert "trash_augs" not in sys.modules


def test_the_digest_is_of_names_and_contents_alone(tmp_path: Path) -> None:
    digests = set()
    for root in (tmp_path / "one", tmp_path / "elsewhere"):
        write_package(root)
        digests.add(find_plugins(["trash_augs"], root).digest)
    assert len(digests) == 1
    (tmp_path / "one" / "trash_augs" / "flips.py").write_text("x = 1\n", encoding="utf-8")
    digests.add(find_plugins(["trash_augs"], tmp_path / "one").digest)
    (tmp_path / "one" / "trash_augs" / "flips.py").rename(tmp_path / "one" / "trash_augs" / "flaps.py")
    digests.add(find_plugins(["trash_augs"], tmp_path / "one").digest)
    digests.add(find_plugins(["trash_augs.nets"], tmp_path / "one").digest)
    assert len(digests) == 4
    # Where one file ends and the next begins counts as well.
    assert digest_of(["a"], {"a.py": b"xb.py"}) != digest_of(["a"], {"a.py": b"x", "b.py": b""})


def test_single_modules_and_modules_of_packages(tmp_path: Path) -> None:
    write(tmp_path, crops="from trash_augs import flips\nimport numpy, json, os.path")
    write_package(tmp_path)
    found = find_plugins(["crops", "trash_augs.nets"], tmp_path)
    assert found.names == ("crops", "trash_augs.nets")
    assert {"crops.py", "trash_augs/nets.py", "trash_augs/flips.py"} <= found.sources.keys()


def test_an_installed_package_is_read_where_it_is_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A team's package that is installed with pip, and the project itself, installed for editing."""
    for place in ("site", "src"):
        write_package(tmp_path / place)
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    (tmp_path / "project").mkdir()
    found = find_plugins(["trash_augs"], tmp_path / "project")
    assert found.digest == find_plugins(["trash_augs"], tmp_path / "site").digest


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        (
            "trash_agus",
            ["no plugin trash_agus: neither trash_agus/ nor trash_agus.py in", "did you mean 'trash_augs'?"],
        ),
        ("zzz", ["no plugin zzz:", "; it has mmdet, trash_augs"]),
        ("json", ["name taken in plugins: json is Python's own; name a package of yours; it has"]),
        ("torch", ["name taken in plugins: torch is part of what detsweep runs on;"]),
        ("conf", ["name taken in plugins: conf is part of what detsweep runs on;"]),
        ("runners", ["name taken in plugins: runners is part of what detsweep runs on;"]),
        ("mmdet", ["name taken in plugins: mmdet is part of what detsweep runs on; rename", "mmdet.py"]),
        ("trash-augs", ["no name of a module in plugins: 'trash-augs'; did you mean 'trash_augs'?"]),
        ("trash_augs.py", ["no name of a module in plugins: 'trash_augs.py'; did you mean 'trash_augs'?"]),
        ("./trash_augs", ["no name of a module in plugins: './trash_augs'; did you mean 'trash_augs'?"]),
        ("../evil", ["no name of a module in plugins: '../evil'; name a package or module as it is imported"]),
        ("", ["no name of a module in plugins: ''; name a package"]),
        ("trash_augs.flps", ["no module trash_augs.flps in plugins:", "trash_augs has", "trash_augs.flips"]),
    ],
)
def test_a_name_that_cannot_be_a_plugin(tmp_path: Path, name: str, lines: list[str]) -> None:
    write_package(tmp_path)
    write(tmp_path, mmdet="")
    (problem,) = problems_of(tmp_path, name)
    for line in lines:
        assert line in problem


def test_a_module_that_would_hide_an_installed_one(tmp_path: Path) -> None:
    write(tmp_path, psutil="")
    (problem,) = problems_of(tmp_path, "psutil")
    assert f"{tmp_path / 'psutil.py'} would hide it; rename" in problem


def test_a_folder_that_imports_nothing(tmp_path: Path) -> None:
    write_package(tmp_path)
    (tmp_path / "trash_augs" / "__init__.py").unlink()
    (problem,) = problems_of(tmp_path, "trash_augs")
    assert "has no __init__.py" in problem
    assert "plugins=[trash_augs.flips,trash_augs.nets,trash_augs.watch]" in problem
    assert find_plugins(["trash_augs.flips"], tmp_path).digest


def test_code_that_does_not_compile_is_named_with_its_line(tmp_path: Path) -> None:
    package = write_package(tmp_path)
    (package / "flips.py").write_text("x = 1\ny = = 2\n", encoding="utf-8")
    write(tmp_path, broken="print 'x'")
    first, second = problems_of(tmp_path, "trash_augs", "broken")
    assert f"syntax error in plugin {package / 'flips.py'}:2: invalid syntax" in first
    assert "broken.py:1" in second


def test_a_sibling_that_is_not_named_is_asked_for(tmp_path: Path) -> None:
    package = write_package(tmp_path)
    write(tmp_path, shapes_of_ours="")
    (package / "nets.py").write_text("import os\n\ndef f():\n    from shapes_of_ours import x\n", encoding="utf-8")
    (problem,) = problems_of(tmp_path, "trash_augs")
    assert f"{package / 'nets.py'}:4: imports shapes_of_ours" in problem
    assert "write plugins=[trash_augs,shapes_of_ours]" in problem
    assert "shapes_of_ours.py" in find_plugins(["trash_augs", "shapes_of_ours"], tmp_path).sources


def test_links_stay_in_the_project(tmp_path: Path) -> None:
    root = tmp_path / "project"
    package = write_package(root)
    (root / "more").mkdir()
    (root / "more" / "crops.py").write_text("", encoding="utf-8")
    (package / "more").symlink_to(root / "more")
    assert "trash_augs/more/crops.py" in find_plugins(["trash_augs"], root).sources
    (tmp_path / "secret.txt").write_text("x", encoding="utf-8")
    (package / "data.txt").symlink_to(tmp_path / "secret.txt")
    (problem,) = problems_of(root, "trash_augs")
    assert "link out of the project in plugin trash_augs" in problem
    (package / "data.txt").unlink()
    (package / "again").symlink_to(package)
    (problem,) = problems_of(root, "trash_augs")
    assert "broken link in plugin trash_augs" in problem


def test_data_sets_are_no_code(tmp_path: Path) -> None:
    package = write_package(tmp_path)
    with (package / "weights.pth").open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    (problem,) = problems_of(tmp_path, "trash_augs")
    assert "plugin too large in" in problem
    assert "weights.pth" in problem


def test_all_problems_are_told_together(tmp_path: Path) -> None:
    assert len(problems_of(tmp_path, "json", "a-b", "nowhere")) == 3


def test_one_name_is_a_list_of_one(tmp_path: Path) -> None:
    write_package(tmp_path)
    finder = PluginFinder(tmp_path)
    assert finder.find("trash_augs") == finder.find(["trash_augs", "trash_augs"])
    assert finder.find([]).digest == finder.find(None).digest == ""


class TestPlans:
    """Jobs of a plan carry their code's digest."""

    @pytest.fixture
    def project(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        write_package(tmp_path)
        monkeypatch.chdir(tmp_path)
        return tmp_path

    def plan(self, composer: Composer, *overrides: str, entry: str = "runners.job") -> Plan:
        return make_plan(composer, axes_of(*overrides), {**SETTINGS, "entry": entry}, Path.cwd() / "outputs")

    def test_the_code_is_part_of_a_jobs_identity(self, composer: Composer, project: Path) -> None:
        identities = {self.plan(composer).jobs[0].identity}
        plain, *_ = self.plan(composer, "plugins=[trash_augs]").jobs
        named, *_ = self.plan(composer, "plugins=trash_augs").jobs
        assert plain.identity == named.identity
        assert plain.config["plugins"] == named.config["plugins"] == ["trash_augs"]
        identities.add(plain.identity)
        identities.add(self.plan(composer, "plugins=[trash_augs]", entry="tests.quick_job").jobs[0].identity)
        (project / "trash_augs" / "flips.py").write_text("", encoding="utf-8")
        edited = self.plan(composer, "plugins=[trash_augs]").jobs[0]
        identities.add(edited.identity)
        assert edited.config["plugin_digest"] != plain.config["plugin_digest"]
        assert len(identities) == 4

    def test_plugins_are_an_axis(self, composer: Composer, project: Path) -> None:
        write(project, crops="x = 1\n")
        plan = self.plan(composer, "plugins=[trash_augs],[crops],[]", "seed=0,1")
        assert [job.config["plugins"] for job in plan.jobs] == [*2 * [["trash_augs"]], *2 * [["crops"]], *2 * [[]]]
        assert len({job.identity for job in plan.jobs}) == 6
        assert len({job.title for job in plan.jobs}) == 6
        assert [plugins.names for plugins in plan.plugins] == [("trash_augs",), ("crops",)]
        assert "plugin_digest" not in plan.jobs[-1].config

    def test_mistakes_are_told_with_those_of_the_config(self, composer: Composer, project: Path) -> None:
        with pytest.raises(UserError) as caught:
            self.plan(composer, "plugins=[trash_agus],[trash_augs]", "batch_size=4,999999")
        assert len(caught.value.problems) == 2

    @pytest.mark.parametrize("value", ["3", "[1]", "{a:b}", "null"])
    def test_what_is_no_name_is_refused(self, composer: Composer, project: Path, value: str) -> None:
        with pytest.raises(UserError) as caught:
            self.plan(composer, f"plugins={value}")
        assert "plugins" in caught.value.problems[0]
