"""How much of mmdet's own zoo detsweep trains: ``detector=zoo detector.config=NAME``, composed, built, one step taken.

``python -m benchmarks.zoo_coverage [--only PATTERN] [--limit N]``: each distinct job is tried as `detsweep check` does
(one training and one validation step on two generated images, scaled down, on the CPU), in a process of its own, forked
from one that has everything imported. Each answer is written at once, and what is answered is not asked again: an hour
on two cores, but not necessarily at one go.
"""

import argparse
import gc
import hashlib
import json
import os
import re
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import psutil

from benchmarks.results import RESULTS, Result
from benchmarks.zoo_reasons import reason_of
from runners import preload
from runners.contract.errors import UserError
from runners.contract.folder import AttemptFolder, JobFolder
from runners.contract.jsonfile import append_line, read_json, read_lines, write_json
from runners.contract.records import AttemptResult, AttemptSpec
from runners.contract.yamlfile import dump_yaml
from sweeper.planning.axes import Axes
from sweeper.planning.compose import Composer
from sweeper.planning.job_configs import JobConfigs
from sweeper.planning.resolvers import register
from sweeper.planning.shapes import write_shapes
from sweeper.planning.zoo_configs import zoo_names

CONF = Path(__file__).parents[1] / "conf"
ANSWERS = RESULTS / "zoo_coverage.jsonl"
# What two jobs train alike if it is equal; how long, and with which learning rate, is no question here.
PARTS = ("model", "pipeline", "filter_cfg", "optim_wrapper", "custom_hooks")
# A config that counts iterations is refused until its length is said in epochs.
IN_EPOCHS = ("schedule=1x",)
LIMIT_S = 120  # of the processor, whatever else is running
LIMIT_GB = 9.0
_POLL_S = 0.1
# What failed, by a function of the check that stands in its traceback.
_STAGES = {"_validation_step": "validation step", "_training_step": "training step"}


@dataclass(frozen=True)
class Answer:
    """What became of a config.

    Attributes:
        name: of the config.
        outcome: ``steps``, ``refused`` (before anything is built), or the stage at which it failed: ``build``,
            ``training step``, ``validation step``.
        message: the whole reason; empty if it takes its steps.
        reason: the same in the words of a group.
        same_as: equal jobs have one; empty for what is refused.
        overrides: what had to be said beside the name.
        operators: of mmcv, that the model may call.
        took_s: seconds of the process.
    """

    name: str
    outcome: str
    message: str = ""
    reason: str = ""
    same_as: str = ""
    overrides: Sequence[str] = ()
    operators: Sequence[str] = field(default=())
    took_s: float = 0.0


