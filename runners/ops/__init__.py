"""The compiled operators of mmcv, served without a compiler."""

from runners.ops.bridge import UnservedOpError, install

__all__ = ["UnservedOpError", "install"]
