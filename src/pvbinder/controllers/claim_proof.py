"""Whether the claim of a volume is gone, for all that is done to a volume once it is.

CLAIM_PROOF-1  "Gone" is said on proof only (`kube.proof`), and never against the cache: a cache that has the claim by
               then is proof of the contrary.
CLAIM_PROOF-2  A claim that a proof finds present is known at once, and a cache that should have had it is listed anew.
"""

from __future__ import annotations

from typing import assert_never

from pvbinder.kube.client import Client
from pvbinder.kube.informer import Informer
from pvbinder.kube.kinds import CLAIMS
from pvbinder.kube.proof import Gone, Present, Unproven, prove_gone
from pvbinder.model.objects import Claim, ClaimRef
from pvbinder.rules.volumes import LiveClaim, NotProven


async def ask_claim(client: Client, claims: Informer[Claim], ref: ClaimRef) -> LiveClaim | NotProven:
    """Ask the server for the claim that a volume refers to; `LiveClaim(None)`: it is gone."""
    proof = await prove_gone(
        client,
        CLAIMS,
        ref.name or "",
        ref.namespace or "",
        uid=ref.uid or "",
        known_revision=claims.resource_version,
    )
    match proof:
        case Present(object=claim):
            claims.correct(claim)
            return LiveClaim(claim)
        case Gone():
            known = claims.get(ref.key)
            if known is not None and known.uid == ref.uid:
                return NotProven(f'claim "{ref.key}" was seen a moment ago')
            return LiveClaim(None)
        case Unproven(why=why):
            return NotProven(why)
        case _:
            assert_never(proof)
