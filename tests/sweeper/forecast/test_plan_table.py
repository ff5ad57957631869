"""The plan as a person sees it in a terminal of 100 columns, and as a program reads it."""

import io
import json
from collections.abc import Mapping, Sequence

import pytest
from rich.console import Console

from runners.contract.errors import UserError
from sweeper.forecast.disk import DiskNeed
from sweeper.forecast.estimates import Estimate
from sweeper.forecast.plan_table import Forecast, folded_title, make_forecast, plan_json, print_plan
from sweeper.hardware.machine import Capacity
from sweeper.hardware.slots import Device, Offer
from sweeper.planning.axes import Axes
from sweeper.planning.dataset import PreparedDataset
from sweeper.planning.plan import Plan, PlannedJob

DATASET = PreparedDataset({}, {}, [], "", {"train": 10}, {"train": True}, [])
DISK = DiskNeed(stays=2e9, peak=9e9, n_jobs=3, keep="best")
HOUR = Estimate(3600.0, 10.0, "zoo", is_rough=True)
LONG = "cascade-rcnn_resnext101_32x4d_pafpn_adamw_1024_smooth_l1_photometric_2x_coco-weights_scales=[4]_lr=0.01_seed0"


def gpus(number: int, memory_gb: float = 24.0) -> Capacity:
    devices = tuple(Device("cuda", index, "", "RTX 4090", "", memory_gb) for index in range(number))
    return Capacity(devices, (Offer(1),) * number, 16)


CPU = Capacity((Device("cpu", 0, "", "CPU", "", 0.0),), (Offer(1),), 2)


def plan(titles: Sequence[str], values: Sequence[Mapping[str, str]] | None = None) -> Plan:
    given = values or [{"seed": str(number)} for number in range(len(titles))]
    jobs = [
        PlannedJob(f"{number:04d}", title, [], point, {}, DATASET)
        for number, (title, point) in enumerate(zip(titles, given, strict=True), start=1)
    ]
    axes = {key: list(dict.fromkeys(point[key] for point in given)) for key in given[0]}
    return Plan(jobs, Axes(axes, [], []), {}, ["axis 'seed' names 1 more than once; it is trained once"])


def forecast(estimates: Sequence[Estimate], capacity: Capacity, n_devices: int = 1) -> Forecast:
    return make_forecast(estimates, capacity, DISK, int(412e9), n_devices)


def shown(told: Plan, found: Forecast, width: int = 100) -> list[str]:
    out = io.StringIO()
    print_plan(Console(file=out, width=width), told, found)
    return [line.rstrip() for line in out.getvalue().splitlines()]


def test_a_newcomer_sees_jobs_needs_and_what_it_comes_to() -> None:
    told = plan(["faster-rcnn_resnet50_fpn_sgd_512", "faster-rcnn_resnet101_fpn_sgd_512"], [{"seed": "0"}] * 2)
    lines = shown(told, forecast([HOUR, Estimate(7200.0, 15.0, "probe")], gpus(2)))
    text = "\n".join(lines)
    assert "0001" in text
    assert [line.split() for line in lines if "resnet50" in line] == [
        ["0001", "faster-rcnn_resnet50_fpn_sgd_512", "0", "~1", "h", "00", "min", "10.0", "GB", "zoo"]
    ]
    assert [line.split()[3:] for line in lines if "resnet101" in line] == [
        ["2", "h", "00", "min", "15.0", "GB", "probe"]
    ]
    assert "done in roughly 2 h 00 min on 2 x RTX 4090; 3.0 device-hours" in text
    assert "1: 3 h 00 min, 4: 2 h 00 min" in text
    assert "up to 9.0 GB while it runs, 2.0 GB stay (keep=best); 412 GB free" in text
    assert "note: axis 'seed'" in lines[0]


@pytest.mark.parametrize("width", [60, 80, 100, 140])
def test_long_titles_fold_and_lose_nothing(width: int) -> None:
    titles = [LONG, LONG.replace("lr=0.01", "lr=0.02")]
    told = plan(titles, [{"model.rpn_head.anchor_generator.scales": "[4]"}] * 2)
    lines = shown(told, forecast([HOUR] * 2, gpus(1)), width)
    assert max(map(len, lines)) <= width
    text = "".join(line.split("~")[0].replace("0001", "").replace("0002", "").strip() for line in lines)
    assert all(title in text for title in titles)
    assert sum("10.0 GB" in line for line in lines) == 2


