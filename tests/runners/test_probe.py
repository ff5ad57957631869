"""A probe measures what a job will take, on the job's own model, images and batch."""

from pathlib import Path

import pytest
import torch
import yaml

from runners.contract import metrics as names
from runners.contract.states import AttemptOutcome, FailureKind
from runners.costs import PeakMemory
from tests.runners.conftest import JobMaker
from tests.runners.warm_server import WarmServer

pytestmark = pytest.mark.train


def test_probe_measures_memory_pace_and_size_and_leaves_nothing(server: WarmServer, make_job: JobMaker) -> None:
    job = make_job("optimizer=adamw")
    attempt, result = server.run(job, mode="probe", batch_per_step=2, accumulation=2)
    assert result.outcome is AttemptOutcome.COMPLETED, result
    values = result.metrics
    assert set(values) == {
        names.PEAK_HOST_GB,
        names.ITERATION_S,
        names.VALIDATION_IMAGE_S,
        names.PARAMETERS_M,
        names.MULTIPLY_ADDS_G,
    }
    assert 0.1 < values[names.PEAK_HOST_GB] < 4
    assert 0 < values[names.VALIDATION_IMAGE_S] < values[names.ITERATION_S] * 2
    assert {path.name for path in attempt.path.iterdir()} == {"spec.json", "log.txt", "result.json"}
    assert {path.name for path in job.path.iterdir()} == {"config.yaml", "attempts"}

    _, trained = server.run(job, batch_per_step=2, accumulation=2)
    for name in (names.PARAMETERS_M, names.MULTIPLY_ADDS_G):
        assert trained.metrics[name] == values[name]
    for name in (names.ITERATION_S, names.VALIDATION_IMAGE_S, names.PEAK_HOST_GB):
        assert trained.metrics[name] == pytest.approx(values[name], rel=2)


def test_probe_loads_no_weights(server: WarmServer, make_job: JobMaker, tmp_path: Path) -> None:
    job = make_job("weights=imagenet")
    config = yaml.safe_load(job.config.read_text())
    assert config["model"]["backbone"]["init_cfg"]["type"] == "Pretrained"
    config["model"]["backbone"]["init_cfg"]["checkpoint"] = str(tmp_path / "absent.pth")
    job.config.write_text(yaml.safe_dump(config, sort_keys=False))
    _, result = server.run(job, mode="probe")
    assert result.outcome is AttemptOutcome.COMPLETED, result


def test_probe_on_a_missing_device_fails(server: WarmServer, make_job: JobMaker) -> None:
    _, result = server.run(make_job(), mode="probe", device="cuda")
    assert result.failure is not None
    assert result.failure.kind is FailureKind.USER


def test_memory_of_a_gpu_is_what_the_process_took_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reserved memory and the context beside it; the context is assumed where another process disturbs the measure."""
    used = iter([10_000_000_000, 13_500_000_000, 33_000_000_000])
    monkeypatch.setattr("runners.costs._used_bytes", lambda: next(used))
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda: 2_400_000_000)
    monkeypatch.setattr(torch.cuda, "max_memory_reserved", lambda: 3_200_000_000)
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda: 3_000_000_000)
    peaks = PeakMemory("cuda")
    measured = peaks.values()
    assert measured[names.PEAK_MEMORY_GB] == 2.4
    assert measured[names.PEAK_DEVICE_GB] == pytest.approx(3.2 + 0.5)
    assert peaks.values()[names.PEAK_DEVICE_GB] == pytest.approx(3.2 + 0.6)


def test_peaks_are_of_all_attempts(monkeypatch: pytest.MonkeyPatch) -> None:
    peaks = PeakMemory("cpu")
    assert set(peaks.values()) == {names.PEAK_HOST_GB}
    peaks.restore({names.PEAK_HOST_GB: 10**15})
    assert peaks.values() == {names.PEAK_HOST_GB: 1e6}
