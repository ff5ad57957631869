"""The names of all metrics: ``<split>/<mmdet's own name>``.

Average precision is in 0-1, higher is better; losses are lower-is-better and comparable only between jobs of one
detector. A size bin or a class without objects has no value: its name is absent, never -1.
"""

from typing import Literal

Split = Literal["train", "val", "test"]

# COCO's twelve-number summary, the six of them that are average precisions, in mmdet's names. Size bins are in original
# pixels: small below 32 x 32, medium below 96 x 96, large above (cocodataset.org, "Detection Evaluation").
AP_NAMES = ("bbox_mAP", "bbox_mAP_50", "bbox_mAP_75", "bbox_mAP_s", "bbox_mAP_m", "bbox_mAP_l")

# What `best_by` may name: measured on val each epoch, higher is better.
BEST_BY = AP_NAMES

TRAIN_LOSS = "train/loss"
VAL_LOSS = "val/loss"
LEARNING_RATE = "train/lr"
BEST_EPOCH = "best/epoch"
NOTE = "note/"

# Costs of a job, each lower-is-better except images_per_s. A completed training gives all that its device has; a probe
# gives memory, pace and size, and the peaks of a training are over all attempts that it consists of.
PARAMETERS_M = "cost/parameters_m"  # millions of trainable and frozen parameters
MULTIPLY_ADDS_G = "cost/multiply_adds_g"  # billions of multiply-adds of one forward pass at the test size
# Peaks are in 1e9 bytes. Memory that tensors needed (PyTorch's allocator) is what detectors are compared by; what the
# process took of its GPU (reserved by the allocator, and the CUDA context) is what has to be free for it. A probe,
# asked for the latter alone, gives it under both names. Neither is there on a CPU.
PEAK_MEMORY_GB = "cost/peak_memory_gb"
PEAK_DEVICE_GB = "cost/peak_device_gb"
PEAK_HOST_GB = "cost/peak_host_gb"  # resident memory of the job's process, without its data loader workers
ITERATION_S = (
    "cost/iteration_s"  # median seconds from one forward and backward pass over `batch_per_step` images to the next
)
VALIDATION_IMAGE_S = (
    "cost/validation_image_s"  # median seconds per validated image, its loss included where it is asked for
)
IMAGES_PER_S = "cost/images_per_s"  # training images per second, validation not counted
WALL_S = "cost/wall_s"  # seconds from the start of the attempt to its result
FIRST_ITERATION_S = "cost/first_iteration_s"  # seconds from dispatch to the end of the first training iteration


def metric(split: Split, name: str) -> str:
    """Return the full name of a metric, ``val/bbox_mAP_50``."""
    return f"{split}/{name}"


def best(name: str) -> str:
    """Return the name under which the chosen epoch's value of a full metric name is kept, ``best/val/bbox_mAP_50``."""
    return f"best/{name}"


def class_metric(split: Split, class_name: str) -> str:
    """Return the name of one class's AP (IoU 0.50:0.95), ``val/bbox_mAP_class/Paper pack``; the name as it is."""
    return f"{split}/bbox_mAP_class/{class_name}"


def note_metric(key: str) -> str:
    """Return the name of a number that a person noted and nothing here measured, ``note/leaderboard``."""
    return f"{NOTE}{key}"


def iteration_metric(name: str) -> str:
    """Return the name of a value that is logged by iteration instead of epoch, ``iter/loss``."""
    return f"iter/{name}"
