"""The local provider: a sandbox is a directory and a policy, each start is one bubblewrap with a runner inside."""

from trunkline_sandbox.adapters.providers.local.provider import LocalProvider
from trunkline_sandbox.adapters.providers.local.reaping import kill_all

__all__ = ["LocalProvider", "kill_all"]
