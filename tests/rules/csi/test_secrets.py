"""Which secret goes with a volume, and every way in which a class can name none that there could be (SE-1 to SE-5)."""

from __future__ import annotations

import pytest

from pvbinder.rules.csi.secrets import SecretKind, SecretReference, SecretsError, TemplateNames, reference

PREFIX = "csi.storage.k8s.io/"
NAMES = TemplateNames("pv-1", "orders", "shop", {"team": "a", "odd": "A_"})
KEYS = {  # what the keys of each kind begin with, and began with
    SecretKind.PROVISIONER: ("provisioner-secret", "csiProvisionerSecret"),
    SecretKind.CONTROLLER_PUBLISH: ("controller-publish-secret", "csiControllerPublishSecret"),
    SecretKind.NODE_STAGE: ("node-stage-secret", "csiNodeStageSecret"),
    SecretKind.NODE_PUBLISH: ("node-publish-secret", "csiNodePublishSecret"),
    SecretKind.CONTROLLER_EXPAND: ("controller-expand-secret", None),
    SecretKind.NODE_EXPAND: ("node-expand-secret", None),
    SecretKind.CONTROLLER_MODIFY: ("controller-modify-secret", None),
}


@pytest.mark.parametrize("kind", SecretKind)
def test_se_1_each_kind_has_its_keys(kind: SecretKind) -> None:
    new, old = KEYS[kind]

    assert (kind.new, kind.old) == (PREFIX + new, old)
    assert reference(kind, {f"{PREFIX}{new}-name": "s", f"{PREFIX}{new}-namespace": "n"}, NAMES) == (
        SecretReference("s", "n")
    )
    if old is not None:
        assert reference(kind, {f"{old}Name": "s", f"{old}Namespace": "n"}, NAMES) == SecretReference("s", "n")


def named(name: str | None, namespace: str | None) -> dict[str, str]:
    both = {f"{PREFIX}node-stage-secret-name": name, f"{PREFIX}node-stage-secret-namespace": namespace}
    return {key: value for key, value in both.items() if value is not None}


OLD = {"csiNodeStageSecretName": "s", "csiNodeStageSecretNamespace": "n"}
DEFAULT = {f"{PREFIX}secret-name": "d", f"{PREFIX}secret-namespace": "n"}
FOUND: dict[str, tuple[dict[str, str], SecretReference | None]] = {
    "none": ({"tier": "gold"}, None),
    "by name": (named("s", "n"), SecretReference("s", "n")),
    "the default": (DEFAULT, SecretReference("d", "n")),
    "its own comes first": (named("s", "n") | DEFAULT, SecretReference("s", "n")),
    "of the claim": (named("s-${pvc.name}", "${pvc.namespace}"), SecretReference("s-orders", "shop")),
    "of the volume": (named("${pv.name}.x", "n-${pv.name}"), SecretReference("pv-1.x", "n-pv-1")),
    "of an annotation": (named("${pvc.annotations['team']}", "n"), SecretReference("a", "n")),
}


@pytest.mark.parametrize(("parameters", "found"), FOUND.values(), ids=FOUND.keys())
def test_se_4_a_secret_is_named(parameters: dict[str, str], found: SecretReference | None) -> None:
    assert reference(SecretKind.NODE_STAGE, parameters, NAMES) == found


TEMPLATE = "failed to get name and namespace template from params: "
BOTH = "either name and namespace for NodeStage secrets specified, Both must be specified"
EMPTY = "NodeStage secrets specified in parameters but value of either namespace or name is empty"
REFUSED = {
    "old and new keys": (
        named("s", "n") | OLD,
        f'{TEMPLATE}NodeStage secrets specified in parameters with both "csi" and "csi.storage.k8s.io/" keys',
    ),
    "no namespace": (named("s", None), TEMPLATE + BOTH),
    "no name": (named(None, "n"), TEMPLATE + BOTH),
    "an empty name": (named("", "n"), TEMPLATE + EMPTY),
    "an empty namespace": (named("s", ""), TEMPLATE + EMPTY),
    "half of a default": (
        {f"{PREFIX}secret-name": "d"},
        f"failed to get default name and namespace template from params: {BOTH}",
    ),
    "no name of a secret": (named("A_", "n"), '"A_" is not a valid secret name'),
    "an annotation that is none": (
        named("${pvc.annotations['odd']}", "n"),
        '"${pvc.annotations[\'odd\']}" resolved to "A_" which is not a valid secret name',
    ),
    "no namespace that there could be": (named("s", "a.b"), '"a.b" is not a valid namespace name'),
    "a quote in it": (
        named('${pvc.annotations["team"]}', "n"),
        r"""error resolving value "${pvc.annotations[\"team\"]}": invalid tokens: ["pvc.annotations[\"team\"]"]""",
    ),
    "unknown tokens, each once": (
        named("$$-${z}-${a}-${z}", "n"),
        'error resolving value "$$-${z}-${a}-${z}": invalid tokens: ["$" "a" "z"]',
    ),
    "no token in it": (named("${}", "n"), '"${}" resolved to "" which is not a valid secret name'),
    "an unknown token": (named("${x}-$y", "n"), 'error resolving value "${x}-$y": invalid tokens: ["x" "y"]'),
    "the claim in the namespace": (
        named("s", "${pvc.name}"),
        'error resolving value "${pvc.name}": invalid tokens: ["pvc.name"]',
    ),
}


@pytest.mark.parametrize(("parameters", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_se_5_what_names_no_secret_is_refused(parameters: dict[str, str], message: str) -> None:
    with pytest.raises(SecretsError) as refused:
        reference(SecretKind.NODE_STAGE, parameters, NAMES)

    assert refused.value.message == message
