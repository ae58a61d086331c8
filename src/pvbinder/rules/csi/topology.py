"""Where a volume may be made: the terms that a driver is asked for, and the nodes that can reach what it made.

A term is a tuple of pairs, key and value, sorted by key: one place, as the labels of its nodes say it.

Rules: docs/rules/provisioner.md#5-topology
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, TypeAlias

from msgspec import Struct

from pvbinder.model.errors import PvbinderError
from pvbinder.model.json import Json

Segments: TypeAlias = tuple[tuple[str, str], ...]

_FNV_OFFSET: Final = 2166136261
_FNV_PRIME: Final = 16777619


class TopologyError(PvbinderError):
    """No place can be named; the claim is tried again."""


class NodeGoneError(TopologyError):
    """The selected node has no CSINode: the scheduler must choose again (TP-2)."""


class Requirement(Struct, frozen=True):
    """Where a volume must be, and in which order the places are preferred."""

    requisite: tuple[Segments, ...]
    preferred: tuple[Segments, ...]


class SelectedNode(Struct, frozen=True):
    """The node that the scheduler chose, as the driver's topology sees it."""

    name: str
    term: Segments


def term_of(labels: Mapping[str, str], keys: Iterable[str]) -> Segments | None:
    """Return the place of a node with these labels; None if it lacks one of the driver's keys."""
    sorted_keys = sorted(set(keys))
    if any(key not in labels for key in sorted_keys):
        return None
    return tuple((key, labels[key]) for key in sorted_keys)


def select_node(name: str, labels: Mapping[str, str], keys: Sequence[str]) -> SelectedNode:
    """Return the place of the selected node (TP-2); raise TopologyError."""
    if not keys:
        raise TopologyError(f"no topology key found for node {name}")
    term = term_of(labels, keys)
    if term is None:
        raise TopologyError(
            f"topology labels from selected node {go_map(labels)} does not match topology keys from CSINode "
            f"{go_list(keys)}"
        )
    return SelectedNode(name, term)


def allowed_terms(allowed_topologies: Iterable[Json]) -> tuple[Segments, ...]:
    """Return every combination that a class allows (TP-4), sorted, each once (TP-7)."""
    terms: list[Segments] = []
    for selector in allowed_topologies:
        expressions = selector.get("matchLabelExpressions") or []
        choices = [[(one.get("key", ""), value) for value in one.get("values") or []] for one in expressions]
        terms += [tuple(sorted(combination)) for combination in itertools.product(*choices)]
    return sorted_terms(terms)


def sorted_terms(terms: Iterable[Segments]) -> tuple[Segments, ...]:
    """Return the terms in order, each once, without empty ones (TP-7)."""
    return tuple(sorted({term for term in terms if term}, key=lambda term: (len(term), term)))


def require(
    claim: str,
    *,
    selected: SelectedNode | None,
    allowed: tuple[Segments, ...],
    aggregated: tuple[Segments, ...],
    strict: bool,
    immediate: bool = True,
) -> Requirement | None:
    """Return where the volume of the claim called `claim` may be; None if anywhere (TP-3 to TP-9).

    `aggregated` are the places of all nodes that have the driver; they count where neither a strict node nor the class
    says more. Raises TopologyError.
    """
    if selected is not None and strict:
        if allowed and not any(_covers(term, selected.term) for term in allowed):
            raise TopologyError(
                f"selected node '\"{selected.name}\"' topology '{shown_term(selected.term)}' is not in allowed "
                f"topologies: {shown_terms(allowed)}"
            )
        return Requirement((selected.term,), (selected.term,))
    if allowed:
        requisite = allowed
    elif selected is None and not immediate:
        return None
    else:
        requisite = aggregated
    if not requisite:
        return None
    if selected is None:
        hashed, index = hash_and_index(claim)
        return Requirement(requisite, _rotated(requisite, ((hashed + index) & 0xFFFFFFFF) % len(requisite)))
    for position, term in enumerate(requisite):
        if _covers(term, selected.term):
            return Requirement(requisite, _rotated(requisite, position))
    raise TopologyError(
        f'topology {shown_term(selected.term)} from selected node "{selected.name}" is not in requisite: '
        f"{shown_terms(requisite)}"
    )


def _covers(term: Segments, place: Segments) -> bool:
    """Whether `place` satisfies all pairs of `term`."""
    return set(term) <= set(place)


def _rotated(terms: tuple[Segments, ...], start: int) -> tuple[Segments, ...]:
    return terms[start:] + terms[:start]


def hash_and_index(claim: str) -> tuple[int, int]:
    """Return the hash of a claim's name and its number in a set of claims (TP-8).

    The claims of a StatefulSet are called ``data-web-0``, ``data-web-1``, …; those of one set get one hash, ``web``,
    and so are spread over the places one by one.
    """
    base, dash, number = claim.rpartition("-")
    if not dash or not (number.isascii() and number.isdigit()) or int(number) > 0xFFFFFFFF:
        return fnv32(claim), 0
    middle = base.rpartition("-")[2] if "-" in base else base
    return fnv32(middle), int(number)


def fnv32(text: str) -> int:
    """Return FNV-1 of the bytes, 32 bits."""
    value = _FNV_OFFSET
    for byte in text.encode():
        value = (value * _FNV_PRIME) & 0xFFFFFFFF
        value ^= byte
    return value


def node_affinity(accessible: Iterable[Mapping[str, str]]) -> Json | None:
    """Return the node affinity of a volume that can be reached from these places; None if from everywhere (TP-11)."""
    terms = []
    for place in accessible:
        pairs = [{"key": key, "operator": "In", "values": [value]} for key, value in sorted(place.items())]
        if pairs:
            terms.append({"matchExpressions": pairs})
    return {"required": {"nodeSelectorTerms": terms}} if terms else None


def shown_term(term: Segments) -> str:
    """Return a term as the reference prints it, a list of structs."""
    return "[" + " ".join(f"{{{key} {value}}}" for key, value in term) + "]"


def shown_terms(terms: Iterable[Segments]) -> str:
    """Return terms as the reference prints them."""
    return "[" + " ".join(shown_term(term) for term in terms) + "]"


def go_map(labels: Mapping[str, str]) -> str:
    """Return a map as Go prints it."""
    return "map[" + " ".join(f"{key}:{value}" for key, value in sorted(labels.items())) + "]"


def go_list(texts: Iterable[str]) -> str:
    """Return a list as Go prints it."""
    return "[" + " ".join(texts) + "]"
