"""What the jobs of a sweep will need on this machine's devices, and how that is corrected by what they really took."""

import contextlib
import dataclasses
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from runners.contract.records import AttemptResult, AttemptSpec
from sweeper.control.attempt_start import split_batch
from sweeper.control.packing import Need
from sweeper.forecast.disk import DiskNeed, sweep_disk
from sweeper.forecast.estimates import DeviceKind, Estimate, Estimator
from sweeper.forecast.measurements import append_measurement, probe_key, read_measurements
from sweeper.forecast.workload import Workload, read_workload
from sweeper.hardware.machine import Capacity
from sweeper.hardware.slots import Slot, threads_per_device_share
from sweeper.planning.plan import OWN_ENTRY, PlannedJob

# Thousands of waiting jobs are estimated again in a moment, but not after each of thousands that end.
AGAIN_S = 30.0


class JobForecast:
    """Estimates jobs for plan and schedule, and learns from those that finish.

    Args:
        settings: the sweep's own.
        capacity: what the sweep may use of the machine; its devices are taken to be alike.
        n_jobs: how many jobs there are.
        output_dir: keeps what was measured for later sweeps.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        settings: Mapping[str, Any],
        capacity: Capacity,
        n_jobs: int,
        output_dir: Path,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._capacity = capacity
        self._packs_by_memory = any(offer.memory_gb for offer in capacity.offers)
        n_threads = threads_per_device_share(capacity.offers, n_jobs, capacity.n_cores)
        device = capacity.devices[0]
        name = device.name if device.kind == "cuda" else processor_name()
        self._device = DeviceKind(device.kind, name, n_threads)
        self._output_dir = output_dir
        self._clock = clock
        measurements = read_measurements(output_dir)
        self._measured = {measurement.key for measurement in measurements}
        self._estimator = Estimator(measurements, self._device)
        self._workloads: dict[str, Workload] = {}
        self._next_s = 0.0

    def estimate(self, job: PlannedJob) -> Estimate:
        """Return what a job is expected to need."""
        return self._estimator.estimate_workload(self._workload(job))

    def of(self, job: PlannedJob) -> tuple[Need, float]:
        """Return what a job is expected to occupy, and for how many seconds; memory only where it decides."""
        estimate = self.estimate(job)
        memory_gb = estimate.memory_gb if self._packs_by_memory else 0.0
        return Need(self._settings["devices_per_job"], memory_gb), estimate.expected_s

    def learn(self, job: PlannedJob, spec: AttemptSpec, slot: Slot, result: AttemptResult) -> bool:
        """Take in what a finished job, or a probe, took; return whether others should be estimated again now."""
        # Threads and neighbours of another kind of slot would tell of another machine.
        measured = self._estimator.learn(
            job.config,
            result.metrics,
            spec.batch_per_step,
            spec.accumulation,
            _n_images(job),
            len(slot.devices),
            "probe" if spec.mode == "probe" else "job",
            time.time(),
        )
        if self._settings["entry"] == OWN_ENTRY:  # what another module takes says nothing of training
            append_measurement(self._output_dir, measured)
        self._measured.add(measured.key)
        if self._clock() < self._next_s:
            return False
        self._next_s = self._clock() + AGAIN_S
        return True

    def unmeasured(self, jobs: Sequence[PlannedJob]) -> list[PlannedJob]:
        """Return a job for each model, size, batch and precision that was never measured on such a device."""
        found: dict[str, PlannedJob] = {}
        for job in jobs:
            batch_per_step = self._split(job)[0] // self._settings["devices_per_job"]
            key = probe_key(job.config, batch_per_step, self._device.label)
            if key not in self._measured:
                found.setdefault(key, job)
        return list(found.values())

    def disk(self, jobs: Sequence[PlannedJob], may_rest: bool = False) -> DiskNeed:
        """Return what jobs write; some of them at the same time, and of a search resting at rungs."""
        n_at_once = min(len(jobs), sum(offer.n_shares for offer in self._capacity.offers))
        return sweep_disk([self._workload(job) for job in jobs], self._settings["keep"], n_at_once, may_rest)

    def _split(self, job: PlannedJob) -> tuple[int, int]:
        batch_size = job.config["batch_size"]
        accumulation = split_batch(batch_size, self._settings["batch_per_step"], self._settings["devices_per_job"])
        return batch_size // accumulation, accumulation

    def _workload(self, job: PlannedJob) -> Workload:
        if job.job_id not in self._workloads:
            n_devices = self._settings["devices_per_job"]
            workload = read_workload(job.config, _n_images(job), *self._split(job), n_devices)
            self._workloads[job.job_id] = workload
        return self._workloads[job.job_id]


def processor_name(listed: Path = Path("/proc/cpuinfo")) -> str:
    """Return the processor's model, which tells machines of one architecture apart where output folders are shared."""
    with contextlib.suppress(OSError):
        for line in listed.read_text(encoding="utf-8", errors="replace").splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name" and value.strip():
                return " ".join(value.split())
    return platform.processor() or platform.machine()


def _n_images(job: PlannedJob) -> dict[str, int]:
    return {str(split): number for split, number in job.dataset.n_images.items()}


class ProbeForecast:
    """The forecast as probes use it: each takes its devices alone, and none changes the order of the others."""

    def __init__(self, forecast: JobForecast) -> None:
        self._forecast = forecast

    def of(self, job: PlannedJob) -> tuple[Need, float]:
        """Return what a probe occupies; how long it takes does not matter."""
        need, _ = self._forecast.of(job)
        return dataclasses.replace(need, memory_gb=0.0), 0.0

    def learn(self, job: PlannedJob, spec: AttemptSpec, slot: Slot, result: AttemptResult) -> bool:
        """Take in what a probe measured."""
        self._forecast.learn(job, spec, slot, result)
        return False
