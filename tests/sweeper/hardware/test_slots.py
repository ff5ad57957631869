"""What a device offers, what a job holds of it, and how many threads that gives it."""

import pytest

from sweeper.hardware.devices import CPU
from sweeper.hardware.slots import Device, Offer, Slot, offer_of, threads_per_device_share

GPU = Device("cuda", 1, "GPU-1", "H200", "/dev/nvidia1", 100.0)
OTHER = Device("cuda", 3, "GPU-3", "H200", "/dev/nvidia3", 100.0)
INSTANCE = Device("cuda", 1, "MIG-0", "A100 MIG", "/dev/nvidia1", 20.0, 0)


@pytest.mark.parametrize(
    ("slot", "label", "kind"),
    [
        (Slot((GPU,), 0, 1, 8), "gpu1", "cuda"),
        (Slot((GPU,), 2, 4, 8), "gpu1/2", "cuda"),
        (Slot((GPU, OTHER), 0, 1, 16), "gpu1+gpu3", "cuda"),
        (Slot((INSTANCE,), 0, 1, 8), "gpu1:0", "cuda"),
        (Slot((INSTANCE,), 1, 2, 8), "gpu1:0/1", "cuda"),
        (Slot((CPU,), 0, 1, 2), "cpu/0", "cpu"),
    ],
)
def test_a_slot_is_called_by_its_devices_and_its_share(slot: Slot, label: str, kind: str) -> None:
    assert (slot.label, slot.kind) == (label, kind)


def test_a_fixed_number_of_jobs_knows_no_memory_and_auto_goes_by_it() -> None:
    assert offer_of(GPU, 3, 16, 64.0) == Offer(3)
    assert offer_of(GPU, "auto", 16, 64.0) == Offer(8, pytest.approx(95.0))  # type: ignore[arg-type]
    assert offer_of(CPU, "auto", 4, 64.0) == Offer(4, pytest.approx(60.8))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("offers", "n_jobs", "n_cores", "n_threads"),
    [
        ([Offer(1)], 60, 8, 8),
        ([Offer(2)], 60, 8, 4),
        ([Offer(2), Offer(2)], 60, 16, 4),
        ([Offer(8), Offer(8)], 2, 16, 8),  # fewer jobs than places: none is left empty-handed
        ([Offer(3)], 60, 2, 1),
        ([Offer(1)], 0, 4, 4),
    ],
)
def test_the_cores_are_dealt_out_among_all_that_can_run_at_once(
    offers: list[Offer], n_jobs: int, n_cores: int, n_threads: int
) -> None:
    assert threads_per_device_share(offers, n_jobs, n_cores) == n_threads
