"""What can be trained on here: every GPU with what the driver, its lease and PyTorch say of it, or the CPU."""

import os
from collections.abc import Sequence

import psutil

from sweeper.doctor.finding import Finding, Grade, ok, problem, warning
from sweeper.doctor.stack import StackAnswer
from sweeper.hardware.devices import DeviceSilentError, query_health, query_users
from sweeper.hardware.lease import describe_process, holder_of
from sweeper.hardware.slots import Device

LEAVE_OUT = "leave it out with gpus="


def examine_gpus(devices: Sequence[Device], answer: StackAnswer) -> list[Finding]:
    """Return a line for every GPU; one about the CPU where there is none.

    Args:
        devices: the GPUs that NVML lists.
        answer: what PyTorch said of them.
    """
    if not devices:
        n_cores = len(psutil.Process().cpu_affinity())
        hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
        why = f"none that CUDA_VISIBLE_DEVICES={hidden} leaves" if hidden is not None else "none found"
        return [ok("GPU", f"{why}: training on the CPU ({n_cores} cores)")]
    return [_examine(device, answer) for device in devices]


def _examine(device: Device, answer: StackAnswer) -> Finding:
    try:
        health = query_health(device)
        users = query_users(device)
    except DeviceSilentError as error:
        advice = f"restart it or the machine (nvidia-smi tells more), or {LEAVE_OUT}"
        return problem(device.label, f"{device.name} does not answer: {error}", advice)
    said = [
        f"{device.name}, driver {health.driver}",
        f"{health.free_gb:.0f} of {device.memory_gb:.0f} GB free",
        *(f"used by {describe_process(pid)}" for pid in users),
    ]
    findings = [_runs(device, answer), *_lease(device)]
    grades = [finding.grade for finding in findings]
    worst = next((grade for grade in (Grade.PROBLEM, Grade.WARNING) if grade in grades), Grade.OK)
    if users and worst is Grade.OK:
        worst = Grade.WARNING
    to_do = [finding.advice for finding in findings if finding.advice]
    if users:
        to_do.append("sweeps wait for it; busy_gpus=use shares it")
    return Finding(device.label, worst, "; ".join([*said, *(f.text for f in findings)]), "; ".join(to_do))


def _runs(device: Device, answer: StackAnswer) -> Finding:
    """Return whether the installed PyTorch runs on a GPU."""
    found = answer.of_gpu(device.uuid)
    if answer.error or not found:
        return problem(device.label, "PyTorch was not asked", "see the line about PyTorch")
    error = found.get("error", "")
    if not error:
        precisions = "bf16 and fp16" if found["bf16"] else "fp16, not bf16"
        return ok(device.label, f"this PyTorch runs on it ({found['capability']}), {precisions} besides fp32")
    capability, architectures = found.get("capability", ""), found.get("architectures", [])
    if capability and not _is_built_for(capability, architectures):
        advice = f"install a PyTorch built for it, or {LEAVE_OUT}"
        return problem(device.label, f"is {capability}, this PyTorch has {', '.join(architectures)}: {error}", advice)
    if "out of memory" in error:
        return problem(device.label, "has no memory left for PyTorch", f"wait for whoever uses it, or {LEAVE_OUT}")
    if not answer.content["cuda"]:
        return problem(device.label, "this PyTorch is built without CUDA", "install PyTorch with CUDA")
    advice = f"a newer driver may be wanted for CUDA {answer.content['cuda']}; or {LEAVE_OUT}"
    return problem(device.label, f"this PyTorch does not run on it: {error}", advice)


def _is_built_for(capability: str, architectures: Sequence[str]) -> bool:
    """Return whether kernels run: compiled for the same major version and no later minor, or made from PTX there."""
    number = int(capability.removeprefix("sm_"))
    for entry in architectures:
        kind, _, digits = entry.partition("_")
        built_for = int("".join(letter for letter in digits if letter.isdigit()) or 0)
        if built_for <= number and (kind == "compute" or built_for // 10 == number // 10):
            return True
    return False


def _lease(device: Device) -> list[Finding]:
    """Return who holds the lock that keeps two sweeps off one GPU; the lock itself is not tried for."""
    if not device.node:
        return []
    try:
        descriptor = os.open(device.node, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        advice = f"have {device.node} made readable for you, or {LEAVE_OUT}"
        return [problem(device.label, f"{device.node} cannot be leased: {error.strerror}", advice)]
    try:
        holder = holder_of(descriptor)
    finally:
        os.close(descriptor)
    if holder is None:
        return []
    if psutil.pid_exists(holder):
        return [warning(device.label, f"leased by {describe_process(holder)}", "sweeps wait for it")]
    told = f"leased by pid {holder}, which is gone and has left a process that keeps it"
    return [warning(device.label, told, f"fuser {device.node} shows what to end")]
