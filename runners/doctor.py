"""``python -m runners.doctor [UUID ...]``: does the training stack import here, and run on these GPUs; JSON on stdout.

The stack is imported as the warm server imports it, and each GPU is tried as a job would use it: in a child forked
afterwards that sees only this one.
"""

import contextlib
import json
import os
import select
import sys
import traceback
from collections.abc import Sequence
from typing import Any

from runners.ops.bridge import EXTENSION

# A GPU that has not multiplied two small matrices by then hangs.
GPU_S = 60.0


def main(uuids: Sequence[str]) -> None:
    """Print what was found as one JSON object."""
    answer = os.dup(1)
    # Whatever a library prints while it is imported is not the answer.
    with contextlib.redirect_stdout(sys.stderr):
        found = examine(uuids)
    with os.fdopen(answer, "w", encoding="utf-8") as out:
        print(json.dumps(found), file=out)


def examine(uuids: Sequence[str]) -> dict[str, Any]:
    """Import the stack and try the GPUs.

    Returns:
        ``error`` alone if it cannot be imported; else versions, the served operators (null: a compiled mmcv has all of
        them) and per GPU what it can do or its ``error``.
    """
    try:
        from runners.preload import preload

        preload()
        import torch
    except Exception as error:  # whatever an import raises is the answer
        traceback.print_exc()
        return {"error": f"{type(error).__name__}: {error}"}
    served = vars(sys.modules[EXTENSION]).get("served") if EXTENSION in sys.modules else None
    return {
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "served": None if served is None else sorted(served),
        "gpus": {uuid: _try_gpu(uuid) for uuid in uuids},
    }


def _try_gpu(uuid: str) -> dict[str, Any]:
    """Return what a GPU answers to a forked child; it may hang, or take the child down."""
    read_end, write_end = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(read_end)
        _answer(uuid, write_end)
    os.close(write_end)
    try:
        with os.fdopen(read_end, encoding="utf-8") as answer:
            if not select.select([answer], [], [], GPU_S)[0]:
                os.kill(pid, 9)
                return {"error": f"no answer within {GPU_S:.0f} s"}
            text = answer.read()
    finally:
        _, status = os.waitpid(pid, 0)
    if not text:
        return {"error": f"the process that tried it ended with {os.waitstatus_to_exitcode(status)}"}
    found: dict[str, Any] = json.loads(text)
    return found


def _answer(uuid: str, write_end: int) -> None:
    """Try a GPU in the forked child; never returns."""
    os.environ["CUDA_VISIBLE_DEVICES"] = uuid
    try:
        found = use_gpu()
    except Exception as error:  # the driver's words are the answer
        found = {"error": " ".join(str(error).split()) or type(error).__name__}
    try:
        os.write(write_end, json.dumps(found).encode())
    finally:
        os._exit(0)


def use_gpu() -> dict[str, Any]:
    """Run a small kernel of PyTorch, cuDNN and torchvision each on the one GPU that this process sees.

    Raises:
        RuntimeError: CUDA's own words.
    """
    import torch
    import torchvision

    if not torch.cuda.is_available():
        raise RuntimeError("PyTorch finds no CUDA device")
    found = {
        "capability": "sm_{}{}".format(*torch.cuda.get_device_capability()),
        "architectures": torch.cuda.get_arch_list(),
    }
    try:
        square = torch.ones(64, 64, device="cuda")
        assert (square @ square).sum().item() == 64**3
        torch.nn.functional.conv2d(square[None, None], torch.ones(1, 1, 3, 3, device="cuda"))
        boxes = torch.tensor([[0.0, 0, 10, 10], [1, 1, 11, 11], [50, 50, 60, 60]], device="cuda")
        assert len(torchvision.ops.nms(boxes, torch.tensor([0.9, 0.8, 0.7], device="cuda"), 0.5)) == 2
    except (RuntimeError, AssertionError) as error:
        return {**found, "error": " ".join(str(error).split())[:300] or "a kernel gives wrong numbers"}
    return {**found, "bf16": torch.cuda.is_bf16_supported(including_emulation=False)}


if __name__ == "__main__":
    main(sys.argv[1:])
