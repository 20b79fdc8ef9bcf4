"""Sandboxes in somebody's cloud: the local provider's runner carried there, whichever cloud it is and however it is spoken to."""

from trunkline_sandbox.adapters.providers.remote.options import RemoteOptions
from trunkline_sandbox.adapters.providers.remote.provider import RemoteProvider

__all__ = ["RemoteOptions", "RemoteProvider"]
