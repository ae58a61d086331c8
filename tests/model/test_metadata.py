"""Metadata, decoded one way."""

from __future__ import annotations

import pytest

from pvbinder.model.json import encode
from pvbinder.model.ownership import parse_owned
from pvbinder.model.scheduling import parse_csi_driver, parse_csi_storage_capacity
from pvbinder.model.stateful_sets import parse_stateful_set


@pytest.mark.parametrize(
    "parse",
    [parse_csi_driver, parse_csi_storage_capacity, parse_stateful_set, parse_owned],
    ids=lambda parse: parse.__name__,
)
def test_null_is_absent_in_whatever_is_read(parse) -> None:  # type: ignore[no-untyped-def]
    names = ("name", "namespace", "uid", "resourceVersion")
    null = parse(encode({"metadata": dict.fromkeys(names)}))

    assert [null.name, null.namespace, null.uid, null.resource_version] == [""] * len(names)
