"""Records out of an archive compared with the signed heads of their tenants: neither the log nor anybody else's records are needed."""

from __future__ import annotations

from trunkline.audit.book import Pages
from trunkline.audit.chain import GENESIS, digest, linked, tenant_of
from trunkline.audit.checking import Finding, Kind
from trunkline.audit.checkpoints import Checkpoint


class ArchiveCheck:
    """Give it every record in order, then its end. What lies between two checkpoints is proven as a whole, or a finding as a whole."""

    def __init__(self, pages: Pages, tenant: str, first: int, last: int) -> None:
        """`tenant` is whose records these are, all of which lie between `first` and `last`; empty: everybody's."""
        self.findings: list[Finding] = []
        self.proven = 0
        self.unproven = 0
        """Records beside which the archive lacks some by what it was asked for, or which nobody has signed for."""
        self._tenant = tenant
        self._first = first
        self._last = last
        self._checkpoints = pages.checkpoints()
        self._behind: Checkpoint | None = None
        self._ahead = next(self._checkpoints, None)
        self._signed: dict[str, bytes] = {}
        self._heads: dict[str, bytes] = {}
        self._taken = 0

    def record(self, seq: int, subject: str, body: bytes) -> None:
        """One record of the archive."""
        while (ahead := self._ahead) and ahead.seq < seq:
            self._close(ahead)
        if self._ahead is None or seq < self._ahead.first:  # behind the end of the book, or before its beginning
            self.unproven += 1
            return
        tenant = tenant_of(subject)
        self._heads[tenant] = linked(self._head(tenant), digest(seq, subject, body))
        self._taken += 1

    def end(self) -> list[Finding]:
        while self._ahead:
            self._close(self._ahead)
        self.unproven += self._taken
        return self.findings

    def _close(self, checkpoint: Checkpoint) -> None:
        begin = (self._behind.seq if self._behind else checkpoint.first - 1) + 1
        if begin < self._first or self._last < checkpoint.seq:
            self.unproven += self._taken
        elif wrong := self._wrong(checkpoint):
            self.findings += [Finding(Kind.HOLE, begin, checkpoint.seq, tenant, checkpoint.at) for tenant in wrong]
        else:
            self.proven += self._taken
        self._signed |= {tenant: bytes.fromhex(head) for tenant, head in checkpoint.heads.items()}
        self._behind, self._ahead, self._taken, self._heads = checkpoint, next(self._checkpoints, None), 0, {}

    def _wrong(self, checkpoint: Checkpoint) -> list[str]:
        """Tenants whose records since the checkpoint before do not give the head that was signed."""
        whose = {*self._heads, *checkpoint.heads} if not self._tenant else {self._tenant}
        return [tenant for tenant in sorted(whose) if self._head(tenant).hex() != checkpoint.heads.get(tenant, self._was(tenant))]

    def _head(self, tenant: str) -> bytes:
        return self._heads.get(tenant) or self._signed.get(tenant, GENESIS)

    def _was(self, tenant: str) -> str:
        return self._signed.get(tenant, GENESIS).hex()