def main() -> None:
    """Try what is not answered yet, and tell all answers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", metavar="PATTERN", help="configs whose name it is found in")
    parser.add_argument("--without", default="^$", metavar="PATTERN", help="leave these out")
    parser.add_argument("--limit", type=int, default=sys.maxsize, metavar="N", help="try so many at most")
    parser.add_argument(
        "--again", default="", metavar="WORD", help="forget answers whose outcome or reason contains it"
    )
    parser.add_argument("--tell", action="store_true", help="try nothing, tell the answers that are there")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # the child under way goes too
    answers = read_answers(arguments.again)
    only, without = re.compile(arguments.only), re.compile(arguments.without)
    names = in_turns([name for name in zoo_names() if only.search(name) and not without.search(name)])
    if not arguments.tell:
        with tempfile.TemporaryDirectory(prefix="detsweep-zoo-") as folder:
            for answer in Trials(Path(folder), answers).run(names, arguments.limit):
                answers[answer.name] = answer
    told = [answers[name] for name in names if name in answers]
    if told:
        summary(told, n_left=len(names) - len(told)).tell()


def in_turns(names: Iterable[str]) -> list[str]:
    """Return the first of each family, then the second of each, and so on: whenever it ends, it has seen all kinds."""
    seen: Counter[str] = Counter()
    turns = []
    for name in names:
        family = name.partition("/")[0]
        turns.append((seen[family], name))
        seen[family] += 1
    return [name for _, name in sorted(turns)]


def write_data(folder: Path) -> None:
    """Write generated images whose objects have masks too: their boxes."""
    write_shapes(folder, n_train=8, n_val=4, n_test=4, image_px=128)
    for path in folder.glob("*.json"):
        content = read_json(path)
        for annotation in content.get("annotations", ()):
            x, y, width, height = annotation["bbox"]
            annotation["segmentation"] = [[x, y, x + width, y, x + width, y + height, x, y + height]]
        write_json(path, content)


def read_answers(again: str = "") -> dict[str, Answer]:
    """Return the answers by name; of those that are to be asked again, the file keeps nothing."""
    lines = [line for line, _ in read_lines(ANSWERS)] if ANSWERS.exists() else []
    kept = [line for line in lines if not (again and (again in line["outcome"] or again in line["message"]))]
    if len(kept) < len(lines):
        ANSWERS.unlink()
        for line in kept:
            append_line(ANSWERS, line)
    # The reasons' words may have changed since.
    return {line["name"]: Answer(**{**line, "reason": reason_of(line["message"])}) for line in kept}


class Trials:
    """Tries configs one after the other.

    Args:
        folder: for the data, and the job of each trial.
        answers: what is known; equal jobs are answered from it.
    """

    def __init__(self, folder: Path, answers: Mapping[str, Answer]) -> None:
        self._folder = folder
        self._known = dict(answers)
        preload.preload()
        gc.freeze()  # as the warm server: a child that collects garbage would copy all of it
        register()
        self._composer = Composer.of_folder(CONF)
        self._data = folder / "data"
        write_data(self._data)

    def run(self, names: Iterable[str], limit: int) -> Iterable[Answer]:
        """Yield the answer of each config that has none; a line is printed and written for each."""
        for name in [name for name in names if name not in self._known][:limit]:
            answer = self._answer(name)
            self._known[name] = answer
            ANSWERS.parent.mkdir(parents=True, exist_ok=True)
            append_line(ANSWERS, asdict(answer))
            print(f"{answer.outcome:16} {answer.took_s:5.1f} s  {name}  {answer.message[:200]}", flush=True)
            yield answer

    def _answer(self, name: str) -> Answer:
        overrides: Sequence[str] = ()
        try:
            try:
                config = self._compose(name, overrides)
            except UserError as error:
                if "schedule in iterations" not in str(error):
                    raise
                overrides = IN_EPOCHS
                config = self._compose(name, overrides)
        except UserError as error:
            message = "; ".join(error.problems)
            return Answer(name, "refused", message, reason_of(message), overrides=overrides)
        same_as = _digest(config)
        for known in self._known.values():
            if known.same_as == same_as:
                return Answer(**{**asdict(known), "name": name, "overrides": overrides, "took_s": 0.0})
        return self._try(name, config, same_as, overrides)

    def _compose(self, name: str, overrides: Sequence[str]) -> dict[str, Any]:
        data = ["dataset=coco", f"dataset.root={self._data}", "batch_size=2"]
        words = ["detector=zoo", f"detector.config={name}", *data, *overrides]
        return JobConfigs(self._composer, Axes({}, words, ()), self._folder).job({}).config

    def _try(self, name: str, config: Mapping[str, Any], same_as: str, overrides: Sequence[str]) -> Answer:
        from runners.needed_ops import ops_of

        operators = [op.name for op in ops_of(config["model"])]
        job = JobFolder(self._folder / f"{len(self._known):04}")
        job.path.mkdir()
        job.config.write_text(dump_yaml(config), encoding="utf-8")
        attempt = job.take_attempt()
        AttemptSpec(attempt.number, "cpu", 1, 0, batch_per_step=2, accumulation=1, mode="check").write(attempt)
        began_s = time.monotonic()
        ended = _in_child(attempt)
        took_s = time.monotonic() - began_s
        outcome, message = _told(attempt, ended)
        return Answer(name, outcome, message, reason_of(message), same_as, overrides, operators, round(took_s, 1))


def _digest(config: Mapping[str, Any]) -> str:
    text = json.dumps({part: config.get(part) for part in PARTS}, sort_keys=True, default=repr)
    # Where a part's weights would come from: the check loads none.
    text = re.sub(r'"checkpoint": "[^"]*"', '"checkpoint": ""', text)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _in_child(attempt: AttemptFolder) -> str:
    """Run an attempt in a forked process, within its limits; return why it was ended, empty if it ended by itself."""
    pid = os.fork()
    if pid == 0:
        _become_job(attempt)
    process = psutil.Process(pid)
    ended = ""
    try:
        while not ended:
            if os.waitpid(pid, os.WNOHANG) != (0, 0):
                return ""
            times = process.cpu_times()
            if times.user + times.system > LIMIT_S:
                ended = f"not done after {LIMIT_S} s"
            elif process.memory_info().rss > LIMIT_GB * 1e9:
                ended = f"takes more than {LIMIT_GB:.0f} GB"
            time.sleep(_POLL_S)
    except BaseException:
        os.kill(pid, signal.SIGKILL)
        raise
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return ended


def _become_job(attempt: AttemptFolder) -> None:
    """Run an attempt in this process, which ends with it."""
    from runners.job import run_attempt

    log = os.open(attempt.log, os.O_WRONLY | os.O_CREAT)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.chdir(attempt.job.path)
    try:
        run_attempt(attempt)
    finally:
        os._exit(0)


def _told(attempt: AttemptFolder, ended: str) -> tuple[str, str]:
    """Return the outcome of an attempt, and why."""
    result = AttemptResult.read(attempt)
    if ended or result is None:
        return "build", ended or "the process ended without a word"
    if result.failure is None:
        return "steps", ""
    stage = next((stage for name, stage in _STAGES.items() if f"in {name}\n" in result.failure.traceback), "build")
    return stage, result.failure.message


def summary(answers: Sequence[Answer], n_left: int) -> Result:
    """Return the table: how many configs, and distinct jobs, came how far, and why not further."""
    aside = [answer for answer in answers if answer.reason.startswith("aside: ")]
    counted = [answer for answer in answers if answer not in aside]
    rows = [
        _row("configs of the zoo", answers),
        _row("of these no detection configs", aside),
        *(_row(f"  {reason.removeprefix('aside: ')}", group) for reason, group in _groups(aside)),
        _row("detection configs", counted),
        _row("  are built", _with(counted, lambda answer: answer.outcome not in ("refused", "build"))),
        _row("  take a training step", _with(counted, lambda answer: answer.outcome in ("steps", "validation step"))),
        _row("  and a validation step", _with(counted, lambda answer: answer.outcome == "steps")),
        _row("  refused in one line", _with(counted, lambda answer: answer.outcome == "refused")),
        *(
            _row(f"  not: {reason}", group)
            for reason, group in _groups(_with(counted, lambda answer: answer.outcome != "steps"))
        ),
    ]
    operators = Counter(name for answer in counted for name in answer.operators)
    return Result(
        name="zoo_coverage",
        title="mmdet's zoo under detsweep (CPU)",
        rows=rows,
        notes=[
            "A job is distinct by its model, pipelines, optimizer and hooks; weights are not loaded, classes are 3.",
            f"{sum(bool(answer.overrides) for answer in counted)} configs count iterations and ran with "
            f"{' '.join(IN_EPOCHS)} beside them.",
            *([f"{n_left} configs are not tried yet."] if n_left else []),
        ],
        details={
            "operators that models may call, by configs": dict(operators.most_common()),
            "answers": [asdict(answer) for answer in answers],
        },
    )


def _row(what: str, answers: Sequence[Answer]) -> dict[str, Any]:
    return {
        "what": what,
        "configs": len(answers),
        "distinct": len({answer.same_as or answer.name for answer in answers}),
    }


def _with(answers: Sequence[Answer], is_wanted: Callable[[Answer], bool]) -> list[Answer]:
    return [answer for answer in answers if is_wanted(answer)]


def _groups(answers: Sequence[Answer]) -> list[tuple[str, list[Answer]]]:
    groups: dict[str, list[Answer]] = {}
    for answer in answers:
        groups.setdefault(answer.reason, []).append(answer)
    return sorted(groups.items(), key=lambda group: -len(group[1]))


if __name__ == "__main__":
    main()