def test_a_title_breaks_between_its_words() -> None:
    assert folded_title("faster-rcnn_resnet50_fpn", 21) == "faster-rcnn_resnet50_\nfpn"
    assert folded_title("faster-rcnn_resnet50_fpn", 24) == "faster-rcnn_resnet50_fpn"


def test_axes_have_columns_only_where_there_is_room() -> None:
    told = plan(["short"] * 2, [{"optimizer.lr": "0.01"}, {"optimizer.lr": "0.02"}])
    assert any("optimizer.lr" in line for line in shown(told, forecast([HOUR] * 2, gpus(1))))
    told = plan([LONG] * 2, [{"optimizer.lr": "0.01"}, {"optimizer.lr": "0.02"}])
    assert not any("optimizer.lr" in line for line in shown(told, forecast([HOUR] * 2, gpus(1))))


def test_ten_thousand_jobs_show_forty_and_a_count() -> None:
    titles = [f"faster-rcnn_resnet50_seed{number}" for number in range(10_000)]
    lines = shown(plan(titles), forecast([HOUR] * 10_000, gpus(8)))
    assert sum("resnet50_seed" in line for line in lines) == 40
    assert any("and 9,960 more" in line for line in lines)
    assert len(lines) < 60


def test_nothing_known_is_said_and_not_counted() -> None:
    lines = shown(plan(["ours", "known"]), forecast([Estimate(0.0, 0.0, "unknown"), HOUR], gpus(1)))
    assert [line.split()[-3:] for line in lines if line.startswith(" 0001")] == [["–", "–", "unknown"]]
    assert any("1 job of unknown length not counted" in line for line in lines)


def test_jobs_that_may_not_fit_are_named() -> None:
    large = Estimate(60.0, 30.0, "model")
    text = "\n".join(shown(plan(["a"] * 8), forecast([large] * 7 + [HOUR], gpus(1)), 200))
    assert "7 jobs may need more memory than a device has (24.0 GB): 0001, 0002, 0003, 0004, 0005 and 2 more" in text
    assert "more memory than" not in "\n".join(shown(plan(["a"]), forecast([large], gpus(1, 80.0))))
    assert "more memory than" not in "\n".join(shown(plan(["a"]), forecast([large], CPU)))


def test_a_cpu_is_not_offered_a_second_one() -> None:
    text = "\n".join(shown(plan(["a"]), forecast([HOUR], CPU)))
    assert "on the CPU; 1.0 device-hours" in text
    assert "another number of devices" not in text


def test_what_was_timed_here_is_not_called_rough() -> None:
    text = "\n".join(shown(plan(["a"]), forecast([Estimate(90.0, 5.0, "measured")], gpus(1))))
    assert "done in about 2 min" in text
    assert "rough" not in text


def test_jobs_on_several_devices_take_the_hours_of_all() -> None:
    found = forecast([HOUR, HOUR], gpus(2), n_devices=2)
    assert found.device_s == 4 * 3600
    assert found.finish_s == {2: 7200.0, 4: 3600.0}


def test_more_devices_than_there_are_are_refused() -> None:
    with pytest.raises(UserError, match=r"devices_per_job=4: found 2 \(2 x RTX 4090\)"):
        forecast([HOUR], gpus(2), n_devices=4)


def test_a_program_reads_the_same() -> None:
    told = plan(["a", "b"])
    read = json.loads(json.dumps(plan_json(told, forecast([HOUR, Estimate(0.0, 0.0, "unknown")], gpus(2)))))
    assert read["n_jobs"] == 2
    assert read["finish_s"] == 3600.0
    assert read["finish_s_by_n_devices"] == {"1": 3600.0, "2": 3600.0, "4": 3600.0}
    assert read["disk"] == {"stays_gb": 2.0, "peak_gb": 9.0, "free_gb": 412.0, "keep": "best"}
    assert read["jobs"][0]["expected_s"] == 3600.0
    assert read["jobs"][1] == {
        "job": "0002",
        "title": "b",
        "values": {"seed": "1"},
        "n_devices": 1,
        "expected_s": None,
        "memory_gb": None,
        "source": "unknown",
        "is_rough": False,
    }
