"""An emulated E2B that the real SDK speaks to: sandboxes are folders, their programs real processes, its faults armed by name."""

from trunkline.testing.fake_e2b.server import KEY, FakeE2b

__all__ = ["KEY", "FakeE2b"]
