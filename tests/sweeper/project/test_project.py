"""A project is found upward from where one stands, and says whom it trusts and what its machine is like."""

import os
from pathlib import Path

import pytest

from runners.contract.errors import UserError
from sweeper.planning.axes import SWEEP_SETTINGS
from sweeper.project.project import MACHINE_SETTINGS, find_project, local_settings


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A marked folder with a local.yaml."""
    (tmp_path / "team" / "conf").mkdir(parents=True)
    (tmp_path / "team" / "detsweep.yaml").write_text("# trusted_folders: []\n")
    return tmp_path / "team"


def write_local(root: Path, text: str) -> Path:
    (root / "conf" / "local.yaml").write_text(text)
    return root


def test_a_project_is_found_from_any_folder_below_it(root: Path) -> None:
    deep = root / "notebooks" / "old"
    deep.mkdir(parents=True)
    project = find_project(deep)
    assert (project.root, project.is_marked, project.conf) == (root, True, root / "conf")
    assert project.outputs == root / "outputs"


def test_the_working_directory_is_where_the_search_begins(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "deep").mkdir()
    monkeypatch.chdir(root / "deep")
    assert find_project().root == root


def test_a_folder_without_a_marker_keeps_its_conf_to_itself(tmp_path: Path) -> None:
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "local.yaml").write_text("seed: 3\n")
    project = find_project(tmp_path)
    assert (project.root, project.is_marked, project.conf) == (tmp_path, False, None)
    assert local_settings(project) == {}


def test_the_nearest_marker_wins(root: Path) -> None:
    inner = root / "inner"
    inner.mkdir()
    (inner / "detsweep.yaml").touch()
    assert find_project(inner).root == inner


def test_a_marker_that_is_a_folder_marks_nothing(tmp_path: Path) -> None:
    (tmp_path / "detsweep.yaml").mkdir()
    assert not find_project(tmp_path).is_marked


def test_a_marker_that_somebody_else_put_where_everybody_may_write_marks_nothing(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root.chmod(0o777)
    assert find_project(root).is_marked
    monkeypatch.setattr(os, "geteuid", lambda: root.stat().st_uid + 1)
    assert not find_project(root).is_marked
    root.chmod(0o755)
    assert find_project(root).is_marked


def test_the_root_and_the_zoo_are_trusted_and_what_the_marker_names(root: Path, tmp_path: Path) -> None:
    (root / "detsweep.yaml").write_text("trusted_folders: [../common, ~/mm]\n")
    own, zoo, common, home = find_project(root).trusted_folders
    assert (own, common, home) == (root.resolve(), (tmp_path / "common").resolve(), (Path.home() / "mm").resolve())
    assert (zoo / "faster_rcnn").is_dir()


def test_the_marker_may_name_another_folder_of_groups(root: Path) -> None:
    (root / "detsweep.yaml").write_text("conf: detsweep_conf\n")
    assert find_project(root).conf is None
    (root / "detsweep_conf").mkdir()
    assert find_project(root).conf == root / "detsweep_conf"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("trusted_folders: lib\n", "trusted_folders is 'lib'"),
        ("trusted: []\n", "unknown key in {path}: trusted; keys are trusted_folders, conf"),
        ("conf: ../other\n", "conf is '../other'"),
        ("- lib\n", "no mapping in {path}: list"),
        ("trusted_folders: [\n", "broken YAML in {path}"),
        ("conf: a\nconf: b\n", "key 'conf' stands twice at line 2, column 1"),
    ],
)
def test_a_broken_marker_is_one_line_with_its_name(root: Path, text: str, told: str) -> None:
    path = root / "detsweep.yaml"
    path.write_text(text)
    with pytest.raises(UserError) as caught:
        find_project(root)
    (line,) = caught.value.problems
    assert told.format(path=path) in line
    assert str(path) in line


def test_a_marker_in_no_known_letters_is_told(root: Path) -> None:
    (root / "detsweep.yaml").write_bytes(b"conf: \xff\n")
    with pytest.raises(UserError, match="no UTF-8 at byte 6"):
        find_project(root)


def test_a_machine_is_described_in_nested_or_dotted_words_and_its_paths_begin_at_the_root(root: Path) -> None:
    write_local(root, "gpus: 0,1\nn_workers: 2\noutput_dir: runs\ntracking.uri: sqlite:///store/all.db\n")
    assert local_settings(find_project(root)) == {
        "gpus": "0,1",
        "n_workers": 2,
        "output_dir": str(root / "runs"),
        "tracking.uri": f"sqlite:///{root}/store/all.db",
    }
    write_local(root, "output_dir: /big/disk\ntracking: {uri: http://host:5000, experiment: trash}\n")
    assert local_settings(find_project(root)) == {
        "output_dir": "/big/disk",
        "tracking.uri": "http://host:5000",
        "tracking.experiment": "trash",
    }


def test_a_local_file_of_comments_says_nothing(root: Path) -> None:
    assert local_settings(find_project(root)) == {}
    write_local(root, "# gpus: 0\n")
    assert local_settings(find_project(root)) == {}


def test_what_is_trained_is_no_machine_setting(root: Path) -> None:
    write_local(root, "seed: 1\nmodel: {neck: {type: FPN}}\ngpus: none\n")
    with pytest.raises(UserError) as caught:
        local_settings(find_project(root))
    first, second = caught.value.problems
    assert first.startswith(f"no machine setting in {root}/conf/local.yaml: seed; ")
    assert second.startswith(f"no machine setting in {root}/conf/local.yaml: model.neck.type; ")


def test_a_setting_said_in_both_ways_is_refused(root: Path) -> None:
    write_local(root, "tracking.uri: http://a\ntracking: {uri: http://b}\n")
    with pytest.raises(UserError, match=r"doubled key in .*local\.yaml: tracking\.uri"):
        local_settings(find_project(root))


def test_the_option_of_tracking_is_chosen_elsewhere(root: Path) -> None:
    write_local(root, "tracking: server\n")
    with pytest.raises(UserError, match=r"tracking: server; the store is named there by tracking\.uri"):
        local_settings(find_project(root))


def test_a_place_that_is_no_text_is_told(root: Path) -> None:
    write_local(root, "output_dir: 5\n")
    with pytest.raises(UserError, match=r"no text in .*local\.yaml: output_dir: 5"):
        local_settings(find_project(root))


def test_machine_settings_are_settings_of_the_sweep_and_change_no_identity() -> None:
    tops = {key.partition(".")[0] for key in MACHINE_SETTINGS}
    assert tops < set(SWEEP_SETTINGS)
    # The one names a sweep, the other is part of what is trained.
    assert not tops & {"name", "entry"}
