"""A hypothesis that adds seeds until it is decided, through the real controller, killed and resumed on the way."""

from runners.contract.looks import looks_of
from tests.faults.driver import Driver
from tests.quick_job import Play

QUICK = Play(n_iterations=2, iteration_s=0.01)
# Slow enough to be killed in the middle of.
SLOW = Play(n_iterations=2, iteration_s=0.15)
CLAIM = (
    *("hypothesis=narrow_pafpn", "hypothesis.until=decided", "hypothesis.axis=optimizer.lr"),
    *("hypothesis.arms=[0.5,0.51,0.95]", "+hypothesis.baseline='0.5'", "entry=tests.detecting_job", "gpus=none"),
    *("dataset.shapes.n_train=8", "dataset.shapes.n_val=40", "dataset.shapes.n_test=4", "dataset.shapes.image_px=96"),
    *("n_epochs=2", "tracking=off"),
)
CLEAR, CLOSE = "val/bbox_mAP_50 0.95", "val/bbox_mAP_50 0.51"


def seeds_of(drive: Driver, arm: str) -> list[int]:
    planned = [event["values"] for event in drive.events("planned")]
    return sorted(int(values["seed"]) for values in planned if values["optimizer.lr"] == arm)


def test_seeds_are_added_to_undecided_arms_only_and_a_decision_is_kept_over_a_kill(drive: Driver) -> None:
    drive.begin("train", *CLAIM, play=SLOW)
    drive.until(lambda: len(list(looks_of(drive.events()))) == 1 and len(drive.events("started")) > 9)
    drive.cut_the_power()
    (first,) = looks_of(drive.events())
    assert first["words"] == {CLEAR: "better", CLOSE: "undecided"}
    resumed = drive.run("resume", play=QUICK)
    assert resumed.process.returncode == 0, resumed.said
    looks = list(looks_of(drive.events()))
    assert [look["n_seeds"] for look in looks] == [3, 5, 8]
    assert [look["is_final"] for look in looks] == [False, False, True]
    assert {look["words"][CLEAR] for look in looks} == {"better"}
    assert looks[-1]["words"][CLOSE] == "undecided"
    assert seeds_of(drive, "0.95") == [0, 1, 2]
    assert seeds_of(drive, "0.5") == seeds_of(drive, "0.51") == list(range(8))
    assert set(drive.states.values()) == {"COMPLETED"}
    report = drive.run("report")
    assert "decided at the look at 3 seeds" in report.said, report.said
    assert "undecided at 8 seeds is final" in report.said
    again = drive.run("resume")
    assert "nothing left to do" in again.said


def test_seeds_of_ones_own_are_refused_beside_looks(drive: Driver) -> None:
    refused = drive.run("train", *CLAIM, "seed=0,1")
    assert refused.process.returncode == 2
    assert "until=decided, which adds seeds at 3, 5, 8" in refused.said
