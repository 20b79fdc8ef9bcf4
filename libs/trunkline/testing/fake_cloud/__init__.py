"""What emulated clouds have in common: machines that are folders with real processes, and faults armed by name."""

from trunkline.testing.fake_cloud.faults import KINDS, Faults
from trunkline.testing.fake_cloud.places import Place

__all__ = ["KINDS", "Faults", "Place"]
