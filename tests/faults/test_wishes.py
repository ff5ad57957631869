"""What is asked of a running sweep from another terminal, as commands; and how jobs are packed, with pretended GPUs."""

from tests.faults.driver import WORDS, Driver
from tests.faults.test_devices import Gpus, gpus, slots  # noqa: F401 - a fixture is used by its name
from tests.quick_job import Play

SLOW = Play(iteration_s=0.15)


def order(drive: Driver) -> list[str]:
    return [event["job"] for event in drive.events("started")]


def test_next_pause_resume_cancel_and_retry(drive: Driver) -> None:
    command = drive.train("seed=0,1,2,3", play=SLOW)
    drive.until(lambda: drive.n_iterations("0001") > 1)
    assert drive.run("next", "4").process.returncode == 0
    assert drive.run("stop", "3").process.returncode == 0
    drive.commands.append(command)
    drive.until(lambda: order(drive) == ["0001", "0004"])
    assert drive.states["0003"] == "CANCELLED"
    drive.run("pause")
    drive.commands.append(command)
    drive.until(lambda: bool(drive.events("device_closed")))
    assert drive.states["0004"] == "PAUSED"
    assert "told to go on" in drive.run("resume").said
    drive.commands.append(command)
    assert command.wait() == 0, command.said
    assert order(drive) == ["0001", "0004", "0004", "0002"]
    again = drive.run("retry", "3")
    assert again.process.returncode == 0, again.said
    assert set(drive.states.values()) == {"COMPLETED"}
    nothing = drive.run("retry", "--failed")
    assert nothing.process.returncode == 2
    assert "none has failed" in nothing.said


def test_stop_ends_with_3_and_what_nobody_runs_cannot_be_stopped(drive: Driver) -> None:
    command = drive.train(play=SLOW)
    drive.until(lambda: drive.n_iterations("0001") > 1)
    drive.run("stop")
    assert command.wait() == 3, command.said
    refused = drive.run("stop")
    assert refused.process.returncode == 2
    assert "nobody runs it" in refused.said
    assert drive.run("stop", "2").process.returncode == 0
    assert drive.states == {"0001": "PAUSED", "0002": "CANCELLED"}
    assert drive.run("resume").process.returncode == 0
    assert drive.states == {"0001": "COMPLETED", "0002": "CANCELLED"}


def test_a_longer_axis_adds_only_what_is_new_to_a_running_sweep_and_to_one_that_has_ended(drive: Driver) -> None:
    command = drive.train(play=SLOW)
    drive.until(lambda: drive.n_iterations("0001") > 1)
    added = drive.run("add", "seed=0,1,2")
    assert "0003" in added.said, added.said
    assert command.wait() == 0, command.said
    assert order(drive) == ["0001", "0002", "0003"]
    later = drive.run("add", *WORDS, "gpus=none", "tracking=off", "seed=2,3")
    assert later.process.returncode == 0, later.said
    assert order(drive) == ["0001", "0002", "0003", "0004"]
    assert set(drive.states.values()) == {"COMPLETED"}
    refused = drive.run("add", "seed=0,3")
    assert refused.process.returncode == 2
    assert "nothing to add" in refused.said


def test_a_gpu_is_given_back_after_its_jobs_have_saved_and_taken_again(drive: Driver, gpus: Gpus) -> None:  # noqa: F811
    quick = {"sweeper.hardware.device_pool:RETRY_S": 0.2}
    command = drive.train("gpus=all", "seed=0,1,2", play=SLOW, env=gpus.environment, patches=quick)
    drive.until(lambda: drive.n_iterations("0002") > 1)
    drive.run("gpus", "-1")
    drive.commands.append(command)
    drive.until(lambda: bool(drive.events("device_closed")))
    assert drive.states["0002"] == "PAUSED"
    drive.run("gpus", "+1")
    assert command.wait() == 0, command.said
    assert [event["device"] for event in drive.events("device_opened")] == ["gpu0", "gpu1", "gpu1"]
    assert set(drive.states.values()) == {"COMPLETED"}


def test_small_jobs_share_a_gpu_by_their_probes_memory(drive: Driver, gpus: Gpus) -> None:  # noqa: F811
    gpus.show(1)
    command = drive.train("gpus=all", "jobs_per_gpu=auto", "seed=0,1,2", play=SLOW, env=gpus.environment)
    assert command.wait() == 0, command.said
    assert "probing 1 distinct model" in command.said
    assert {slot for _, slot in slots(drive)} == {"gpu0/0", "gpu0/1", "gpu0/2"}


def test_a_job_that_wants_two_gpus_has_both(drive: Driver, gpus: Gpus) -> None:  # noqa: F811
    command = drive.train("gpus=all", "devices_per_job=2", env=gpus.environment)
    assert command.wait() == 0, command.said
    assert slots(drive) == [("0001", "gpu0+gpu1"), ("0002", "gpu0+gpu1")]
    wants_more = drive.train("gpus=all", "devices_per_job=3", "seed=7", env=gpus.environment)
    assert wants_more.wait() == 2, wants_more.said


def test_the_plan_says_what_it_will_take_and_starts_nothing(drive: Driver) -> None:
    shown = drive.run("plan", *WORDS, "gpus=none", "seed=0,1")
    assert shown.process.returncode == 0, shown.said
    for word in ("2 jobs", "done in roughly", "disk:", "memory"):
        assert word in shown.said
    assert not drive.sweeps
