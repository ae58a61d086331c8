"""The secrets and parameters of a class of snapshots; the texts are the reference's."""

from __future__ import annotations

import pytest

from pvbinder.rules.csi.secrets import SecretReference, SecretsError
from pvbinder.rules.csi.snapshots.secrets import (
    SnapshotSecret,
    deletion_secret,
    parameters_for_driver,
    snapshot_secret,
)

PREFIX = "csi.storage.k8s.io/snapshotter"
SECRETS = {
    "none": ({"a": "b"}, None),
    "plain": ({f"{PREFIX}-secret-name": "keys", f"{PREFIX}-secret-namespace": "ns"}, ("keys", "ns")),
    "templates (SS-2)": (
        {
            f"{PREFIX}-secret-name": "${volumesnapshot.name}-$volumesnapshotcontent-x",
            f"{PREFIX}-secret-namespace": "${volumesnapshot.namespace}",
        },
        (
            'error resolving value "${volumesnapshot.name}-$volumesnapshotcontent-x": '
            'invalid tokens: ["volumesnapshotcontent"]'
        ),
    ),
    "the name knows the snapshot (SS-2)": (
        {
            f"{PREFIX}-secret-name": "${volumesnapshot.name}",
            f"{PREFIX}-secret-namespace": "${volumesnapshot.namespace}",
        },
        ("s", "shop"),
    ),
    "the namespace doesn't know the snapshot (SS-2)": (
        {f"{PREFIX}-secret-name": "keys", f"{PREFIX}-secret-namespace": "${volumesnapshot.name}"},
        'error resolving value "${volumesnapshot.name}": invalid tokens: ["volumesnapshot.name"]',
    ),
    "one without the other (SS-1)": (
        {f"{PREFIX}-secret-name": "keys"},
        (
            "failed to get name and namespace template from params: either name and namespace for Snapshotter secrets "
            "specified, Both must be specified"
        ),
    ),
    "empty (SS-1)": (
        {f"{PREFIX}-secret-name": "keys", f"{PREFIX}-secret-namespace": ""},
        (
            "failed to get name and namespace template from params: Snapshotter secrets specified in parameters but "
            "value of either namespace or name is empty"
        ),
    ),
    "no namespace that there could be (SS-2)": (
        {f"{PREFIX}-secret-name": "keys", f"{PREFIX}-secret-namespace": "A_B"},
        '"A_B" is not a valid namespace name',
    ),
}


@pytest.mark.parametrize(("parameters", "found"), SECRETS.values(), ids=SECRETS.keys())
def test_snapshot_secret(parameters: dict[str, str], found: tuple[str, str] | str | None) -> None:
    def ask() -> SecretReference | None:
        return snapshot_secret(SnapshotSecret.SNAPSHOTTER, parameters, "c", snapshot="s", namespace="shop")

    if isinstance(found, str):
        with pytest.raises(SecretsError) as caught:
            ask()
        assert caught.value.message == found
    else:
        assert ask() == (SecretReference(*found) if found else None)


def test_a_list_secret_knows_the_content_only() -> None:  # SS-2
    names = {f"{PREFIX}-list-secret-name": "${volumesnapshotcontent.name}", f"{PREFIX}-list-secret-namespace": "ns"}
    assert snapshot_secret(SnapshotSecret.LIST, names, "c") == SecretReference("c", "ns")
    names[f"{PREFIX}-list-secret-name"] = "${volumesnapshot.name}"
    with pytest.raises(SecretsError, match="invalid tokens"):
        snapshot_secret(SnapshotSecret.LIST, names, "c")


def test_the_secret_of_a_deletion_is_in_the_annotations() -> None:  # SS-3
    key = "snapshot.storage.kubernetes.io/deletion-secret"
    assert deletion_secret("c", {}) is None
    assert deletion_secret("c", {f"{key}-name": "a", f"{key}-namespace": "b"}) == SecretReference("a", "b")
    with pytest.raises(SecretsError, match='"c", err: secret name or namespace not specified'):
        deletion_secret("c", {f"{key}-name": "", f"{key}-namespace": "b"})


def test_the_driver_gets_its_own_parameters() -> None:  # SK-5
    ours = {f"{PREFIX}-secret-name": "a", f"{PREFIX}-list-secret-namespace": "b", "tier": "gold"}
    assert parameters_for_driver(ours) == {"tier": "gold"}
    with pytest.raises(SecretsError, match="found unknown parameter key"):
        parameters_for_driver({"csi.storage.k8s.io/x": "y"})
