"""A search as its person sees it: who rests, what is best beside the default, what may still come, and when it ends."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from runners.contract.folder import SweepFolder
from runners.contract.records import MetricRecord
from runners.contract.search import read_search
from runners.contract.trials import Trial
from runners.contract.yamlfile import dump_entries, dump_yaml
from sweeper.view.finish_time import ends_early, jobs_to_come, work_left_s
from sweeper.view.progress import Progress
from sweeper.view.search_standing import best_words, count_words, find_search, standing_of
from sweeper.view.sweep_summary import summary_lines
from sweeper.view.sweep_table import SweepTable
from sweeper.view.sweep_view import SweepView
from sweeper.view.trial_words import metric_words, point_words, short_value

AP = "val/bbox_mAP_50"
SPACE = {
    "optimizer": {"choices": ["sgd", "adamw"]},
    "optimizer.lr": {"low": 0.001, "high": 0.1, "log": True},
}
NODE: Mapping[str, Any] = {
    "name": "toy",
    "space": SPACE,
    "objectives": [AP],
    "n_trials": 10,
    "pruner": {"name": "successive_halving"},
}
NOW = 1000.0


class Story:
    """A search that is told step by step, at moments 10 s apart.

    Attributes:
        view: what a person is shown.
        out: what was printed.
    """

    def __init__(self, folder: Path = Path("nowhere"), **settings: Any) -> None:
        self.view = SweepView(SweepFolder(folder))
        self.view.search = read_search({**NODE, **settings}, "toy.yaml")
        self.out = io.StringIO()
        self._now = 0.0
        self.progress = Progress(Console(file=self.out, width=200), self.view, lambda: self._now)
        self.tell("device_opened", device="cpu", name="cpu", n_shares=2)

    def tell(self, event: str, **fields: Any) -> None:
        self._now += 10.0
        self.progress.event({"at": self._now, "event": event, **fields})

    def plan(self, number: int, lr: str = "0.02", origin: Any = None, **values: str) -> str:
        job = f"{len(self.view.jobs) + 1:04d}"
        trial = Trial(number, {}, origin or ("default" if number == 0 else "sampled"))
        point = {"optimizer": "sgd", "optimizer.lr": lr, **values}
        told = {"title": f"a_long_title_trial{number}", "values": point, "expected_s": 120.0}
        self.tell("planned", job=job, state="PLANNED", trial=trial.describe(), **told)
        return job

    def start(self, job: str, **fields: Any) -> None:
        self.tell("started", job=job, state="RUNNING", **{"attempt": 1, "slot": "cpu/0", "resume": None, **fields})

    def epoch(self, job: str, epoch: int, ap: float, **values: float) -> None:
        told = {"phase": "train", "epoch": epoch, "n_epochs": 9, "iteration": epoch, "n_iterations": 9}
        self._now += 10.0
        self.progress.record(job, MetricRecord(self._now, 1, epoch, {AP: ap, **values}, told))

    def decide(self, job: str, what: str, reason: str) -> None:
        self.tell("decided", job=job, decision=what, epoch=1, reason=reason)

    def end(self, job: str, state: str = "COMPLETED", **fields: Any) -> None:
        self.tell("ended", job=job, attempt=1, state=state, **{"reason": None, "kind": None, **fields})

    def train(self, number: int, ap: float, **values: str) -> str:
        """Train a trial to its end."""
        job = self.plan(number, **values)
        self.start(job)
        self.epoch(job, 9, ap)
        self.end(job)
        return job

    def rest(self, number: int, **values: str) -> str:
        job = self.plan(number, **values)
        self.start(job)
        self.epoch(job, 1, 0.1)
        # As a real job does, it has begun its next epoch when it is told to rest.
        told = {"phase": "train", "epoch": 2, "n_epochs": 9, "iteration": 2, "n_iterations": 9}
        self.progress.record(job, MetricRecord(self._now, 1, 1, {}, told))
        self.decide(job, "pause", "rests at place 3 of 3 after epoch 1")
        self.end(job, "PAUSED")
        return job

    @property
    def lines(self) -> list[str]:
        return self.out.getvalue().splitlines()

    def summary(self) -> list[str]:
        return summary_lines(self.view, NOW)

    def table(self, width: int = 100) -> list[str]:
        out = io.StringIO()
        Console(file=out, width=width).print(SweepTable(self.view, NOW))
        return out.getvalue().splitlines()


@pytest.fixture
def story() -> Story:
    """A default that is done, a trial that is better, one that rests, one that failed, and one that runs."""
    story = Story()
    story.train(0, 0.30)
    story.train(1, 0.42, lr="0.0312345678")
    story.rest(2)
    story.start(story.plan(3))
    story.end("0004", "FAILED", reason="loss is NaN", kind="diverged")
    story.start(story.plan(4))
    return story


class TestWhatIsSaid:
    def test_trials_are_counted_by_what_became_of_them(self, story: Story) -> None:
        first, best, *_ = story.summary()
        assert first.startswith("5 of 10 trials begun: 1 running, 1 resting, 2 done, 1 failed; devices busy ")
        assert best == "best so far is trial 1 (optimizer=sgd lr=0.0312): val mAP50 42.0, default 30.0 (+12.0)"

    def test_the_time_is_the_most_that_it_may_take(self, story: Story) -> None:
        assert " at the latest, in " in story.summary()[-1]
        assert "trials that fall behind are not trained to their end" in story.summary()[-1]
        story.tell("asking_ended")
        story.end("0005", "PRUNED")
        story.tell("pruned", job="0003", state="PRUNED", reason="given up")
        assert not ends_early(story.view)

    def test_the_table_shows_numbers_and_values_of_trials(self, story: Story) -> None:
        header, *rows = [line.split() for line in story.table()]
        assert header[:5] == ["job", "trial", "optimizer", "lr", "state"]
        assert ["0002", "1", "sgd", "0.0312", "done"] in [row[:5] for row in rows]
        assert ["0003", "2", "sgd", "0.02", "resting"] in [row[:5] for row in rows]
        assert ["0001", "default", "sgd", "0.02", "done"] in [row[:5] for row in rows]
        (resting,) = [row for row in rows if row[0] == "0003"]
        assert "1/9" in resting  # where it was judged, and not the epoch that it had begun
        assert not any("rests at place" in line for line in story.table())

    def test_who_rests_does_so_until_it_is_given_up(self, story: Story) -> None:
        story.decide("0003", "prune", "given up at place 4 of 4 after epoch 1")
        assert story.view.jobs["0003"].rests
        story.tell("pruned", job="0003", state="PRUNED", reason="given up at place 4 of 4 after epoch 1")
        assert story.lines[-1] == "0003 trial 2: PRUNED: given up at place 4 of 4 after epoch 1"

    @pytest.mark.parametrize("height", [12, 9])
    def test_what_sums_it_up_is_seen_whole_on_a_low_terminal(self, story: Story, height: int) -> None:
        out = io.StringIO()
        Console(file=out, width=60).print(SweepTable(story.view, NOW, height))
        lines = out.getvalue().splitlines()
        assert len(lines) <= height
        assert max(map(len, lines)) <= 60
        assert " ".join(lines[-5:]).endswith("not trained to their end")

    def test_lines_name_the_trial_and_say_its_values_once(self, story: Story) -> None:
        assert "0002 trial 1: started on cpu/0 with optimizer=sgd lr=0.0312" in story.lines
        assert "0002 trial 1: COMPLETED after 20 s, val mAP50 42.0, the best so far" in story.lines
        assert "0003 trial 2: rests at place 3 of 3 after epoch 1" in story.lines
        assert "0004 trial 3: FAILED (diverged): loss is NaN after 10 s" in story.lines
        assert sum("lr=0.0312" in line for line in story.lines) == 1
        assert not any("a_long_title" in line for line in story.lines)

    def test_who_is_let_go_on_is_said_to_where_it_starts(self, story: Story) -> None:
        story.decide("0003", "promote", "goes on: place 1 of 4 after epoch 1")
        story.start("0003", attempt=2, slot="cpu/1", resume="checkpoints/a1.pth")
        assert story.lines[-1] == "0003 trial 2: goes on: place 1 of 4 after epoch 1, from its checkpoint, on cpu/1"
        assert story.view.jobs["0003"].remark == "went on from a rung"

    def test_who_was_cancelled_has_not_failed(self, story: Story) -> None:
        story.tell("cancelled", job="0005", state="CANCELLED", reason="asked by ann")
        assert "2 done, 1 failed, 1 cancelled" in story.summary()[0]


class TestReasons:
    def test_a_decision_that_came_too_late_is_no_reason_of_a_completed_trial(self) -> None:
        story = Story()
        job = story.plan(1)
        story.start(job)
        story.decide(job, "pause", "rests at place 1 of 1 after epoch 1")
        story.end(job)
        assert story.view.jobs[job].reason == ""
        assert not story.view.jobs[job].rests

    def test_one_that_went_on_and_was_interrupted_does_not_rest(self, story: Story) -> None:
        story.decide("0003", "promote", "goes on")
        story.start("0003", attempt=2, resume="checkpoints/a1.pth")
        story.end("0003", "PAUSED")
        assert story.view.jobs["0003"].reason == ""
        assert not story.view.jobs["0003"].rests
        assert "1 waiting" in count_words(standing_of(story.view, read_search(NODE, "toy")), is_live=True)

    def test_a_pruned_one_says_why(self, story: Story) -> None:
        story.decide("0005", "prune", "pruned after epoch 3 of 9")
        story.end("0005", "PRUNED")
        assert story.view.jobs["0005"].reason == "pruned after epoch 3 of 9"
        assert story.lines[-1] == "0005 trial 4: PRUNED: pruned after epoch 3 of 9"


class TestTheBest:
    def test_the_value_is_that_of_the_last_epoch(self) -> None:
        story = Story()
        story.start(story.plan(0))
        for epoch, ap in ((8, 0.6), (9, 0.5)):
            story.epoch("0001", epoch, ap)
        story.end("0001")
        (words,) = [line for line in story.summary() if "best" in line]
        assert words == "best so far is the default: val mAP50 50.0"

    def test_who_breaks_a_limit_is_not_the_best(self) -> None:
        story = Story(constraints={"val/loss": {"max": 1.0}})
        for number, (ap, loss) in enumerate(((0.3, 0.5), (0.5, 2.0), (0.4, 0.9))):
            story.start(story.plan(number))
            story.epoch(f"{number + 1:04d}", 9, ap, **{"val/loss": loss})
            story.end(f"{number + 1:04d}")
        assert "best so far is trial 2 " in story.summary()[1]

    def test_of_a_loss_the_lowest(self) -> None:
        story = Story(objectives=["val/loss"])
        for number, loss in enumerate((0.5, 0.25)):
            story.start(story.plan(number))
            story.epoch(f"{number + 1:04d}", 9, 0.1, **{"val/loss": loss})
            story.end(f"{number + 1:04d}")
        assert story.summary()[1].endswith("val loss 0.25, default 0.5 (-0.25)")

    def test_confirming_runs_are_no_trials(self, story: Story) -> None:
        story.tell("asking_ended")
        story.start(story.plan(1, origin="confirm", seed="1"))
        story.epoch("0006", 9, 0.9)
        story.end("0006")
        search = read_search(NODE, "toy")
        told = standing_of(story.view, search)
        assert (told.n_asked, told.n_unasked, len(told.confirming)) == (5, 0, 1)
        assert best_words(told, search).startswith("best is trial 1 ")
        assert "confirmation: 1 of 1 jobs done" in story.summary()
        assert "0006 trial 1 seed 1: COMPLETED after 20 s, val mAP50 90.0" in story.lines


class TestWhatIsToCome:
    def test_trials_and_confirmation_that_were_not_asked_for_count(self) -> None:
        story = Story(confirm=2)
        story.train(0, 0.3)
        assert jobs_to_come(story.view) == 9 + 2 * 3
        one = work_left_s(story.view, NOW)
        assert one is not None
        assert one > 0
        story.tell("asking_ended")
        assert jobs_to_come(story.view) == 0
        assert work_left_s(story.view, NOW) == 0

    def test_a_sweep_that_is_none_ends_when_its_jobs_do(self) -> None:
        view = SweepView(SweepFolder(Path("nowhere")))
        assert jobs_to_come(view) == 0
        assert not ends_early(view)


class TestStored:
    def test_the_search_is_found_without_its_jobs(self, tmp_path: Path) -> None:
        sweep = SweepFolder(tmp_path)
        search = read_search(NODE, "toy")
        head = dump_yaml({"settings": {"search": search.describe(), "keep": "best"}})
        sweep.sweep.write_text(head + dump_entries("jobs", [{"id": "0001"}]), encoding="utf-8")
        assert find_search(sweep) == search

    @pytest.mark.parametrize(
        "text", ["settings:\n  search: null\n", "settings:\n  search:\n    odd: 1\n", "a: [\n", ""]
    )
    def test_where_there_is_none_nothing_is_found(self, tmp_path: Path, text: str) -> None:
        sweep = SweepFolder(tmp_path)
        assert find_search(sweep) is None
        sweep.sweep.write_text(text, encoding="utf-8")
        assert find_search(sweep) is None

    def test_a_watcher_knows_the_search_before_its_first_number(self, tmp_path: Path) -> None:
        sweep = SweepFolder(tmp_path)
        sweep.sweep.write_text(dump_yaml({"settings": {"search": read_search(NODE, "x").describe()}}), encoding="utf-8")
        view = SweepView(sweep)
        Progress(Console(file=io.StringIO()), view)
        assert view.search == read_search(NODE, "x")


@pytest.mark.parametrize(
    ("value", "shown"),
    [("0.0001", "0.0001"), ("0.00478123", "0.00478"), ("32", "32"), ("[0.9,0.98]", "[0.9,0.98]"), ("sgd", "sgd")],
)
def test_values_have_three_digits(value: str, shown: str) -> None:
    assert short_value(value) == shown


def test_names_are_short_where_they_can_be() -> None:
    values = {"optimizer.lr": "0.02", "x.lr": "1", "backbone": "swin_t"}
    assert point_words(values, ["optimizer.lr", "x.lr", "backbone"]) == "optimizer.lr=0.02 x.lr=1 backbone=swin_t"
    assert point_words(values, ["optimizer.lr", "backbone"]) == "lr=0.02 backbone=swin_t"
    assert metric_words("val/bbox_mAP_s") == "val mAPs"
    assert metric_words("cost/wall_s") == "cost/wall_s"
