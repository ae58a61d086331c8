"""A class's parameters, taken apart: the driver's, ours, and the secrets that they name."""

from __future__ import annotations

import pytest

from pvbinder.rules.csi.capabilities import AccessMode, AccessModesError, capabilities, single_mode
from pvbinder.rules.csi.outcomes import state_after
from pvbinder.rules.csi.parameters import FSTYPE, PREFIX, STRIPPED, for_driver, fstype_of, with_names
from pvbinder.rules.csi.refusals import ProvisioningFailed, State
from pvbinder.rules.csi.secrets import SecretKind, SecretReference, SecretsError, TemplateNames, reference

ORDERS = TemplateNames("pvc-1", "orders", "shop", {"team": "blue"})


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({}, ""),
        ({FSTYPE: "xfs"}, "xfs"),
        ({"fstype": "ext3"}, "ext3"),
        ({"FsType": "ext4"}, "ext4"),
        ({FSTYPE: ""}, ""),
    ],
)
def test_the_type_of_file_system(parameters: dict[str, str], expected: str) -> None:  # CP-11
    assert fstype_of(parameters, "") == expected
    assert fstype_of(parameters, "btrfs") == (expected or "btrfs")


def test_two_types_of_file_system_are_refused() -> None:  # CP-11
    with pytest.raises(ProvisioningFailed) as caught:
        fstype_of({FSTYPE: "xfs", "fsType": "xfs"}, "")
    assert caught.value.message == (
        'fstype specified in parameters with both "fstype" and "csi.storage.k8s.io/fstype" keys'
    )
    assert caught.value.state is State.FINISHED


def test_what_is_ours_is_kept_from_the_driver() -> None:  # CP-17
    given = dict.fromkeys(STRIPPED, "x") | {"tier": "gold", "fstype": "xfs", "csiNodePublishSecretName": "a"}
    assert for_driver(given) == {"tier": "gold", "fstype": "xfs", "csiNodePublishSecretName": "a"}


def test_a_key_with_our_prefix_that_nobody_knows_is_refused() -> None:  # CP-17
    with pytest.raises(ProvisioningFailed) as caught:
        for_driver({f"{PREFIX}colour": "red"})
    assert caught.value.message == (
        "failed to strip CSI Parameters of prefixed keys: found unknown parameter key "
        '"csi.storage.k8s.io/colour" with reserved namespace csi.storage.k8s.io/'
    )


def test_names_are_added() -> None:  # CP-18
    assert with_names({"a": "b"}, claim="orders", namespace="shop", volume="pvc-1") == {
        "a": "b",
        "csi.storage.k8s.io/pvc/name": "orders",
        "csi.storage.k8s.io/pvc/namespace": "shop",
        "csi.storage.k8s.io/pv/name": "pvc-1",
    }


def pair(kind: str, name: str = "s", namespace: str = "n") -> dict[str, str]:
    return {f"{PREFIX}{kind}secret-name": name, f"{PREFIX}{kind}secret-namespace": namespace}


@pytest.mark.parametrize(
    ("kind", "words", "old"),
    [
        (SecretKind.PROVISIONER, "provisioner-", "csiProvisionerSecret"),
        (SecretKind.CONTROLLER_PUBLISH, "controller-publish-", "csiControllerPublishSecret"),
        (SecretKind.NODE_STAGE, "node-stage-", "csiNodeStageSecret"),
        (SecretKind.NODE_PUBLISH, "node-publish-", "csiNodePublishSecret"),
        (SecretKind.CONTROLLER_EXPAND, "controller-expand-", None),
        (SecretKind.NODE_EXPAND, "node-expand-", None),
        (SecretKind.CONTROLLER_MODIFY, "controller-modify-", None),
    ],
)
def test_each_kind_of_secret_has_its_keys(kind: SecretKind, words: str, old: str | None) -> None:  # SE-1, SE-2
    assert reference(kind, pair(words), ORDERS) == SecretReference("s", "n")
    assert reference(kind, pair("", "d", "e"), ORDERS) == SecretReference("d", "e")
    assert reference(kind, pair("") | pair(words, "own"), ORDERS) == SecretReference("own", "n")
    assert reference(kind, {}, ORDERS) is None
    if old is not None:
        assert reference(kind, {f"{old}Name": "s", f"{old}Namespace": "n"}, ORDERS) == SecretReference("s", "n")


