"""The reference's inner form of objects, and diffs of it (PU-1, VU-1)."""

from __future__ import annotations

from tests.processor import at_most

from pvbinder.server.kinds.validation.internal_form import (
    PERSISTENT_VOLUME_CLAIM_SPEC,
    PERSISTENT_VOLUME_SOURCE,
    diff_of,
    diff_of_json,
    inner_form,
)


def test_every_field_is_shown_under_its_inner_name() -> None:
    form = inner_form(
        PERSISTENT_VOLUME_SOURCE, {"iscsi": {"targetPortal": "p", "iqn": "i", "secretRef": {"name": "s"}}}
    )
    assert list(form)[:3] == ["GCEPersistentDisk", "AWSElasticBlockStore", "HostPath"]
    assert form["ISCSI"] == {
        "TargetPortal": "p",
        "IQN": "i",
        "Lun": 0,
        "ISCSIInterface": "",
        "FSType": "",
        "ReadOnly": False,
        "Portals": None,
        "DiscoveryCHAPAuth": False,
        "SessionCHAPAuth": False,
        "SecretRef": {"Name": "s", "Namespace": ""},
        "InitiatorName": None,
    }


def test_what_is_no_pointer_is_shown_even_when_it_is_absent() -> None:
    form = inner_form(PERSISTENT_VOLUME_CLAIM_SPEC, {"selector": {"matchExpressions": [], "matchLabels": {"b": "1"}}})
    assert form["Resources"] == {"Limits": None, "Requests": None}
    assert form["Selector"] == {"matchLabels": {"b": "1"}}
    assert form["VolumeName"] == ""


def test_nothing_differs() -> None:
    assert diff_of(PERSISTENT_VOLUME_SOURCE, {}, {}) == ""


def test_large_objects_are_compared_in_the_time_that_reading_them_takes() -> None:
    old = {"csi": {"volumeAttributes": {f"k{number:05}": "old" for number in range(20_000)}}}
    new = {"csi": {"volumeAttributes": {f"k{number:05}": "new" for number in range(0, 20_000, 2)}}}
    with at_most(2.0):
        diff = diff_of(PERSISTENT_VOLUME_SOURCE, old, new)
    assert diff.startswith("@@ -26,20006 +26,10006 @@\n")


def test_a_large_diff_is_a_diff() -> None:
    old = {"a": list(range(1500)), "b": 1}
    new = {"a": [*range(700), "x", *range(700, 1500)], "b": 1}
    assert diff_of_json(old, new) == (
        '@@ -700,6 +700,7 @@\n   697,\n   698,\n   699,\n+  "x",\n   700,\n   701,\n   702,\n'
    )
