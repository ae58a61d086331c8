"""One question about a claim and its answer."""

from __future__ import annotations

from dataclasses import dataclass

from tests.insight.builders import Document


@dataclass(frozen=True)
class Situation:
    """One question and its answer."""

    documents: tuple[Document, ...]
    reason: str
    says: tuple[str, ...] = ()
    advises: tuple[str, ...] = ()
    code: int = 1
    target: str = "pvc/orders"
    cured: bool = False
