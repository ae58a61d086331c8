"""Kinds of somebody else's cluster."""

from __future__ import annotations

from tests.sources.objects import CLASS, DEFINITION, WIDGET, Document, names

from pvbinder.sources.served import served

OLD: Document = {"apiVersion": "flowcontrol.apiserver.k8s.io/v1beta3", "kind": "FlowSchema", "metadata": {"name": "f"}}


def run(*documents: Document) -> tuple[list[str], list[str]]:
    notes: list[str] = []
    return names([each for _, each in served("x.db", (("x.db", each) for each in documents), notes.append)]), notes


def test_served_1_kinds_that_nothing_knows_are_left_out_and_counted() -> None:
    found, notes = run(CLASS, OLD, WIDGET, OLD)
    assert found == ["StorageClass/fast"]
    assert notes == [
        "x.db: 1 object of example.com/v1 Widget left out: it isn't known here",
        "x.db: 2 objects of flowcontrol.apiserver.k8s.io/v1beta3 FlowSchema left out: it isn't known here",
    ]


def test_served_2_a_definition_counts_wherever_it_is() -> None:
    for order in ((WIDGET, DEFINITION), (DEFINITION, WIDGET)):
        found, notes = run(*order)
        assert sorted(found) == ["CustomResourceDefinition/widgets.example.com", "Widget/w"]
        assert notes == []


def test_a_definition_that_makes_no_sense_brings_nothing() -> None:
    specs: list[object] = [
        None,
        [],
        {},
        {"names": [], "versions": 3},
        {"names": {}, "versions": [3, {"served": False}]},
    ]
    for spec in specs:
        assert run({**DEFINITION, "spec": spec}, WIDGET)[0] == ["CustomResourceDefinition/widgets.example.com"]
