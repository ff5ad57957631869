"""Measurements outlive sweeps, sweeps side by side, and torn lines."""

import multiprocessing
from pathlib import Path

from sweeper.forecast.measurements import FILE, Measurement, append_measurement, read_measurements

PROBE = Measurement(
    "k@A100", "A100", "probe", peak_memory_gb=5.5, iteration_s=0.2, title="faster-rcnn_resnet50", at=1.0
)


def test_what_is_appended_is_read(tmp_path: Path) -> None:
    assert read_measurements(tmp_path) == []
    job = Measurement("k@A100", "A100", "job", wall_ratio=1.1)
    append_measurement(tmp_path, PROBE)
    append_measurement(tmp_path, job)
    assert read_measurements(tmp_path) == [PROBE, job]


def test_torn_lines_and_other_versions_cost_only_themselves(tmp_path: Path) -> None:
    append_measurement(tmp_path, PROBE)
    with (tmp_path / FILE).open("ab") as file:
        file.write(b'{"key": "k", "devi\n{"of": "another version"}\n[]\n3\n\xff\xfe\n\n')
    append_measurement(tmp_path, PROBE)
    with (tmp_path / FILE).open("ab") as file:
        file.write(b'{"key": "k"')
    assert read_measurements(tmp_path) == [PROBE, PROBE]


def test_several_sweeps_append_at_once(tmp_path: Path) -> None:
    writers = [multiprocessing.get_context("fork").Process(target=_append, args=(tmp_path,)) for _ in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert read_measurements(tmp_path) == [PROBE] * 200


def _append(folder: Path) -> None:
    for _ in range(50):
        append_measurement(folder, PROBE)
