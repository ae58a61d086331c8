"""Whether a node can have storage for a claim: the short way against a scan of all nodes."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.insight.builders import BY_HAND, HOST, Document, affinity, claim, node, volume

from pvbinder.insight.scheduling import fits_on_a_node
from pvbinder.insight.snapshot import Snapshot
from pvbinder.model.objects import ClaimKey
from pvbinder.rules.matching import choose_for_node

RESERVED = {"namespace": "shop", "name": "orders"}
OTHERS = {"namespace": "shop", "name": "invoices"}


@st.composite
def worlds(draw: st.DrawFn) -> list[Document]:
    """A claim, up to four volumes with all that decides, and up to three nodes."""
    documents: list[Document] = [
        BY_HAND,
        claim(accessModes=draw(st.sampled_from((["ReadWriteOnce"], ["ReadWriteMany"])))),
    ]
    for number in range(draw(st.integers(0, 4))):
        place = draw(st.sampled_from(("", "n0", "n1", "gone")))
        spec: Document = affinity(HOST, place) if place else {}
        reference = draw(st.sampled_from((None, None, RESERVED, OTHERS)))
        modes = draw(st.sampled_from((["ReadWriteOnce"], ["ReadWriteOnce", "ReadWriteMany"])))
        size, phase = draw(st.sampled_from(("5Gi", "10Gi", "20Gi"))), draw(st.sampled_from(("Available", "Released")))
        documents.append(volume(f"v{number}", size, phase=phase, accessModes=modes, claimRef=reference, **spec))
    documents += (node(f"n{number}") for number in range(draw(st.integers(1, 3))))
    return documents


@settings(max_examples=150, deadline=None)
@given(worlds())
def test_the_short_way_says_what_a_scan_of_all_nodes_says(world: list[Document]) -> None:
    snapshot = Snapshot(world)
    wanted = snapshot.claim(ClaimKey("shop/orders"))
    assert wanted is not None
    scanned = any(choose_for_node(snapshot.volumes, wanted, each) is not None for each in snapshot.nodes())
    assert fits_on_a_node(wanted, snapshot) == scanned
