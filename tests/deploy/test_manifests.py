"""What is deployed: the plain manifests, the chart that is made from them, and what they name that is elsewhere."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import jsonschema_rs
import pytest
import yaml
from tests.deploy.chart import CHART, render
from tests.deploy.manifests import DEPLOY, FOLDERS, MANIFESTS, Json, by_key, container_of, objects_in, only
from tools.deploy import TEMPLATES, templates

from pvbinder import __version__
from pvbinder.controllers.csi.roles import ROLES
from pvbinder.metrics import families
from pvbinder.metrics.families import Family

EVERYTHING: Json = {
    "monitoring": {"serviceMonitor": {"enabled": True}, "prometheusRule": {"enabled": True}},
    "csi": {"enabled": True},
}
DEFAULTS = yaml.safe_load((CHART / "values.yaml").read_text())
SCHEMA = yaml.safe_load((CHART / "values.schema.json").read_text())
HELM = shutil.which("helm")


# ------------------------------------------------------------------------------------- one source, and what comes of it


def test_the_templates_of_the_chart_are_those_of_the_manifests() -> None:
    assert {path.name: path.read_text() for path in TEMPLATES.glob("*.yaml")} == templates(), "python -m tools.deploy"


def test_each_manifest_is_in_a_kustomization() -> None:
    for folder in FOLDERS:
        listed = yaml.safe_load((MANIFESTS / folder / "kustomization.yaml").read_text())["resources"]
        assert sorted(listed) == sorted({path.name for path in (MANIFESTS / folder).iterdir()} - {"kustomization.yaml"})


def test_a_chart_without_values_is_the_plain_manifests() -> None:
    assert by_key(render()) == by_key(objects_in("controller"))


def test_a_chart_with_everything_is_all_plain_manifests() -> None:
    assert by_key(render(EVERYTHING)) == by_key(objects_in(*FOLDERS))


@pytest.mark.kubectl
@pytest.mark.parametrize("folder", FOLDERS)
def test_kustomize_puts_them_together(folder: str) -> None:
    built = subprocess.run(
        ["kubectl", "kustomize", str(MANIFESTS / folder)], capture_output=True, text=True, timeout=60, check=True
    )

    assert by_key(list(yaml.safe_load_all(built.stdout))) == by_key(objects_in(folder))


@pytest.mark.skipif(HELM is None, reason="there is no helm on this machine; tests/deploy/chart.py renders instead")
@pytest.mark.parametrize("values", [{}, EVERYTHING], ids=["defaults", "everything"])
def test_helm_renders_the_same(values: Json) -> None:
    assert HELM is not None
    command = [HELM, "template", "pvbinder", str(CHART), "--namespace", "kube-system", "--values", "-"]
    built = subprocess.run(
        command, input=yaml.safe_dump(values), capture_output=True, text=True, timeout=60, check=True
    )

    rendered = [document for document in yaml.safe_load_all(built.stdout) if document]
    assert by_key(rendered) == by_key(render(values))


def test_the_version_is_ours() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())

    assert chart["appVersion"] == chart["version"] == __version__
    assert (
        container_of(objects_in("controller"), "pvbinder-controller", "controller")["image"]
        == f"pvbinder:{__version__}"
    )


# ------------------------------------------------------------------------------------------------------------- values


def test_everything_is_in_the_namespace_of_the_release_but_for_rights_elsewhere() -> None:
    rendered = render(EVERYTHING, namespace="storage")

    elsewhere = {
        (each["kind"], each["metadata"]["name"], each["metadata"]["namespace"])
        for each in rendered
        if each["metadata"].get("namespace", "storage") != "storage"
    }
    assert elsewhere == {
        ("Role", "pvbinder-controller", "kube-system"),
        ("RoleBinding", "pvbinder-controller", "kube-system"),
        ("Role", "pvbinder-authority", "kube-system"),
        ("RoleBinding", "pvbinder-authority", "kube-system"),
        ("Role", "pvbinder-recycler", "default"),
        ("RoleBinding", "pvbinder-recycler", "default"),
    }
    subjects = [subject for each in rendered for subject in each.get("subjects", ())]
    assert {subject["namespace"] for subject in subjects} == {"storage"}


def test_what_is_switched_off_is_not_there() -> None:
    rendered = render(
        {"recycler": {"enabled": False}, "disruptionBudget": {"enabled": False}, "networkPolicy": {"enabled": False}}
    )

    assert {each["kind"] for each in rendered}.isdisjoint({"PodDisruptionBudget", "NetworkPolicy"})
    assert not [each for each in rendered if each["metadata"]["name"] == "pvbinder-recycler"]
    assert render({"controller": {"enabled": False}}) == []


def test_values_get_to_their_places() -> None:
    rendered = render(
        {
            "image": {"repository": "registry.example.com/pvbinder", "tag": "mine"},
            "controllers": "*,-ephemeral-volume",
            "extraArgs": ["--sync-period=1m", "-v=3"],
            "leaderElection": {"name": "volumes", "namespace": "storage"},
            "nodeSelector": {"disk": "fast", "kubernetes.io/os": None},
            "tolerations": [],
        }
    )

    deployment = only(rendered, "Deployment", "pvbinder-controller")["spec"]["template"]["spec"]
    container = container_of(rendered, "pvbinder-controller", "controller")
    assert container["image"] == "registry.example.com/pvbinder:mine"
    assert "--controllers=*,-ephemeral-volume" in container["args"]
    assert "--leader-elect-resource-namespace=storage" in container["args"]
    assert container["args"][-2:] == ["--sync-period=1m", "-v=3"]
    assert deployment["nodeSelector"] == {"disk": "fast"}
    assert deployment["tolerations"] == []
    lease = only(rendered, "Role", "pvbinder-controller")
    assert lease["metadata"]["namespace"] == "storage"
    assert [rule["resourceNames"] for rule in lease["rules"] if "resourceNames" in rule] == [["volumes"]]


def test_secrets_are_read_only_where_that_is_wanted() -> None:
    def resources(may: bool) -> set[str]:
        rendered = render({"csi": {"enabled": True, "mayReadSecrets": may}})
        return {name for rule in only(rendered, "ClusterRole", "pvbinder-csi")["rules"] for name in rule["resources"]}

    assert resources(True) - resources(False) == {"secrets"}


def test_the_schema_takes_the_defaults_and_all_values_that_there_are() -> None:
    jsonschema_rs.validator_for(SCHEMA).validate(DEFAULTS)

    def undescribed(schema: Json, values: Any, path: str) -> Iterator[str]:
        for name, value in values.items():
            inner = schema["properties"].get(name)
            if inner is None:
                yield f"{path}.{name}"
            elif isinstance(value, dict) and "properties" in inner:
                yield from undescribed(inner, value, f"{path}.{name}")

    assert list(undescribed(SCHEMA, DEFAULTS, "")) == []


MISTAKES: dict[str, Json] = {
    "a value that there is not": {"replica": 2},
    "one inside another": {"image": {"repository": "pvbinder", "tags": "x"}},
    "a text for a number": {"replicas": "two"},
    "fewer than none": {"replicas": -1},
    "a policy that there is not": {"image": {"repository": "pvbinder", "pullPolicy": "Sometimes"}},
    "no image": {"image": {"repository": ""}},
    "a name that can't be one": {"leaderElection": {"name": "Volumes!", "namespace": "kube-system"}},
    "a role that there is not": {"csi": {"roles": "attacher"}},
    "a flag that is none": {"extraArgs": ["verbose"]},
}


@pytest.mark.parametrize("values", MISTAKES.values(), ids=MISTAKES.keys())
def test_the_schema_refuses_mistakes(values: Json) -> None:
    validator = jsonschema_rs.validator_for(SCHEMA)

    assert not validator.is_valid({**DEFAULTS, **values})


def test_every_value_is_used() -> None:
    written = "".join(templates().values())

    def unused(values: Json, path: str) -> Iterator[str]:
        for name, value in values.items():
            if f"{path}.{name}" in written:
                continue
            if isinstance(value, dict) and value:
                yield from unused(value, f"{path}.{name}")
            else:
                yield f"{path}.{name}"

    assert list(unused(DEFAULTS, ".Values")) == []


# --------------------------------------------------------------------------------------------- what they name elsewhere


def test_alerts_and_the_page_name_metrics_that_there_are_and_each_other() -> None:
    known = {each.name for each in vars(families).values() if isinstance(each, Family)}
    rules = only(objects_in("monitoring"), "PrometheusRule", "pvbinder")["spec"]["groups"][0]["rules"]
    functions = {"absent", "increase", "max", "rate", "sum"}
    for rule in rules:
        used = set(re.findall(r"\b[a-z_]{4,}(?=[({\[])|\b[a-z]+_[a-z_]+\b", rule["expr"])) - functions
        labels = {label for family in vars(families).values() if isinstance(family, Family) for label in family.labels}
        assert used - labels, rule["alert"]
        assert used - labels <= known, rule["alert"]
        assert rule["annotations"]["summary"].endswith(".")
    page = (DEPLOY.parent / "docs" / "deploying.md").read_text()
    assert re.findall(r"^\| `(Pvbinder\w+)` \|", page, re.MULTILINE) == [rule["alert"] for rule in rules]


def test_a_sidecar_has_the_rights_of_its_roles_and_no_more() -> None:
    """ROLE-3"""
    ours = objects_in("csi-sidecar")
    granted = {
        (group, resource, verb)
        for kind in ("ClusterRole", "Role")
        for rule in only(ours, kind, "pvbinder-csi")["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    needed = {
        (right.group, resource, verb)
        for role in ROLES
        for right in role.rights
        if not right.by_flag
        or right.group == "coordination.k8s.io"  # --leader-election is given, --enable-capacity isn't
        for resource in right.resources
        for verb in right.verbs
    }
    assert granted == needed


SAFE: dict[str, Callable[[Json], bool]] = {  # what a container may not do
    "write to its root": lambda one: one["securityContext"]["readOnlyRootFilesystem"] is True,
    "gain rights": lambda one: one["securityContext"]["allowPrivilegeEscalation"] is False,
    "use capabilities": lambda one: one["securityContext"]["capabilities"] == {"drop": ["ALL"]},
    "take all memory": lambda one: "memory" in one["resources"]["limits"],
}


@pytest.mark.parametrize("what", SAFE)
def test_our_containers_may_not(what: str) -> None:
    objects = objects_in("controller", "csi-sidecar")

    assert SAFE[what](container_of(objects, "pvbinder-controller", "controller"))
    assert SAFE[what](container_of(objects, "pvbinder-csi", "pvbinder"))
