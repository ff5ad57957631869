"""How an attempt is executed: what its slot, its sweep and what went wrong before make of one batch."""

from pathlib import Path

import pytest

from runners.contract.checkpoint_files import write_digests
from runners.contract.digest import sha256_of
from runners.contract.errors import UserError
from runners.contract.folder import AttemptFolder, JobFolder
from runners.contract.records import AttemptSpec
from sweeper.control.attempt_start import AttemptSettings, can_halve, make_spec, split_batch
from sweeper.hardware.devices import CPU
from sweeper.hardware.slots import Device, Slot

GPUS = tuple(Device("cuda", index, f"GPU-{index}", "H200", "", 141.0) for index in (0, 1))
ONE_GPU, TWO_GPUS = Slot(GPUS[:1], 0, 1, 8), Slot(GPUS, 0, 1, 16)
ON_CPU = Slot((CPU,), 0, 1, 2)


@pytest.fixture
def attempt(tmp_path: Path) -> AttemptFolder:
    job = JobFolder(tmp_path / "0001")
    job.checkpoints.mkdir(parents=True)
    return job.take_attempt()


@pytest.mark.parametrize(
    ("batch_size", "batch_per_step", "n_devices", "accumulation"),
    [
        (16, None, 1, 1),
        (16, 4, 1, 4),
        (16, 5, 1, 4),
        (6, 4, 1, 2),
        (7, 3, 1, 7),
        (16, 100, 1, 1),
        (16, None, 2, 1),
        (16, 4, 2, 4),
        (12, 5, 2, 3),  # 4 images on 2 devices; 6 on 2 would be 2 steps of more than 5
        (16, 1, 2, 8),  # no fewer than one image for each device
    ],
)
def test_a_batch_is_split_into_equal_steps_that_all_devices_share(
    batch_size: int, batch_per_step: int | None, n_devices: int, accumulation: int
) -> None:
    assert split_batch(batch_size, batch_per_step, n_devices) == accumulation


@pytest.mark.parametrize(
    ("batch_size", "batch_per_step", "n_devices", "halved"),
    [(16, None, 1, 2), (16, 8, 1, 4), (6, None, 1, 2), (6, 3, 1, 6), (9, None, 1, 3), (1, None, 1, 1), (16, 4, 2, 8)],
)
def test_half_the_images_at_a_time_leave_the_batch_as_it_is(
    batch_size: int, batch_per_step: int | None, n_devices: int, halved: int
) -> None:
    whole = split_batch(batch_size, batch_per_step, n_devices)
    found = split_batch(batch_size, batch_per_step, n_devices, is_halved=True)
    assert found == halved
    assert batch_size % found == 0
    assert batch_size // found <= max(batch_size // whole // 2, n_devices)


def test_a_batch_that_the_devices_cannot_share_is_refused() -> None:
    with pytest.raises(UserError, match="batch in batch_size: 7 images cannot be shared by 2 devices"):
        split_batch(7, None, 2)


def test_a_spec_says_all_that_slot_and_sweep_decide(attempt: AttemptFolder) -> None:
    settings = AttemptSettings(batch_per_step=8, n_devices=2, keep="all", umask=0o007)
    spec, passed_over = make_spec(attempt, 16, TWO_GPUS, settings)
    assert passed_over == ()
    assert spec == AttemptSpec(
        attempt=1,
        device="cuda",
        n_threads=16,
        n_workers=4,
        batch_per_step=8,
        accumulation=2,
        mode="train",
        requested_at=spec.requested_at,
        resume=None,
        n_devices=2,
        keep="all",
        umask=0o007,
    )


@pytest.mark.parametrize(
    ("slot", "n_workers", "found"),
    [(ON_CPU, None, 0), (ONE_GPU, None, 4), (Slot(GPUS, 0, 1, 1), None, 1), (ON_CPU, 3, 3)],
)
def test_workers_are_chosen_by_device_unless_they_are_set(
    attempt: AttemptFolder, slot: Slot, n_workers: int | None, found: int
) -> None:
    spec, _ = make_spec(attempt, 16, slot, AttemptSettings(n_workers=n_workers))
    assert spec.n_workers == found


def test_an_attempt_goes_on_from_the_newest_whole_checkpoint_and_names_the_damaged(attempt: AttemptFolder) -> None:
    checkpoints = attempt.job.checkpoints
    for name in ("a1_epoch_1.pth", "a1_epoch_2.pth"):
        (checkpoints / name).write_bytes(b"state of " + name.encode())
        write_digests(checkpoints / name, {name: sha256_of(checkpoints / name)})
    (checkpoints / "a1_epoch_2.pth").write_bytes(b"torn")
    spec, passed_over = make_spec(attempt.job.take_attempt(), 4, ON_CPU, AttemptSettings())
    assert (spec.attempt, spec.resume, passed_over) == (2, "checkpoints/a1_epoch_1.pth", ("a1_epoch_2.pth",))
    for mode in ("check", "probe"):
        other, _ = make_spec(attempt, 4, ON_CPU, AttemptSettings(mode))  # type: ignore[arg-type]
        assert other.resume is None


def test_what_can_be_halved_is_told_by_the_images_of_each_device(attempt: AttemptFolder) -> None:
    def halves(batch_size: int, slot: Slot, settings: AttemptSettings = AttemptSettings()) -> bool:
        return can_halve(make_spec(attempt, batch_size, slot, settings)[0])

    assert halves(4, ONE_GPU)
    assert not halves(1, ONE_GPU)
    assert halves(4, TWO_GPUS)
    assert not halves(2, TWO_GPUS)
    assert not halves(4, ONE_GPU, AttemptSettings("check"))
