"""What a shell offers: the candidates for a line, and that bash, zsh and fish really ask for them."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from runners.contract.errors import UserError
from sweeper.verbs.completion import SCRIPTS, candidates, run_completion

BIN = Path(sys.executable).parent

IN_BASH = """
source <(detsweep completion bash)
COMP_LINE="$1" COMP_POINT=${#1} COMP_WORDS=(detsweep) COMPREPLY=()
_detsweep
printf '%s\\n' "${COMPREPLY[@]}"
"""


def hydra(answer: str, asked: list[Sequence[str]] | None = None) -> object:
    def ask(words: Sequence[str]) -> str:
        if asked is not None:
            asked.append(words)
        return answer

    return ask


def found(line: str, answer: str = "") -> list[str]:
    return candidates(line, hydra(answer))  # type: ignore[arg-type]


def test_verbs_and_flags_end_in_a_blank() -> None:
    assert {"status ", "stop "} <= set(found("detsweep st"))
    assert found("detsweep verify --j") == ["--json "]
    assert found("detsweep train --d") == ["--detach "]
    assert "train " in found("detsweep ")
    assert found("detsweep no-verb x") == []


def test_only_the_newest_value_of_an_axis_is_asked_for() -> None:
    asked: list[Sequence[str]] = []
    line = "detsweep train seed=0,1 --detach backbone=resnet50,sw"
    ask = hydra("backbone=swin_t backbone=swin_l", asked)
    assert candidates(line, ask) == ["backbone=resnet50,swin_t", "backbone=resnet50,swin_l"]  # type: ignore[arg-type]
    assert asked == [["seed=0", "backbone=sw"]]


def test_methods_of_a_search_are_offered_by_name() -> None:
    assert found("detsweep train search=sgd search.pruner=m", answer="search.pruner=name=") == ["search.pruner=median "]
    assert "search.sampler.name=tpe " in found("detsweep plan search=sgd search.sampler.name=")
    assert found("detsweep train search=sgd search.prune_by=val/l") == ["search.prune_by=val/loss "]


def test_sweeps_and_their_jobs_are_offered_where_they_make_sense(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for job in ("0001", "0002"):
        (tmp_path / "outputs" / "20260101-000000_lr_ab12" / "jobs" / job).mkdir(parents=True)
    (tmp_path / "outputs" / "20260101-000000_lr_ab12" / "sweep.yaml").touch()
    (tmp_path / "outputs" / "mlflow").mkdir()
    assert found("detsweep status ") == ["20260101-000000_lr_ab12 "]
    assert found("detsweep stop 20260101-000000_lr_ab12 ") == ["0001 ", "0002 "]
    assert found("detsweep status 20260101-000000_lr_ab12 ") == []
    assert found("detsweep ls ") == []
    assert found("detsweep add ") == ["20260101-000000_lr_ab12 "]
    assert found("detsweep add 20260101-000000_lr_ab12 opt", "optimizer= optimizer.") == ["optimizer=", "optimizer."]
    assert found("detsweep report sub") == ["submission "]
    assert found("detsweep status output_dir=outputs ") == ["20260101-000000_lr_ab12 "]


def test_places_on_the_disk_are_completed_as_such(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data" / "train").mkdir(parents=True)
    (tmp_path / "data" / "train.json").touch()
    assert found("detsweep train dataset.root=da") == ["dataset.root=data/"]
    assert found("detsweep train dataset.train.ann_file=data/t") == [
        "dataset.train.ann_file=data/train/",
        "dataset.train.ann_file=data/train.json ",
    ]
    assert found("detsweep train dataset.root=nowhere/") == []
    assert found("detsweep init da") == ["data/", "data="]
    assert found("detsweep init team data=da") == ["data=data/"]
    assert found("detsweep init team train=data/train.") == ["train=data/train.json "]
    assert found("detsweep status o") == ["output_dir="]


def test_another_shell_is_refused() -> None:
    with pytest.raises(UserError, match="one of bash, zsh, fish is wanted; did you mean 'bash'"):
        run_completion(["bahs"])


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("detsweep tra", ["train "]),
        ("detsweep train backbone=resnet50,swin", [f"resnet50,swin_{size}" for size in "blst"]),
    ],
)
def test_bash_gets_what_stands_behind_the_equals_sign(line: str, told: list[str]) -> None:
    environment = os.environ | {"PATH": f"{BIN}:{os.environ['PATH']}"}
    shown = subprocess.run(["bash", "-c", IN_BASH, "bash", line], env=environment, capture_output=True, text=True)
    assert shown.stdout.splitlines() == told, shown.stderr


@pytest.mark.skipif(shutil.which("fish") is None, reason="no fish")
def test_fish_asks_for_the_line_up_to_the_cursor() -> None:
    environment = os.environ | {"PATH": f"{BIN}:{os.environ['PATH']}"}
    asked = "detsweep completion fish | source; complete --do-complete 'detsweep tra'"
    shown = subprocess.run(["fish", "--no-config", "-c", asked], env=environment, capture_output=True, text=True)
    assert shown.stdout.splitlines() == ["train"], shown.stderr


@pytest.mark.parametrize("shell", list(SCRIPTS))
def test_every_shell_reads_its_script(shell: str, tmp_path: Path) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"no {shell} on this machine")
    script = tmp_path / "script"
    script.write_text(SCRIPTS[shell])
    shown = subprocess.run([shell, "-n", script], capture_output=True, text=True)
    assert (shown.returncode, shown.stderr) == (0, "")
