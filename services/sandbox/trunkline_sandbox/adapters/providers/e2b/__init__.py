"""Sandboxes at E2B, reached by E2B's own SDK."""

from trunkline_sandbox.adapters.providers.e2b.account import E2bAccount
from trunkline_sandbox.adapters.providers.e2b.cloud import E2bCloud
from trunkline_sandbox.adapters.providers.e2b.images import E2bImages

__all__ = ["E2bAccount", "E2bCloud", "E2bImages"]
