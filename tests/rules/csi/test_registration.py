"""How a node says which drivers it has."""

from __future__ import annotations

import pytest

from pvbinder.model.json import Json, decode, encode
from pvbinder.model.objects import Node, parse_node
from pvbinder.rules.csi.registration import (
    NODE_IDS,
    NodeInfo,
    collision,
    csi_node_drivers,
    is_csi_node_of,
    misfit_of_any,
    new_csi_node,
    with_drivers,
)

INFO = NodeInfo("a.example.com", "n-1", {"example.com/zone": "z"}, 5)
OTHER = NodeInfo("b.example.com", "n-1")
ENTRY = {
    "name": "a.example.com",
    "nodeID": "n-1",
    "topologyKeys": ["example.com/zone"],
    "allocatable": {"count": 5},
}
OTHER_ENTRY = {"name": "b.example.com", "nodeID": "n-1", "topologyKeys": None}


def labelled(labels: dict[str, str], ids: str | None = None) -> Node:
    annotations = {} if ids is None else {NODE_IDS: ids}
    return parse_node(encode({"metadata": {"name": "here", "uid": "u", "labels": labels, "annotations": annotations}}))


CHANGES = {  # the node, the drivers, those that are gone, what is merged
    "nothing is there": (labelled({}), [INFO], (), {"example.com/zone": "z"}, '{"a.example.com":"n-1"}'),
    "all is there": (labelled({"example.com/zone": "z"}, '{"a.example.com": "n-1"}'), [INFO], (), None, None),
    "another id": (
        labelled({"example.com/zone": "z"}, '{"a.example.com":"x"}'),
        [INFO],
        (),
        {},
        '{"a.example.com":"n-1"}',
    ),
    "somebody else's stays": (labelled({}, '{"x":"1"}'), [OTHER], (), {}, '{"b.example.com":"n-1","x":"1"}'),
    "one is gone": (labelled({}, '{"a.example.com":"n-1","x":"1"}'), [], ("a.example.com",), {}, '{"x":"1"}'),
    "the last one is gone": (labelled({}, '{"a.example.com":"n-1"}'), [], ("a.example.com",), {}, None),
    "an annotation that means nothing": (labelled({}, "[" * 100_000), [OTHER], (), {}, '{"b.example.com":"n-1"}'),
}


@pytest.mark.parametrize(("before", "infos", "gone", "labels", "ids"), CHANGES.values(), ids=CHANGES.keys())
def test_with_drivers(
    before: Node, infos: list[NodeInfo], gone: tuple[str, ...], labels: Json | None, ids: str | None
) -> None:
    change = with_drivers(before, infos, gone)
    if labels is None:
        assert change is None
    else:
        wanted: Json = {"annotations": {NODE_IDS: ids}}
        assert change == {"metadata": {"labels": labels, **wanted} if labels else wanted}


def test_a_label_that_says_something_else_is_a_collision() -> None:
    assert collision(labelled({"example.com/zone": "z"}), INFO) is None
    assert collision(labelled({"example.com/zone": "y"}), INFO) == (
        'detected topology value collision: driver reported "example.com/zone":"z" but existing label is '
        '"example.com/zone":"y"'
    )


@pytest.mark.parametrize(
    ("info", "why_not"),
    [
        (INFO, None),
        (NodeInfo("a.example.com", "n" * 256), None),
        (NodeInfo("a.example.com", "n" * 257), "its node id has more than 256 bytes"),
        (
            NodeInfo("a.example.com", "n", {"../" + "x" * 9999: "z"}),
            "its topology can't be labels: key: Invalid value: \"../x",
        ),
        (
            NodeInfo("a.example.com", "n", {"zone": "../z"}),
            'its topology can\'t be labels: values[0][zone]: Invalid value: "../z"',
        ),
    ],
)
def test_a_driver_that_no_node_can_have(info: NodeInfo, why_not: str | None) -> None:
    found = misfit_of_any(info)
    assert found is None if why_not is None else why_not in (found or "")
    assert len(found or "") < 400


AFTER = {  # the drivers that a CSINode has, those that are here, those that are gone, the lists to write
    "nothing is there": ([], [INFO], (), [[ENTRY]]),
    "all is there": ([ENTRY], [INFO], (), []),
    "one more": ([OTHER_ENTRY], [INFO], (), [[OTHER_ENTRY, ENTRY]]),
    "another id, which nobody may change": ([{**ENTRY, "nodeID": "x"}], [INFO], (), [[], [ENTRY]]),
    "one is gone": ([ENTRY, OTHER_ENTRY], [OTHER], ("a.example.com",), [[OTHER_ENTRY]]),
    "somebody else's stays": ([OTHER_ENTRY], [], ("a.example.com",), []),
}


@pytest.mark.parametrize(("before", "infos", "gone", "written"), AFTER.values(), ids=AFTER.keys())
def test_csi_node_drivers(
    before: list[Json], infos: list[NodeInfo], gone: tuple[str, ...], written: list[list[Json]]
) -> None:
    assert csi_node_drivers({"spec": {"drivers": before}}, infos, gone) == written


def test_a_csi_node_belongs_to_its_node() -> None:
    here = labelled({})
    made = new_csi_node(here, [INFO])
    assert made["spec"]["drivers"] == [ENTRY]
    assert is_csi_node_of(made, here)
    made["metadata"]["ownerReferences"][0]["uid"] = "of-an-earlier-one"
    assert not is_csi_node_of(made, here)
    assert is_csi_node_of(decode(b'{"metadata":{"name":"made-by-hand"}}'), here)
