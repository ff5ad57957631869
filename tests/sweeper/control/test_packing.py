"""Jobs are packed by memory on recorded device tables; usable memory is 95 % of what the driver told."""

import pytest

from sweeper.control.packing import Need, Packing
from sweeper.hardware.slots import Device, offer_of

# NVML's totals in 1e9 bytes, as `query_gpus` gives them.
RTX_4090 = [
    Device("cuda", index, f"GPU-{index}", "NVIDIA GeForce RTX 4090", f"/dev/nvidia{index}", 25.757) for index in (0, 1)
]
H100 = [Device("cuda", 0, "GPU-0", "NVIDIA H100 80GB HBM3", "/dev/nvidia0", 85.521)]
# Three instances of one A100, of 3, 2 and 2 sevenths.
A100_MIG = [
    Device("cuda", 0, "MIG-0", "NVIDIA A100-SXM4-40GB MIG 3g.20gb", "/dev/nvidia0", 20.937, 0),
    Device("cuda", 0, "MIG-1", "NVIDIA A100-SXM4-40GB MIG 2g.10gb", "/dev/nvidia0", 10.468, 1),
    Device("cuda", 0, "MIG-2", "NVIDIA A100-SXM4-40GB MIG 2g.10gb", "/dev/nvidia0", 10.468, 2),
]


def opened(devices: list[Device], jobs_per_gpu: int | str = "auto") -> Packing:
    packing = Packing()
    for number, device in enumerate(devices):
        offer = offer_of(device, jobs_per_gpu, n_cores=16, host_memory_gb=128.0)  # type: ignore[arg-type]
        packing.open(number, offer.n_shares, offer.memory_gb)
    return packing


def placed(packing: Packing, *needs: Need) -> list[tuple[tuple[int, ...], int] | None]:
    """Return where jobs of these needs go, placed one after the other in one round."""
    packing.begin_round()
    return [packing.place(f"{number:04d}", need) for number, need in enumerate(needs, start=1)]


def gb(*memory: float) -> list[Need]:
    return [Need(1, size) for size in memory]


def test_jobs_of_known_size_spread_over_the_devices_and_then_share_them() -> None:
    found = placed(opened(RTX_4090), *gb(8.2, 8.2, 8.2, 8.2, 8.2))
    # 24.4 GB hold two of them and 8 GB more; the third on a device would be 24.6.
    assert found == [((0,), 0), ((1,), 0), ((0,), 1), ((1,), 1), None]


def test_a_job_goes_where_most_memory_is_left() -> None:
    assert placed(opened(RTX_4090), *gb(12.0, 5.0, 11.0, 4.0)) == [((0,), 0), ((1,), 0), ((1,), 1), ((0,), 1)]


def test_small_jobs_go_past_a_large_one_that_has_to_wait() -> None:
    assert placed(opened(H100), *gb(40.0, 30.0, 20.0, 11.0)) == [((0,), 0), ((0,), 1), None, ((0,), 2)]


def test_a_job_larger_than_any_device_runs_alone() -> None:
    packing = opened(RTX_4090)
    assert placed(packing, *gb(40.0, 40.0, 1.0)) == [((0,), 0), ((1,), 0), None]
    packing.leave("0002", (1,))
    packing.begin_round()
    assert packing.place("0003", Need(1, 1.0)) == ((1,), 0)
    assert packing.place("0002", Need(1, 40.0)) is None


def test_a_job_of_unknown_size_takes_a_device_alone() -> None:
    unknown = Need(1, 0.0)
    packing = opened(RTX_4090)
    assert placed(packing, *gb(3.0), unknown, unknown, *gb(3.0, 3.0)) == [
        ((0,), 0),
        ((1,), 0),
        None,
        ((0,), 1),
        ((0,), 2),
    ]


def test_no_more_jobs_share_a_device_than_can_take_turns_on_it() -> None:
    found = placed(opened(H100), *gb(*[1.0] * 9))
    assert found[:8] == [((0,), share) for share in range(8)]
    assert found[8] is None


