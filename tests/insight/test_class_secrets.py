"""The secrets that a class names, for the claims that wait for it."""

from __future__ import annotations

import pytest
from tests.insight.builders import claim, storage_class

from pvbinder.insight.class_secrets import CLAIMS_MAX, NamedSecret, UnresolvedSecret, secrets_of
from pvbinder.insight.snapshot import Snapshot
from pvbinder.rules.csi.secrets import SecretReference

NAME = "csi.storage.k8s.io/provisioner-secret-name"
NAMESPACE = "csi.storage.k8s.io/provisioner-secret-namespace"


def found(parameters: dict[str, str], *claims: str) -> list[NamedSecret | UnresolvedSecret]:
    snapshot = Snapshot((storage_class(parameters=parameters), *(claim(name) for name in claims)))
    (known,) = snapshot.storage_classes()
    return list(secrets_of(known, snapshot.claims()))


def test_a_secret_by_name_is_the_same_for_all_claims() -> None:
    admin = NamedSecret(NAME, SecretReference("admin", "kube-system"))
    assert found({NAME: "admin", NAMESPACE: "kube-system"}, "orders", "invoices") == [admin]


def test_the_default_pair_counts_once_for_all_that_secrets_are_for() -> None:
    parameters = {"csi.storage.k8s.io/secret-name": "admin", "csi.storage.k8s.io/secret-namespace": "kube-system"}
    assert found(parameters) == [NamedSecret("csi.storage.k8s.io/secret-name", SecretReference("admin", "kube-system"))]


def test_class_secrets_1_a_template_is_worked_out_for_the_claims_that_wait() -> None:
    parameters = {NAME: "of-${pvc.name}", NAMESPACE: "${pvc.namespace}"}
    assert found(parameters, "orders") == [NamedSecret(NAME, SecretReference("of-orders", "shop"), "shop/orders")]
    assert found(parameters) == []
    assert len(found(parameters, *(f"c{number}" for number in range(CLAIMS_MAX + 1)))) == CLAIMS_MAX


def test_class_secrets_1_a_template_with_the_name_of_the_volume_names_none() -> None:
    assert found({NAME: "of-${pv.name}", NAMESPACE: "kube-system"}, "orders") == []


def test_class_secrets_1_an_annotation_that_a_claim_lacks_is_a_problem_of_that_claim() -> None:
    (problem,) = found({NAME: "${pvc.annotations['team']}", NAMESPACE: "kube-system"}, "orders")
    assert isinstance(problem, UnresolvedSecret)
    assert problem.claim == "shop/orders"
    assert "team" in problem.problem


@pytest.mark.parametrize("wrong", [{NAME: "${pvc.nmae}"}, {NAMESPACE: "${pvc.name}"}, {NAME: "Admin_1"}, {NAME: ""}])
def test_class_secrets_2_what_no_claim_could_be_right_for_is_found_without_one(wrong: dict[str, str]) -> None:
    (problem,) = found({NAME: "admin", NAMESPACE: "kube-system"} | wrong)
    assert isinstance(problem, UnresolvedSecret)
    assert (problem.key, problem.claim) == (NAME, "")


def test_one_without_the_other_is_left_to_the_class() -> None:
    assert found({NAME: "admin"}) == []
