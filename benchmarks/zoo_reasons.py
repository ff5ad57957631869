"""Why a config of the zoo is not trained, in the words of a group."""

import re

# In order: what a message contains, and what its group is called. Those set aside are no configs of detectors.
_REASONS = (
    (
        r"follows objects through videos|_base_.*(bytetrack|deepsort|sort)|configs/(sort|bytetrack|deepsort)/",
        "aside: video",
    ),
    (r"classifies whole images|configs/\w+/classification/", "aside: classification of whole images"),
    (r"wants panoptic segmentations", "aside: panoptic segmentation"),
    (r"no model in|no data loaders|it is a part of a config", "aside: parts of configs"),
    (r"custom_imports names", "imports another package (mmpretrain, projects)"),
    (r"mmcv operator '(\w+)'", "mmcv operator not served"),
    (r"skimage is not installed|scikit-image", "wants scikit-image, which is not installed"),
    (r"albumentations", "wants albumentations, which is not installed"),
    (r"not done after|takes more than", "too large for the measurement's limits"),
)
# The rest of what such a message says is the detector's name.
_UNFIT = re.compile(r"no detector of boxes in \S+: \w+ ([^;]+);")
_PATH = re.compile(r"(in )?\S*/\S+\.py")


def reason_of(message: str) -> str:
    """Return the group of a message; where none has it, the message's own beginning, without paths and numbers."""
    if not message:
        return ""
    for pattern, reason in _REASONS:
        if re.search(pattern, message):
            return reason
    unfit = _UNFIT.search(message)
    if unfit:
        return unfit[1]
    head = _PATH.sub("", message.partition("; ")[0])
    return re.sub(r"\d+(\.\d+)?", "N", " ".join(head.split()))[:100]
