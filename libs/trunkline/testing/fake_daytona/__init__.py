"""An emulated Daytona that the real SDK speaks to: sandboxes are folders, their programs real processes, its faults armed by name."""

from trunkline.testing.fake_daytona.server import KEY, FakeDaytona

__all__ = ["KEY", "FakeDaytona"]