def test_mig_instances_are_packed_each_by_its_own_memory() -> None:
    assert placed(opened(A100_MIG), *gb(12.0, 8.0, 9.0, 7.0, 9.0)) == [((0,), 0), ((1,), 0), ((2,), 0), ((0,), 1), None]


def test_the_cpu_is_shared_by_cores_and_host_memory() -> None:
    cpu = Device("cpu", 0, "", "CPU", "", 0.0)
    assert placed(opened([cpu]), *gb(60.0, 60.0, 60.0)) == [((0,), 0), ((0,), 1), None]


def test_fixed_shares_know_no_memory() -> None:
    unknown, huge = Need(1, 0.0), Need(1, 500.0)
    assert placed(opened(H100, 3), unknown, huge, huge, unknown) == [((0,), 0), ((0,), 1), ((0,), 2), None]


def test_a_share_that_was_left_is_the_next_to_be_taken() -> None:
    packing = opened(H100, 3)
    placed(packing, *gb(1.0, 1.0, 1.0))
    packing.leave("0002", (0,))
    packing.begin_round()
    assert packing.place("0009", Need()) == ((0,), 1)


def test_whole_devices_are_shared_with_nobody() -> None:
    packing = opened(RTX_4090, 2)
    assert placed(packing, Need(2), Need()) == [((0, 1), 0), None]
    assert not packing.has_room()


def test_devices_are_reserved_for_one_round_only() -> None:
    packing = opened(RTX_4090, 1)
    assert placed(packing, Need(), Need(2), Need()) == [((0,), 0), None, None]
    assert not packing.has_room()  # the other is kept free
    packing.begin_round()
    assert packing.has_room()
    assert packing.place("0003", Need()) == ((1,), 0)


def test_nothing_is_reserved_for_a_job_that_needs_more_devices_than_are_open() -> None:
    packing = opened(RTX_4090, 1)
    packing.expect(2)
    assert placed(packing, Need(3), Need()) == [None, ((0,), 0)]
    assert packing.could_fit(Need(3))
    assert not packing.could_fit(Need(4))


@pytest.mark.parametrize("is_gone", [True, False])
def test_a_device_comes_back_unless_it_is_gone(is_gone: bool) -> None:
    packing = opened(H100, 1)
    placed(packing, Need())
    assert packing.close(0, is_gone) == ["0001"]
    assert packing.pop_empty() == []
    packing.leave("0001", (0,))
    assert packing.pop_empty() == [(0, is_gone)]
    assert packing.pop_empty() == []
    assert packing.could_fit(Need()) is not is_gone


def test_errors_of_a_device_are_forgotten_once_it_is_opened_again() -> None:
    packing = opened(H100, 1)
    assert packing.note_error((0,)) == []
    assert packing.note_error((0,)) == [0]
    packing.close(0, is_gone=True)
    packing.pop_empty()
    packing.open(0, 1, 0.0)
    assert packing.note_error((0,)) == []


def test_a_job_that_is_asked_for_next_has_a_device_kept_for_it() -> None:
    packing = Packing()
    packing.open(0, 4, 24.0)
    packing.open(1, 4, 24.0)
    for number, device in enumerate((0, 1, 0)):
        packing.begin_round()
        placed = packing.place(f"small{number}", Need(1, 10.0))
        assert placed is not None
        assert placed[0] == (device,)
    packing.begin_round()
    assert packing.place("large", Need(1, 20.0), is_urgent=True) is None
    # Device 1 has the fewest jobs: nothing else is placed there until it is empty.
    assert packing.place("small3", Need(1, 10.0)) is None
    packing.leave("small1", (1,))
    packing.begin_round()
    assert packing.place("large", Need(1, 20.0), is_urgent=True) == ((1,), 0)


def test_without_the_wish_smaller_jobs_go_first() -> None:
    packing = Packing()
    packing.open(0, 4, 24.0)
    assert packing.place("small0", Need(1, 10.0)) is not None
    assert packing.place("large", Need(1, 20.0)) is None
    assert packing.place("small1", Need(1, 10.0)) is not None
