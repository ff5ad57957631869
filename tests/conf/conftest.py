"""The served operators must stand before anything of MMDetection is imported."""

from runners import ops

ops.install()
