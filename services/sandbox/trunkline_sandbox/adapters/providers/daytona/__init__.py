"""Sandboxes at Daytona, reached by Daytona's own SDK."""

from trunkline_sandbox.adapters.providers.daytona.account import DaytonaAccount
from trunkline_sandbox.adapters.providers.daytona.cloud import DaytonaCloud
from trunkline_sandbox.adapters.providers.daytona.images import DaytonaImages

__all__ = ["DaytonaAccount", "DaytonaCloud", "DaytonaImages"]
