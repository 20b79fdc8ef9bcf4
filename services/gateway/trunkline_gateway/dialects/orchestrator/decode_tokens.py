"""From what a client asks of the token desk to what Trunkline understands."""

from __future__ import annotations

from collections.abc import Mapping

from multidict import MultiMapping
from pydantic import JsonValue

from trunkline_gateway.dialects.orchestrator import reading
from trunkline_gateway.dialects.orchestrator.schemas import MintBody, RevokeBody, SecretHeaders
from trunkline_gateway.usecases.desk import Proof, Revocation, TokenWish


def mint(headers: MultiMapping[str], sent: Mapping[str, JsonValue]) -> tuple[Proof, TokenWish]:
    """What is shown, and what is wanted. Raises Invalid, also where header and body show different secrets."""
    asked = reading.body(MintBody, sent)
    shown = reading.query(SecretHeaders, headers).secret
    proof = Proof(secret=reading.either("secret", asked.secret, shown))
    return proof, TokenWish(asked.user_id, asked.role, asked.tenant, asked.expires_in)


def revocation(sent: Mapping[str, JsonValue]) -> Revocation:
    """Raises Invalid."""
    asked = reading.body(RevokeBody, sent)
    if asked.token is None and asked.user_id is None:
        raise reading.missing("token")
    return Revocation(asked.token, asked.user_id)
