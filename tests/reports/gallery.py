"""A sweep that shows all a report can show; `python -m tests.reports.gallery FOLDER` writes it, to be looked at."""

import sys
from pathlib import Path

from reports.sweep_report import write_report
from runners.contract.folder import SweepFolder
from runners.contract.states import JobState
from tests.reports.sweep_writing import WrittenJob, write_sweep


def write_gallery(output_dir: Path) -> SweepFolder:
    """Write a sweep over detectors, backbones and optimizers with one failed, one running and one waiting job."""
    jobs = [
        WrittenJob(0.62),
        WrittenJob(0.68, {"backbone": "resnet101"}),
        WrittenJob(0.71, {"backbone": "resnext101_32x4d"}, {"n_epochs": 24}),
        WrittenJob(0.74, {"detector": "cascade_rcnn", "backbone": "resnet101", "image_size": "1024px"}),
        WrittenJob(0.55, {"detector": "retinanet", "optimizer": "adamw"}),
        WrittenJob(0.48, {"backbone": "resnet18", "width": "narrow", "weights": "none"}),
        WrittenJob(0.66, {"backbone": "swin_t", "optimizer": "adamw", "neck": "pafpn"}),
        WrittenJob(
            0.3, {"optimizer": "radam"}, state=JobState.FAILED, failure="loss is NaN at iteration 118", n_trained=3
        ),
        WrittenJob(0.7, {"backbone": "swin_l"}, state=JobState.RUNNING, n_trained=5),
        WrittenJob(0.7, {"backbone": "swin_b"}, state=JobState.PLANNED),
    ]
    return write_sweep(output_dir, jobs)


if __name__ == "__main__":
    target = Path(sys.argv[1])
    print(write_report(write_gallery(target), target / "report").page)
