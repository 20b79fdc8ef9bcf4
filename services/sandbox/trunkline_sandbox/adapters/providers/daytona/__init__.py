"""The Daytona provider: the local provider's runner in a sandbox far away, reached by Daytona's own SDK."""

from trunkline_sandbox.adapters.providers.daytona.options import DaytonaOptions
from trunkline_sandbox.adapters.providers.daytona.provider import DaytonaProvider

__all__ = ["DaytonaOptions", "DaytonaProvider"]
