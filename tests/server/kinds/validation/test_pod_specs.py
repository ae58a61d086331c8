"""What pods and templates of pods refuse, in the reference's words, and what they let pass.

Rules: docs/rules/apiserver.md#6-core-helpers
"""

from __future__ import annotations

import json

import pytest
from tests.server.kinds.writes import change_refusals, new, refusals, stored

from pvbinder.server.kinds.built_in.pods import POD
from pvbinder.server.kinds.built_in.workloads import DEPLOYMENT
from pvbinder.server.objects.kind import Json

LABEL = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with "
    "an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
SUBDOMAIN = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
QUALIFIED = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric "
    "character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
    "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)
VOLUMES = [
    {"name": "files", "emptyDir": {}},
    {"name": "block", "persistentVolumeClaim": {"claimName": "data"}},
]
HTTP = {"httpGet": {"port": 80}}
OF_NODE = {"hostNetwork": True}
SELECTOR = {"matchLabels": {"app": "a"}}


def pod(spec: Json, container: Json | None = None) -> Json:
    first = {"name": "c", "image": "nginx", **(container or {})}
    return new("p", spec=json.loads(json.dumps({"containers": [first], "volumes": VOLUMES, **spec})))


OTHER = {"name": "d", "image": "busybox"}
EVEN = {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule", "labelSelector": SELECTOR}
NEAR = {"topologyKey": "zone", "labelSelector": SELECTOR}
PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
CLAIM = '{"Name":"a","ResourceClaimName":null,"ResourceClaimTemplateName":null}'

PODS: dict[str, tuple[Json, list[str]]] = {
    "a container beside the others": (
        {"initContainers": [{**OTHER, "restartPolicy": "Always", "readinessProbe": HTTP}]},
        [],
    ),
    "a container before the others with what it can't have": (
        {"initContainers": [{**OTHER, "name": "c", "lifecycle": {}, "livenessProbe": HTTP}]},
        [
            'spec.initContainers[0].name: Duplicate value: "c"',
            (
                "spec.initContainers[0].lifecycle: Forbidden: "
                "may not be set for init containers without restartPolicy=Always"
            ),
            (
                "spec.initContainers[0].livenessProbe: Forbidden: "
                "may not be set for init containers without restartPolicy=Always"
            ),
        ],
    ),
    "a container for debugging in a new pod, with what it can't have": (
        {
            "ephemeralContainers": [
                {
                    **OTHER,
                    "targetContainerName": "nope",
                    "ports": [{"containerPort": 1}],
                    "volumeMounts": [{"name": "files", "mountPath": "/a", "subPath": "b"}],
                }
            ]
        },
        [
            'spec.ephemeralContainers[0].targetContainerName: Not found: "nope"',
            "spec.ephemeralContainers[0].ports: Forbidden: cannot be set for an Ephemeral Container",
            (
                "spec.ephemeralContainers[0].volumeMounts[0].subPath: Forbidden: "
                "cannot be set for an Ephemeral Container"
            ),
            "spec.ephemeralContainers: Forbidden: cannot be set on create",
        ],
    ),
    "no containers": ({"containers": []}, ["spec.containers: Required value"]),
    "another port of the node's network": (
        {**OF_NODE, "containers": [{**OTHER, "ports": [{"containerPort": 1, "hostPort": 2}]}]},
        [
            (
                "spec.containers[0].ports[0].hostPort: Invalid value: 2: "
                "must match `containerPort` when `hostNetwork` is true"
            )
        ],
    ),
    "spaces around an image": (
        {"containers": [{"name": "c", "image": " a"}]},
        ['spec.containers[0].image: Invalid value: " a": must not have leading or trailing whitespace'],
    ),
    "rights of all": (
        {"securityContext": {"fsGroup": 1, "sysctls": [{"name": "kernel/shm_rmid_forced", "value": "1"}]}},
        [],
    ),
    "rights that can't be": (
        {
            **OF_NODE,
            "hostPID": True,
            "shareProcessNamespace": True,
            "securityContext": {
                "supplementalGroups": [-1],
                "sysctls": [{"name": "A"}, {"name": "net.core.somaxconn", "value": "1"}],
                "fsGroupChangePolicy": "x",
                "seccompProfile": {"type": "y"},
            },
        },
        [
            (
                "spec.securityContext.supplementalGroups[0]: Invalid value: -1: "
                "must be between 0 and 2147483647, inclusive"
            ),
            (
                "spec.securityContext.shareProcessNamespace: Invalid value: true: "
                "ShareProcessNamespace and HostPID cannot both be enabled"
            ),
            (
                'spec.securityContext.sysctls[0].name: Invalid value: "A": must have at most 253 characters and '
                "match regex ^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$"
            ),
            (
                'spec.securityContext.sysctls[1].name: Invalid value: "net.core.somaxconn": '
                "may not be specified when 'hostNetwork' is true"
            ),
            (
                'spec.securityContext.fsGroupChangePolicy: Unsupported value: "x": '
                'supported values: "Always", "OnRootMismatch"'
            ),
            (
                'spec.securityContext.seccompProfile.type: Unsupported value: "y": '
                'supported values: "Localhost", "RuntimeDefault", "Unconfined"'
            ),
        ],
    ),
    "users of its own on the node's network": (
        {**OF_NODE, "hostUsers": False, "hostIPC": True},
        [
            "spec.hostNetwork: Forbidden: when `hostUsers` is false",
            "spec.HostIPC: Forbidden: when `hostUsers` is false",
        ],
    ),
    "affinity": (
        {
            "affinity": {
                "podAffinity": {REQUIRED: [NEAR], PREFERRED: [{"weight": 100, "podAffinityTerm": NEAR}]},
                "nodeAffinity": {
                    PREFERRED: [
                        {
                            "weight": 1,
                            "preference": {
                                "matchExpressions": [{"key": "a", "operator": "In", "values": ["any value"]}]
                            },
                        }
                    ]
                },
            }
        },
        [],
    ),
    "affinity that can't be": (
        {
            "affinity": {
                "nodeAffinity": {PREFERRED: [{"weight": 0, "preference": {}}]},
                "podAntiAffinity": {
                    REQUIRED: [{"labelSelector": SELECTOR, "namespaces": ["A"]}],
                    PREFERRED: [{"weight": 101, "podAffinityTerm": {"topologyKey": "a", "matchLabelKeys": ["b"]}}],
                },
            }
        },
        [
            f"spec.affinity.nodeAffinity.{PREFERRED}[0].weight: Invalid value: 0: must be in the range 1-100",
            f'spec.affinity.podAntiAffinity.{REQUIRED}[0].namespace: Invalid value: "A": {LABEL}',
            f"spec.affinity.podAntiAffinity.{REQUIRED}[0].topologyKey: Required value: can not be empty",
            (
                f'spec.affinity.podAntiAffinity.{REQUIRED}[0].topologyKey: Invalid value: "": '
                "name part must be non-empty"
            ),
            f'spec.affinity.podAntiAffinity.{REQUIRED}[0].topologyKey: Invalid value: "": {QUALIFIED}',
            f"spec.affinity.podAntiAffinity.{PREFERRED}[0].weight: Invalid value: 101: must be in the range 1-100",
            (
                f"spec.affinity.podAntiAffinity.{PREFERRED}[0].podAffinityTerm.matchLabelKeys: Forbidden: "
                "must not be specified when labelSelector is not set"
            ),
        ],
    ),
    "spread": ({"topologySpreadConstraints": [EVEN, {**EVEN, "whenUnsatisfiable": "ScheduleAnyway"}]}, []),
    "spread that can't be": (
        {
            "topologySpreadConstraints": [
                EVEN,
                {**EVEN, "minDomains": 0},
                {"maxSkew": 0, "topologyKey": "", "whenUnsatisfiable": "x", "minDomains": 1, "nodeTaintsPolicy": "y"},
            ]
        },
        [
            (
                "spec.topologySpreadConstraints[0].{topologyKey, whenUnsatisfiable}: "
                'Duplicate value: "{zone, DoNotSchedule}"'
            ),
            "spec.topologySpreadConstraints[1].minDomains: Invalid value: 0: must be greater than zero",
            "spec.topologySpreadConstraints[2].maxSkew: Invalid value: 0: must be greater than zero",
            "spec.topologySpreadConstraints[2].topologyKey: Required value: can not be empty",
            (
                'spec.topologySpreadConstraints[2].whenUnsatisfiable: Unsupported value: "x": '
                'supported values: "DoNotSchedule", "ScheduleAnyway"'
            ),
            (
                "spec.topologySpreadConstraints[2].minDomains: Invalid value: 1: "
                "can only use minDomains if whenUnsatisfiable=DoNotSchedule, not x"
            ),
            (
                'spec.topologySpreadConstraints[2].nodeTaintsPolicy: Unsupported value: "y": '
                'supported values: "Honor", "Ignore"'
            ),
        ],
    ),
    "names looked up": (
        {
            "dnsPolicy": "None",
            "dnsConfig": {"nameservers": ["10.0.0.1"], "searches": [".", "_a.example.com."]},
            "hostAliases": [{"ip": "10.0.0.1", "hostnames": ["a.example.com"]}],
        },
        [],
    ),
    "names looked up nowhere": (
        {"dnsPolicy": "None"},
        ["spec.dnsConfig: Required value: must provide `dnsConfig` when `dnsPolicy` is None"],
    ),
    "names looked up where it can't be": (
        {
            "dnsConfig": {"nameservers": ["10.0.0.1", "a", "::1", "::2"], "options": [{"value": "1"}]},
            "hostAliases": [{"ip": "b", "hostnames": ["A"]}],
        },
        [
            (
                'spec.dnsConfig.nameservers: Invalid value: ["10.0.0.1","a","::1","::2"]: '
                "must not have more than 3 nameservers"
            ),
            (
                'spec.dnsConfig.nameservers[1]: Invalid value: "a": '
                "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
            ),
            "spec.dnsConfig.options[0]: Required value: must not be empty",
            (
                'spec.hostAliases[0].ip: Invalid value: "b": '
                "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
            ),
            f'spec.hostAliases[0].hostnames[0]: Invalid value: "A": {SUBDOMAIN}',
        ],
    ),
    "another host's name": (
        {**OF_NODE, "hostnameOverride": "a"},
        ["spec.hostnameOverride: Forbidden: may not be specified when hostNetwork is true"],
    ),
    "gates": (
        {"schedulingGates": [{"name": "example.com/a"}], "readinessGates": [{"conditionType": "example.com/b"}]},
        [],
    ),
    "gates that can't be": (
        {
            "nodeName": "n",
            "schedulingGates": [{"name": "a"}, {"name": "a"}],
            "readinessGates": [{"conditionType": "-"}],
        },
        [
            f'spec.readinessGates[0].conditionType: Invalid value: "-": {QUALIFIED}',
            'spec.schedulingGates[1]: Duplicate value: "a"',
            "spec.nodeName: Forbidden: cannot be set until all schedulingGates have been cleared",
        ],
    ),
    "claims of devices": (
        {
            "resourceClaims": [{"name": "gpu", "resourceClaimName": "g"}],
            "containers": [{**OTHER, "resources": {"claims": [{"name": "gpu"}]}}],
        },
        [],
    ),
    "claims of devices that can't be": (
        {
            "resourceClaims": [{"name": "a"}, {"name": "a", "resourceClaimTemplateName": "A"}],
            "containers": [{**OTHER, "resources": {"claims": [{"name": "b"}, {"name": "a"}, {"name": "a"}]}}],
        },
        [
            (
                f"spec.resourceClaims[0]: Invalid value: {CLAIM}: "
                "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`"
            ),
            'spec.resourceClaims[1].name: Duplicate value: "a"',
            f'spec.resourceClaims[1].resourceClaimTemplateName: Invalid value: "A": {SUBDOMAIN}',
            (
                'spec.containers[0].resources.claims[0]: Not found: "b": '
                "must be one of the names in pod.spec.resourceClaims: a"
            ),
            'spec.containers[0].resources.claims[2]: Duplicate value: "a"',
        ],
    ),
    "tolerations": (
        {
            "tolerations": [
                {"key": "a", "operator": "Exists", "value": "b"},
                {"key": "a", "operator": "Lt", "value": "1"},
                {"key": "a", "operator": "x"},
            ]
        },
        [
            "spec.tolerations[0].operator: Invalid value: \"b\": value must be empty when `operator` is 'Exists'",
            'spec.tolerations[1].operator: Unsupported value: "Lt": supported values: "Equal", "Exists", "Lt", "Gt"',
            'spec.tolerations[2].operator: Unsupported value: "x": supported values: "Equal", "Exists"',
        ],
    ),
}


@pytest.mark.parametrize(("spec", "said"), PODS.values(), ids=PODS)
def test_pods(spec: Json, said: list[str]) -> None:
    assert refusals(POD, pod(spec)) == said


def test_a_template_may_have_an_image_with_spaces_and_leave_ports_of_the_node_to_its_pods() -> None:
    container = {"name": "c", "image": " ", "ports": [{"containerPort": 80}]}
    template = {"metadata": {"labels": {"app": "a"}}, "spec": {**OF_NODE, "containers": [container]}}
    assert refusals(DEPLOYMENT, new("d", spec={"selector": SELECTOR, "template": template})) == []


def test_selectors_ask_for_the_pods_own_values_of_labels() -> None:
    term = {**NEAR, "matchLabelKeys": ["rev", "none"], "mismatchLabelKeys": ["tenant"]}
    obj = pod(
        {
            "affinity": {"podAffinity": {REQUIRED: [term]}},
            "topologySpreadConstraints": [{**EVEN, "matchLabelKeys": ["rev"]}],
        }
    )
    obj["metadata"]["labels"] = {"rev": "1", "tenant": "t"}
    spec = stored(POD, obj)["spec"]
    own = {"key": "rev", "operator": "In", "values": ["1"]}
    assert spec["topologySpreadConstraints"][0]["labelSelector"] == {**SELECTOR, "matchExpressions": [own]}
    assert spec["affinity"]["podAffinity"][REQUIRED][0]["labelSelector"]["matchExpressions"] == [
        own,
        {"key": "tenant", "operator": "NotIn", "values": ["t"]},
    ]
    twice = pod({"topologySpreadConstraints": [{**EVEN, "matchLabelKeys": ["app"]}]})
    twice["metadata"]["labels"] = {"app": "a"}
    assert refusals(POD, twice) == [
        ('spec.topologySpreadConstraints[0][0]: Invalid value: "app": exists in both matchLabelKeys and labelSelector')
    ]


def test_a_container_for_debugging_comes_later() -> None:
    old = stored(POD, pod({}))
    right = {"spec": {"ephemeralContainers": [{**OTHER, "targetContainerName": "c"}]}}
    assert change_refusals(POD, old, right, "ephemeralcontainers") == []
    wrong = {"spec": {"ephemeralContainers": [{**OTHER, "name": "c", "livenessProbe": HTTP}]}}
    assert change_refusals(POD, old, wrong, "ephemeralcontainers") == [
        'spec.ephemeralContainers[0].name: Duplicate value: "c"',
        "spec.ephemeralContainers[0].livenessProbe: Forbidden: cannot be set for an Ephemeral Container",
    ]
