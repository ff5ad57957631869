"""``python -m runners.import_jobs``: takes checkpoints of plain MMDetection into jobs that detsweep did not train.

Standard input has a JSON line for each: ``{"job": folder, "checkpoint": file, "n_train_images": 100}``. Of the
checkpoint only weights, classes and epoch are kept; nothing in it is executed. Standard output gets a JSON line for
each: ``epoch``, ``classes`` and ``sha256`` of what was kept, or ``problem``.
"""

import json
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from runners.contract.errors import UserError
from runners.contract.folder import JobFolder
from runners.contract.records import AttemptSpec
from runners.contract.yamlfile import load_yaml


def main() -> int:
    """Take in what standard input names."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    asked = [json.loads(line) for line in sys.stdin]
    answers = os.dup(1)
    os.dup2(2, 1)  # libraries print what is no answer

    from runners.preload import preload

    preload()
    for told in asked:
        try:
            answer = take_in(told)
        except UserError as error:
            answer = {"problem": error.problems[0]}
        os.write(answers, (json.dumps(answer) + "\n").encode())
    return 0


def take_in(told: Mapping[str, Any]) -> dict[str, Any]:
    """Take one checkpoint in, and write the config of plain MMDetection beside it.

    Args:
        told: a line of standard input.

    Returns:
        A line of standard output.

    Raises:
        UserError: the file holds more than weights, or is of other classes than the job's data.
    """
    from runners.allowlist import refuse_foreign_code
    from runners.checkpoints import save_checkpoint
    from runners.contract.digest import sha256_of
    from runners.mm_config import build_mm_config
    from runners.mm_file import write_mm_file
    from runners.plugins import import_plugins
    from runners.trained_weights import read_trained

    job, source = JobFolder(Path(told["job"])), Path(told["checkpoint"])
    config = load_yaml(job.config.read_text(encoding="utf-8"))
    weights = read_trained(source, sha256_of(source), "cpu")
    classes = list(weights.classes or config["dataset"]["classes"])
    if sorted(classes) != sorted(config["dataset"]["classes"]):
        raise UserError(
            f"classes differ in {source}: it was trained on {', '.join(classes)}, the data has "
            f"{', '.join(config['dataset']['classes'])}; give the data set that it was trained for"
        )
    meta = {"attempt": 1, "epoch": weights.epoch, "dataset_meta": {"classes": classes}}
    path = job.checkpoints / "a1_best.pth"
    digest = save_checkpoint(path, {"state_dict": dict(weights.tensors), "meta": meta})
    import_plugins(config, job.path)
    refuse_foreign_code(config)
    spec = AttemptSpec(1, "cpu", 1, 0, batch_per_step=config["batch_size"], accumulation=1)
    mm_cfg = build_mm_config(config, spec, job.path, told["n_train_images"])
    write_mm_file(mm_cfg, job.mmdet_config, config.get("plugins") or ())
    return {"epoch": weights.epoch, "classes": classes, "sha256": digest}


if __name__ == "__main__":
    sys.exit(main())
