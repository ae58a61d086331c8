"""The other built-in kinds: stored, watched and checked against their schema, with nothing behind them.

One row a kind. Those of groups that can't be of use without their controllers (admission policies and webhooks, API
services, flow control) are stored like the rest: nothing acts on them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pvbinder.model.resources import Resource
from pvbinder.server.kinds.built_in.plain_cells import (
    address_cell,
    api_service_cell,
    available_cell,
    condition_cell,
    hosts_cell,
    ingress_ports_cell,
    pod_selector_cell,
    replication_selector_cell,
    template_labels_cell,
)
from pvbinder.server.kinds.built_in.pod_templates import container_columns, default_template
from pvbinder.server.kinds.parts.columns import (
    AGE,
    NAME,
    NONE,
    UNSET,
    count_cell,
    field_cell,
    joined,
)
from pvbinder.server.kinds.parts.scale import scale_of
from pvbinder.server.kinds.parts.status import STATUS, STATUS_ALONE, keep_status
from pvbinder.server.objects.kind import (
    Column,
    Json,
    NameRule,
    ServedKind,
    Subresource,
    nothing,
    nothing_at,
    nothing_of_two,
)


@dataclass(frozen=True, slots=True)
class Plain:
    """What is special about a plain kind."""

    schema_package: str
    group: str
    kind: str
    plural: str
    version: str = "v1"
    namespaced: bool = False
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    has_status: bool = False
    keeps_metadata: bool = False  # when its status is written
    has_scale: bool = False
    counts: tuple[str, ...] = ()  # what its generation follows
    name_rule: NameRule = "subdomain"
    columns: tuple[Column, ...] = (NAME, AGE)
    default: Callable[[Json], None] | None = None
    returns_object: bool = False

    def declare(self) -> ServedKind:
        """Make the declaration."""
        scale: tuple[Subresource, ...] = (scale_of(),) if self.has_scale else ()
        return ServedKind(
            resource=Resource(self.group, self.version, self.kind, self.plural, self.namespaced),
            singular=self.kind.lower(),
            schema=f"io.k8s.{self.schema_package}.{self.version}.{self.kind}",
            short_names=self.short_names,
            categories=self.categories,
            delete_returns_object=self.returns_object,
            name_rule=self.name_rule,
            default=self.default or nothing,
            prepare_create=_starting_with(self.default or nothing) if self.has_status else nothing_at,
            prepare_update=keep_status if self.has_status else nothing_of_two,
            subresources=(*scale, STATUS_ALONE if self.keeps_metadata else STATUS) if self.has_status else scale,
            columns=self.columns,
            generation_at_create=1 if self.counts else None,
            generation_follows=self.counts,
        )


def _starting_with(default: Callable[[Json], None]) -> Callable[[Json, str], None]:
    """Make the hook that starts with a status as the defaults have it, whatever the creator sends."""

    def prepare(obj: Json, _now: str) -> None:
        obj["status"] = {}
        default(obj)

    return prepare


def _set(obj: Json, **values: object) -> None:
    for field, value in values.items():
        if obj.get(field) is None:
            obj[field] = value


def _default_replication_controller(obj: Json) -> None:
    spec = obj.setdefault("spec", {})
    _set(spec, replicas=1)
    if spec.get("template") is not None:
        default_template(spec["template"])
        labels = spec["template"]["metadata"].get("labels")
        if labels and not spec.get("selector"):
            spec["selector"] = dict(labels)
    _set(obj.setdefault("status", {}), replicas=0)


def _default_pod_template(obj: Json) -> None:
    default_template(obj.setdefault("template", {}))


def _default_network_policy(obj: Json) -> None:
    spec = obj.setdefault("spec", {})
    _set(spec, podSelector={})
    if not spec.get("policyTypes"):
        spec["policyTypes"] = ["Ingress", *(["Egress"] if spec.get("egress") else [])]


def _default_ingress(obj: Json) -> None:
    obj.setdefault("spec", {})
    obj.setdefault("status", {}).setdefault("loadBalancer", {})


def _default_disruption_budget(obj: Json) -> None:
    obj.setdefault("spec", {})
    zeros = dict.fromkeys(("disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods"), 0)
    _set(obj.setdefault("status", {}), **zeros)


_POLICY_COLUMNS = (
    NAME,
    Column("Validations", count_cell("spec", "validations"), "integer"),
    Column("ParamKind", field_cell("spec", "paramKind", "kind", default=UNSET)),
    AGE,
)
_BINDING_COLUMNS = (
    NAME,
    Column("PolicyName", field_cell("spec", "policyName")),
    Column("ParamRef", field_cell("spec", "paramRef", "name", default=UNSET)),
    AGE,
)
_WEBHOOK_COLUMNS = (NAME, Column("Webhooks", count_cell("webhooks"), "integer"), AGE)
_ADMISSION = ("api.admissionregistration", "admissionregistration.k8s.io")
_FLOW = ("api.flowcontrol", "flowcontrol.apiserver.k8s.io")
_NETWORK = ("api.networking", "networking.k8s.io")
_DEVICES = ("api.resource", "resource.k8s.io")
_REPLICATION = ("spec", "template", "spec", "containers")

_ROWS = (
    Plain(
        "api.core",
        "",
        "ReplicationController",
        "replicationcontrollers",
        namespaced=True,
        short_names=("rc",),
        categories=("all",),
        has_status=True,
        has_scale=True,
        counts=("spec",),
        default=_default_replication_controller,
        columns=(
            NAME,
            Column("Desired", field_cell("spec", "replicas", default=0), "integer"),
            Column("Current", field_cell("status", "replicas", default=0), "integer"),
            Column("Ready", field_cell("status", "readyReplicas", default=0), "integer"),
            AGE,
            *container_columns(*_REPLICATION),
            Column("Selector", replication_selector_cell, priority=1),
        ),
    ),
    Plain(
        "api.core",
        "",
        "PodTemplate",
        "podtemplates",
        namespaced=True,
        returns_object=True,
        counts=("template",),
        default=_default_pod_template,
        columns=(
            NAME,
            *(
                Column(c.name, c.cell, description=c.description)
                for c in container_columns("template", "spec", "containers")
            ),
            Column("Pod Labels", template_labels_cell),
        ),
    ),
    Plain(
        "api.certificates",
        "certificates.k8s.io",
        "CertificateSigningRequest",
        "certificatesigningrequests",
        short_names=("csr",),
        has_status=True,
        columns=(
            NAME,
            AGE,
            Column("SignerName", field_cell("spec", "signerName", default=NONE)),
            Column("Requestor", field_cell("spec", "username")),
            Column("RequestedDuration", field_cell("spec", "expirationSeconds", default=NONE)),
            Column("Condition", condition_cell),
        ),
    ),
    Plain(
        *_NETWORK,
        "Ingress",
        "ingresses",
        namespaced=True,
        short_names=("ing",),
        has_status=True,
        counts=("spec",),
        default=_default_ingress,
        columns=(
            NAME,
            Column("Class", field_cell("spec", "ingressClassName", default=NONE)),
            Column("Hosts", hosts_cell),
            Column("Address", address_cell),
            Column("Ports", ingress_ports_cell),
            AGE,
        ),
    ),
    Plain(
        *_NETWORK,
        "IngressClass",
        "ingressclasses",
        counts=("spec",),
        columns=(
            NAME,
            Column("Controller", field_cell("spec", "controller")),
            Column("Parameters", field_cell("spec", "parameters", "name", default=NONE)),
            AGE,
        ),
    ),
    Plain(
        *_NETWORK,
        "NetworkPolicy",
        "networkpolicies",
        namespaced=True,
        short_names=("netpol",),
        counts=("spec",),
        default=_default_network_policy,
        columns=(NAME, Column("Pod-Selector", pod_selector_cell), AGE),
    ),
    Plain(
        *_NETWORK,
        "IPAddress",
        "ipaddresses",
        short_names=("ip",),
        columns=(NAME, Column("ParentRef", field_cell("spec", "parentRef", "name")), AGE),
    ),
    Plain(
        *_NETWORK,
        "ServiceCIDR",
        "servicecidrs",
        has_status=True,
        columns=(NAME, Column("CIDRs", lambda obj, _now: joined((obj.get("spec") or {}).get("cidrs") or ())), AGE),
    ),
    Plain(
        "api.policy",
        "policy",
        "PodDisruptionBudget",
        "poddisruptionbudgets",
        namespaced=True,
        short_names=("pdb",),
        has_status=True,
        counts=("spec",),
        default=_default_disruption_budget,
        columns=(
            NAME,
            Column("Min Available", field_cell("spec", "minAvailable", default="N/A")),
            Column("Max Unavailable", field_cell("spec", "maxUnavailable", default="N/A")),
            Column("Allowed Disruptions", field_cell("status", "disruptionsAllowed", default=0), "integer"),
            AGE,
        ),
    ),
    Plain(
        "api.node",
        "node.k8s.io",
        "RuntimeClass",
        "runtimeclasses",
        columns=(NAME, Column("Handler", field_cell("handler")), AGE),
    ),
    Plain(
        "kube-aggregator.pkg.apis.apiregistration",
        "apiregistration.k8s.io",
        "APIService",
        "apiservices",
        has_status=True,
        keeps_metadata=True,
        categories=("api-extensions",),
        columns=(
            NAME,
            Column("Service", api_service_cell),
            Column("Available", available_cell),
            AGE,
        ),
    ),
    Plain(
        *_ADMISSION,
        "MutatingWebhookConfiguration",
        "mutatingwebhookconfigurations",
        categories=("api-extensions",),
        counts=("webhooks",),
        columns=_WEBHOOK_COLUMNS,
    ),
    Plain(
        *_ADMISSION,
        "ValidatingWebhookConfiguration",
        "validatingwebhookconfigurations",
        categories=("api-extensions",),
        counts=("webhooks",),
        columns=_WEBHOOK_COLUMNS,
    ),
    Plain(
        *_ADMISSION,
        "ValidatingAdmissionPolicy",
        "validatingadmissionpolicies",
        categories=("api-extensions",),
        has_status=True,
        keeps_metadata=True,
        counts=("spec",),
        columns=_POLICY_COLUMNS,
    ),
    Plain(
        *_ADMISSION,
        "ValidatingAdmissionPolicyBinding",
        "validatingadmissionpolicybindings",
        categories=("api-extensions",),
        counts=("spec",),
        columns=_BINDING_COLUMNS,
    ),
    Plain(
        *_ADMISSION,
        "MutatingAdmissionPolicy",
        "mutatingadmissionpolicies",
        categories=("api-extensions",),
        counts=("spec",),
        columns=(
            NAME,
            Column("Mutations", count_cell("spec", "mutations"), "integer"),
            Column("ParamKind", field_cell("spec", "paramKind", "kind", default=UNSET)),
            AGE,
        ),
    ),
    Plain(
        *_ADMISSION,
        "MutatingAdmissionPolicyBinding",
        "mutatingadmissionpolicybindings",
        categories=("api-extensions",),
        counts=("spec",),
        columns=_BINDING_COLUMNS,
    ),
    Plain(
        *_FLOW,
        "FlowSchema",
        "flowschemas",
        has_status=True,
        keeps_metadata=True,
        counts=("spec",),
        columns=(
            NAME,
            Column("PriorityLevel", field_cell("spec", "priorityLevelConfiguration", "name")),
            Column("MatchingPrecedence", field_cell("spec", "matchingPrecedence", default=0), "integer"),
            AGE,
        ),
    ),
    Plain(
        *_FLOW,
        "PriorityLevelConfiguration",
        "prioritylevelconfigurations",
        has_status=True,
        keeps_metadata=True,
        counts=("spec",),
        columns=(NAME, Column("Type", field_cell("spec", "type")), AGE),
    ),
    Plain(*_DEVICES, "DeviceClass", "deviceclasses", counts=("spec",)),
    Plain(*_DEVICES, "ResourceClaim", "resourceclaims", namespaced=True, has_status=True, keeps_metadata=True),
    Plain(*_DEVICES, "ResourceClaimTemplate", "resourceclaimtemplates", namespaced=True),
    Plain(
        *_DEVICES,
        "ResourceSlice",
        "resourceslices",
        counts=("spec",),
        columns=(
            NAME,
            Column("Node", field_cell("spec", "nodeName")),
            Column("Driver", field_cell("spec", "driver")),
            Column("Pool", field_cell("spec", "pool", "name")),
            AGE,
        ),
    ),
)

PLAIN_KINDS: tuple[ServedKind, ...] = tuple(row.declare() for row in _ROWS)