@pytest.mark.parametrize(
    ("parameters", "problem"),
    [
        (
            pair("provisioner-") | {"csiProvisionerSecretName": "a", "csiProvisionerSecretNamespace": "b"},
            (
                "failed to get name and namespace template from params: Provisioner secrets specified in parameters "
                'with both "csi" and "csi.storage.k8s.io/" keys'
            ),
        ),
        (
            {f"{PREFIX}provisioner-secret-name": "a"},
            (
                "failed to get name and namespace template from params: either name and namespace for Provisioner "
                "secrets specified, Both must be specified"
            ),
        ),
        (
            pair("provisioner-", ""),
            (
                "failed to get name and namespace template from params: Provisioner secrets specified in parameters "
                "but value of either namespace or name is empty"
            ),
        ),
        (
            {f"{PREFIX}secret-namespace": "a"},
            (
                "failed to get default name and namespace template from params: either name and namespace for "
                "Provisioner secrets specified, Both must be specified"
            ),
        ),
        (pair("provisioner-", "${pvc.uid}"), 'error resolving value "${pvc.uid}": invalid tokens: ["pvc.uid"]'),
        (pair("provisioner-", "s", "${pvc.name}"), 'error resolving value "${pvc.name}": invalid tokens: ["pvc.name"]'),
        (pair("provisioner-", "A"), '"A" is not a valid secret name'),
        (pair("provisioner-", "s", "a.b"), '"a.b" is not a valid namespace name'),
        (
            pair("provisioner-", "${pvc.name}_"),
            '"${pvc.name}_" resolved to "orders_" which is not a valid secret name',
        ),
    ],
)
def test_secrets_that_there_cant_be(parameters: dict[str, str], problem: str) -> None:  # SE-3, SE-4, SE-5
    with pytest.raises(SecretsError) as caught:
        reference(SecretKind.PROVISIONER, parameters, ORDERS)
    assert caught.value.message == problem


def test_templates_are_resolved() -> None:  # SE-4
    name = "${pvc.name}-${pvc.annotations['team']}-${pv.name}"
    found = reference(SecretKind.NODE_STAGE, pair("node-stage-", name, "${pvc.namespace}"), ORDERS)
    assert found == SecretReference("orders-blue-pvc-1", "shop")


@pytest.mark.parametrize(
    ("mode", "usual", "several"),
    [
        ("ReadWriteOnce", AccessMode.SINGLE_NODE_WRITER, AccessMode.SINGLE_NODE_MULTI_WRITER),
        ("ReadWriteOncePod", AccessMode.SINGLE_NODE_WRITER, AccessMode.SINGLE_NODE_SINGLE_WRITER),
        ("ReadOnlyMany", AccessMode.MULTI_NODE_READER_ONLY, AccessMode.MULTI_NODE_READER_ONLY),
        ("ReadWriteMany", AccessMode.MULTI_NODE_MULTI_WRITER, AccessMode.MULTI_NODE_MULTI_WRITER),
    ],
)
def test_access_modes(mode: str, usual: AccessMode, several: AccessMode) -> None:  # CP-13
    for several_writers, expected in ((False, usual), (True, several)):
        (one,) = capabilities(
            [mode], volume_mode="Filesystem", fs_type="xfs", mount_flags=("ro",), several_writers=several_writers
        )
        assert (one.access_mode, one.block, one.fs_type, one.mount_flags) == (expected, False, "xfs", ("ro",))
        assert single_mode([mode], several_writers=several_writers) == expected
    (block,) = capabilities([mode], volume_mode="Block", fs_type="xfs", mount_flags=("ro",), several_writers=False)
    assert (block.block, block.fs_type, block.mount_flags) == (True, "", ())


def test_several_modes_become_one() -> None:  # CP-13
    assert single_mode(["ReadWriteOnce", "ReadWriteMany"], several_writers=False) == AccessMode.MULTI_NODE_MULTI_WRITER
    with pytest.raises(AccessModesError, match="use of ReadWriteOncePod with other access modes"):
        single_mode(["ReadWriteOncePod", "ReadWriteMany"], several_writers=False)
    with pytest.raises(AccessModesError, match="does not support ReadOnlyMany and ReadWriteOnce"):
        single_mode(["ReadOnlyMany", "ReadWriteOnce"], several_writers=False)


@pytest.mark.parametrize(
    ("code", "state"),
    [(code, State.IN_BACKGROUND) for code in ("Canceled", "DeadlineExceeded", "Unavailable", "Aborted")]
    + [(code, State.FINISHED) for code in ("InvalidArgument", "Internal", "AlreadyExists", "ResourceExhausted")],
)
def test_what_a_failed_call_says(code: str, state: State) -> None:  # CR-1
    assert state_after(code, node_was_selected=False, has_topology=True) is state
    selected = state_after(code, node_was_selected=True, has_topology=True)
    assert selected is (State.RESCHEDULE if code == "ResourceExhausted" else state)
    assert state_after(code, node_was_selected=True, has_topology=False) is state
