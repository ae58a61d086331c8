"""What containers of pods and of templates refuse, in the reference's words, and what they let pass.

Rules: docs/rules/apiserver.md#6-core-helpers
"""

from __future__ import annotations

import json

import pytest
from tests.server.kinds.writes import new, refusals

from pvbinder.server.kinds.built_in.pods import POD
from pvbinder.server.kinds.built_in.workloads import DEPLOYMENT
from pvbinder.server.objects.kind import Json

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
VARIABLE = "a valid environment variable name must consist only of printable ASCII characters other than '='"
READABLE = ", ".join(
    f'"{name}"'
    for name in (
        *("metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName"),
        *("status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs"),
    )
)
UNITS = "1, 1k, 1M, 1G, 1T, 1P, 1E, 1Ki, 1Mi, 1Gi, 1Ti, 1Pi, 1Ei"
PORT = "must be between 1 and 65535, inclusive"
AT = "spec.containers[0]"
VOLUMES = [
    {"name": "files", "emptyDir": {}},
    {"name": "block", "persistentVolumeClaim": {"claimName": "data"}},
]
HTTP = {"httpGet": {"port": 80}}
SELECTOR = {"matchLabels": {"app": "a"}}

# What is changed of a container that is right, and what is said of it.
CONTAINERS: dict[str, tuple[Json, list[str]]] = {
    "probes of all kinds": (
        {
            "livenessProbe": {"exec": {"command": ["true"]}, "terminationGracePeriodSeconds": 5},
            "readinessProbe": {**HTTP, "successThreshold": 3},
            "startupProbe": {"grpc": {"port": 9000}},
            "lifecycle": {"postStart": {"tcpSocket": {"port": "http"}}, "preStop": {"sleep": {"seconds": 30}}},
        },
        [],
    ),
    "a probe of no kind": ({"livenessProbe": {}}, [f"{AT}.livenessProbe: Required value: must specify a handler type"]),
    "a probe of two kinds": (
        {"livenessProbe": {**HTTP, "exec": {"command": ["a"]}}},
        [f"{AT}.livenessProbe.httpGet: Forbidden: may not specify more than 1 handler type"],
    ),
    "a probe that runs nothing": (
        {"startupProbe": {"exec": {}}},
        [f"{AT}.startupProbe.exec.command: Required value"],
    ),
    "a probe of no port": (
        {"readinessProbe": {"tcpSocket": {"port": 0}}},
        [f"{AT}.readinessProbe.tcpSocket.port: Invalid value: 0: {PORT}"],
    ),
    "a probe of a port's wrong name": (
        {"readinessProbe": {"tcpSocket": {"port": "a--b"}}},
        [f'{AT}.readinessProbe.tcpSocket.port: Invalid value: "a--b": must not contain consecutive hyphens'],
    ),
    "a probe of a wrong scheme, with a wrong header": (
        {"readinessProbe": {"httpGet": {"port": 80, "scheme": "ftp", "httpHeaders": [{"name": "a b", "value": ""}]}}},
        [
            f'{AT}.readinessProbe.httpGet.scheme: Unsupported value: "ftp": supported values: "HTTP", "HTTPS"',
            (
                f'{AT}.readinessProbe.httpGet.httpHeaders: Invalid value: "a b": a valid HTTP header must consist of '
                "alphanumeric characters or '-' (e.g. 'X-Header-Name', regex used for validation is '[-A-Za-z0-9]+')"
            ),
        ],
    ),
    "a probe that succeeds late": (
        {"livenessProbe": {**HTTP, "successThreshold": 2, "periodSeconds": -1}},
        [
            f"{AT}.livenessProbe.periodSeconds: Invalid value: -1: must be greater than or equal to 0",
            f"{AT}.livenessProbe.successThreshold: Invalid value: 2: must be 1",
        ],
    ),
    "a grace period where it can't be": (
        {"readinessProbe": {**HTTP, "terminationGracePeriodSeconds": 0}},
        [
            f"{AT}.readinessProbe.terminationGracePeriodSeconds: Invalid value: 0: must be greater than 0",
            (
                f"{AT}.readinessProbe.terminationGracePeriodSeconds: Invalid value: 0: "
                "must not be set for readinessProbes"
            ),
        ],
    ),
    "a hook of no kind": (
        {"lifecycle": {"preStop": {}}},
        [f"{AT}.lifecycle.preStop: Required value: must specify a handler type"],
    ),
    "a sleep longer than the end": (
        {"lifecycle": {"preStop": {"sleep": {"seconds": 31}}}},
        [
            (
                f"{AT}.lifecycle.preStop.sleep: Invalid value: 31: "
                "must be non-negative and less than terminationGracePeriodSeconds (30)"
            )
        ],
    ),
    "ports": (
        {"ports": [{"name": "a", "containerPort": 1}, {"name": "b", "containerPort": 2, "hostPort": 3}]},
        [],
    ),
    "a port's name that is wrong, and one that is there twice": (
        {"ports": [{"name": name, "containerPort": 1 + index} for index, name in enumerate(("A", "b", "b"))]},
        [
            (
                f'{AT}.ports[0].name: Invalid value: "A": '
                "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)"
            ),
            f'{AT}.ports[0].name: Invalid value: "A": must contain at least one letter (a-z)',
            f'{AT}.ports[2].name: Duplicate value: "b"',
        ],
    ),
    "a port of the node twice": (
        {"ports": [{"containerPort": number, "hostPort": 80} for number in (1, 2)]},
        [f'{AT}.ports[1].hostPort: Duplicate value: "TCP//80"'],
    ),
    "the same port of the node by two protocols": (
        {"ports": [{"containerPort": 1, "hostPort": 80, "protocol": protocol} for protocol in ("TCP", "UDP")]},
        [],
    ),
    "no port": (
        {"ports": [{"hostPort": 70000}]},
        [
            f"{AT}.ports[0].containerPort: Required value",
            f"{AT}.ports[0].hostPort: Invalid value: 70000: {PORT}",
        ],
    ),
    "variables from everywhere": (
        {
            "env": [
                {"name": "a", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['app']"}}},
                {"name": "b", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu", "divisor": "1m"}}},
                {"name": "c", "valueFrom": {"configMapKeyRef": {"name": "m", "key": "k"}}},
                {"name": "d", "valueFrom": {"fileKeyRef": {"volumeName": "files", "path": "a/b", "key": "K"}}},
            ],
            "envFrom": [{"prefix": "1 x", "secretRef": {"name": "s"}}],
        },
        [],
    ),
    "a variable with two values": (
        {"env": [{"name": "a", "value": "b", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]},
        [f'{AT}.env[0].valueFrom: Invalid value: "": may not be specified when `value` is not empty'],
    ),
    "a variable from nowhere, and one from two places": (
        {
            "env": [
                {"name": "a=b", "valueFrom": {}},
                {
                    "name": "b",
                    "valueFrom": {
                        "fieldRef": {"fieldPath": "status.podIP"},
                        "configMapKeyRef": {"name": "m", "key": "k"},
                    },
                },
            ]
        },
        [
            f'{AT}.env[0].name: Invalid value: "a=b": {VARIABLE}',
            (
                f'{AT}.env[0].valueFrom: Invalid value: "": must specify one of: `fieldRef`, `resourceFieldRef`, '
                "`configMapKeyRef`, `secretKeyRef` or `fileKeyRef`"
            ),
            f'{AT}.env[1].valueFrom: Invalid value: "": may not have more than one field specified at a time',
        ],
    ),
    "fields that variables can't have": (
        {
            "env": [
                {"name": "a", "valueFrom": {"fieldRef": {"fieldPath": path}}}
                for path in ("status.phase", "spec.nope", "metadata.name['a']", "metadata.labels['-']")
            ]
        },
        [
            (
                f'{AT}.env[0].valueFrom.fieldRef.fieldPath: Unsupported value: "status.phase": '
                f"supported values: {READABLE}"
            ),
            (
                f'{AT}.env[1].valueFrom.fieldRef.fieldPath: Invalid value: "spec.nope": '
                "error converting fieldPath: field label not supported: spec.nope"
            ),
            (
                f"{AT}.env[2].valueFrom.fieldRef.fieldPath: Invalid value: \"metadata.name['a']\": "
                "error converting fieldPath: field label does not support subscript: metadata.name['a']"
            ),
            f'{AT}.env[3].valueFrom.fieldRef: Invalid value: "-": {QUALIFIED}',
        ],
    ),
    "amounts that variables can't have": (
        {
            "env": [
                {"name": "a", "valueFrom": {"resourceFieldRef": {"resource": "limits.pods"}}},
                {"name": "b", "valueFrom": {"resourceFieldRef": {"resource": "requests.cpu", "divisor": "2"}}},
                {"name": "c", "valueFrom": {"resourceFieldRef": {"resource": "limits.memory", "divisor": "3Mi"}}},
                {"name": "d", "valueFrom": {"resourceFieldRef": {"resource": ""}}},
            ]
        },
        [
            (
                f'{AT}.env[0].valueFrom.resourceFieldRef.resource: Unsupported value: "limits.pods": supported values: '
                '"limits.cpu", "limits.ephemeral-storage", "limits.memory", "requests.cpu", '
                '"requests.ephemeral-storage", "requests.memory"'
            ),
            (
                f'{AT}.env[1].valueFrom.resourceFieldRef.divisor: Invalid value: "requests.cpu": '
                "only divisor's values 1m and 1 are supported with the cpu resource"
            ),
            (
                f'{AT}.env[2].valueFrom.resourceFieldRef.divisor: Invalid value: "limits.memory": '
                f"only divisor's values {UNITS} are supported with the memory resource"
            ),
            f"{AT}.env[3].valueFrom.resourceFieldRef.resource: Required value",
        ],
    ),
    "keys and files that can't be": (
        {
            "env": [
                {"name": "a", "valueFrom": {"secretKeyRef": {"name": "S", "key": ".."}}},
                {"name": "b", "valueFrom": {"fileKeyRef": {"volumeName": "block", "path": "../a"}}},
            ]
        },
        [
            f'{AT}.env[0].valueFrom.secretKeyRef.name: Invalid value: "S": {SUBDOMAIN}',
            f"{AT}.env[0].valueFrom.secretKeyRef.key: Invalid value: \"..\": must not be '..'",
            f"{AT}.env[1].valueFrom.fileKeyRef.key: Required value",
            f"{AT}.env[1].valueFrom.fileKeyRef.path: Invalid value: \"../a\": must not contain '..'",
            (
                f'{AT}.env[1].valueFrom.fileKeyRef.volumeName: Invalid value: "block": '
                "referenced volume must be of type emptyDir"
            ),
        ],
    ),
    "all variables of nothing, and of two": (
        {"envFrom": [{"prefix": "="}, {"configMapRef": {"name": "m"}, "secretRef": {"name": ""}}]},
        [
            f'{AT}.envFrom[0].prefix: Invalid value: "=": {VARIABLE}',
            f'{AT}.envFrom: Invalid value: "": must specify one of: `configMapRef` or `secretRef`',
            f"{AT}.envFrom[1].secretRef.name: Required value",
            f'{AT}.envFrom: Invalid value: "": may not have more than one field specified at a time',
        ],
    ),
    "mounts and devices": (
        {
            "volumeMounts": [
                {"name": "files", "mountPath": "/a", "subPath": "b"},
                {"name": "files", "mountPath": "/b", "subPathExpr": "$(A)", "recursiveReadOnly": "Disabled"},
            ],
            "volumeDevices": [{"name": "block", "devicePath": "/dev/a"}],
        },
        [],
    ),
    "mounts without names and places": (
        {"volumeMounts": [{"name": "", "mountPath": ""}, {"name": "nope", "mountPath": "/a"}]},
        [
            f"{AT}.volumeMounts[0].name: Required value",
            f'{AT}.volumeMounts[0].name: Not found: ""',
            f"{AT}.volumeMounts[0].mountPath: Required value",
            f'{AT}.volumeMounts[1].name: Not found: "nope"',
        ],
    ),
    "a place twice, and paths that lead out": (
        {
            "volumeMounts": [
                {"name": "files", "mountPath": "/a", "subPath": "/b/.."},
                {"name": "files", "mountPath": "/a", "subPath": "c", "subPathExpr": "d"},
            ]
        },
        [
            f'{AT}.volumeMounts.subPath: Invalid value: "/b/..": must be a relative path',
            f"{AT}.volumeMounts.subPath: Invalid value: \"/b/..\": must not contain '..'",
            f'{AT}.volumeMounts[1].mountPath: Invalid value: "/a": must be unique',
            f'{AT}.volumeMounts[1].subPathExpr: Invalid value: "d": subPathExpr and subPath are mutually exclusive',
        ],
    ),
    "mounts that are passed on": (
        {
            "volumeMounts": [
                {"name": "files", "mountPath": "/a", "mountPropagation": "Bidirectional"},
                {
                    "name": "files",
                    "mountPath": "/b",
                    "mountPropagation": "HostToContainer",
                    "recursiveReadOnly": "Enabled",
                },
                {"name": "files", "mountPath": "/c", "mountPropagation": "x", "recursiveReadOnly": "y"},
            ]
        },
        [
            (
                f"{AT}.volumeMounts.mountPropagation: Forbidden: "
                "Bidirectional mount propagation is available only to privileged containers"
            ),
            f"{AT}.volumeMounts.recursiveReadOnly: Forbidden: may only be specified when readOnly is true",
            (
                f"{AT}.volumeMounts.recursiveReadOnly: Forbidden: "
                "may only be specified when mountPropagation is None or not specified"
            ),
            (
                f'{AT}.volumeMounts.mountPropagation: Unsupported value: "x": '
                'supported values: "Bidirectional", "HostToContainer", "None"'
            ),
            (
                f'{AT}.volumeMounts.recursiveReadOnly: Unsupported value: "y": '
                'supported values: "Disabled", "Enabled", "IfPossible"'
            ),
        ],
    ),
    "devices of files, without names, twice": (
        {
            "volumeDevices": [
                {"name": "files", "devicePath": "../a"},
                {"name": "", "devicePath": ""},
                {"name": "block", "devicePath": "/b"},
                {"name": "block", "devicePath": "/b"},
            ]
        },
        [
            (
                f'{AT}.volumeDevices[0].name: Invalid value: "files": '
                "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode"
            ),
            f"{AT}.volumeDevices[0].devicePath: Invalid value: \"../a\": can not contain backsteps ('..')",
            f"{AT}.volumeDevices[1].name: Required value",
            f'{AT}.volumeDevices[1].name: Not found: ""',
            f"{AT}.volumeDevices[1].devicePath: Required value",
            f'{AT}.volumeDevices[3].name: Invalid value: "block": must be unique',
            f'{AT}.volumeDevices[3].devicePath: Invalid value: "/b": must be unique',
        ],
    ),
    "a mount that is a device, too": (
        {
            "volumeMounts": [{"name": "block", "mountPath": "/a"}],
            "volumeDevices": [{"name": "block", "devicePath": "/a"}],
        },
        [
            f'{AT}.volumeMounts[0].name: Invalid value: "block": must not already exist in volumeDevices',
            f'{AT}.volumeMounts[0].mountPath: Invalid value: "/a": must not already exist as a path in volumeDevices',
            f'{AT}.volumeDevices[0].name: Invalid value: "block": must not already exist in volumeMounts',
            f'{AT}.volumeDevices[0].devicePath: Invalid value: "/a": must not already exist as a path in volumeMounts',
        ],
    ),
    "rights": (
        {
            "securityContext": {
                "runAsUser": 0,
                "allowPrivilegeEscalation": False,
                "seccompProfile": {"type": "Localhost", "localhostProfile": "a.json"},
                "appArmorProfile": {"type": "RuntimeDefault"},
            }
        },
        [],
    ),
    "users that can't be, and all of the node's processes": (
        {"securityContext": {"runAsUser": -1, "runAsGroup": 2**31, "procMount": "Unmasked"}},
        [
            f"{AT}.securityContext.runAsUser: Invalid value: -1: must be between 0 and 2147483647, inclusive",
            f"{AT}.securityContext.runAsGroup: Invalid value: 2147483648: must be between 0 and 2147483647, inclusive",
            (f'{AT}.securityContext.procMount: Invalid value: "Unmasked": `hostUsers` must be false to use `Unmasked`'),
        ],
    ),
    "profiles that can't be": (
        {
            "securityContext": {
                "procMount": "x",
                "seccompProfile": {"type": "Unconfined", "localhostProfile": "a"},
                "appArmorProfile": {"type": "Localhost"},
            }
        },
        [
            f'{AT}.securityContext.procMount: Unsupported value: "x": supported values: "Default", "Unmasked"',
            (
                f"{AT}.securityContext.seccompProfile.localhostProfile: Invalid value: "
                '{"Type":"Unconfined","LocalhostProfile":"a"}: can only be set when seccomp type is Localhost'
            ),
            (
                f"{AT}.securityContext.appArmorProfile.localhostProfile: Required value: "
                "must be set when AppArmor type is Localhost"
            ),
        ],
    ),
    "privileges that don't escalate": (
        {"securityContext": {"allowPrivilegeEscalation": False, "privileged": True}},
        [
            (
                f"{AT}.securityContext: Invalid value: "
                '{"Capabilities":null,"Privileged":true,"SELinuxOptions":null,"WindowsOptions":null,"RunAsUser":null,'
                '"RunAsGroup":null,"RunAsNonRoot":null,"ReadOnlyRootFilesystem":null,"AllowPrivilegeEscalation":false,'
                '"ProcMount":null,"SeccompProfile":null,"AppArmorProfile":null}: '
                "cannot set `allowPrivilegeEscalation` to false and `privileged` to true"
            )
        ],
    ),
    "a restart of its own": (
        {
            "restartPolicy": "Never",
            "restartPolicyRules": [{"action": "Restart", "exitCodes": {"operator": "In", "values": [1]}}],
        },
        [],
    ),
    "rules of restart that can't be": (
        {"restartPolicyRules": [{"action": "x"}, {"action": "Restart", "exitCodes": {"operator": "y"}}]},
        [
            f"{AT}.restartPolicy: Required value: must specify restartPolicy when restart rules are used",
            (
                f'{AT}.restartPolicyRules[0].action: Unsupported value: "x": '
                'supported values: "Restart", "RestartAllContainers"'
            ),
            f"{AT}.restartPolicyRules[0].exitCodes: Required value: must be specified",
            (f'{AT}.restartPolicyRules[1].exitCodes.operator: Unsupported value: "y": supported values: "In", "NotIn"'),
        ],
    ),
    "resizes that can't be": (
        {"resizePolicy": [{"resourceName": "cpu", "restartPolicy": "x"}, {"resourceName": "cpu"}]},
        [
            f'{AT}.resizePolicy: Unsupported value: "x": supported values: "NotRequired", "RestartContainer"',
            f'{AT}.resizePolicy[1]: Duplicate value: "cpu"',
            f"{AT}.resizePolicy: Required value",
        ],
    ),
    "a claim that the pod hasn't": (
        {"resources": {"claims": [{"name": "gpu"}]}},
        [
            (
                f'{AT}.resources.claims[0]: Not found: "gpu": '
                "must be one of the names in pod.spec.resourceClaims which is empty"
            )
        ],
    ),
}


def pod(spec: Json, container: Json | None = None) -> Json:
    first = {"name": "c", "image": "nginx", **(container or {})}
    return new("p", spec=json.loads(json.dumps({"containers": [first], "volumes": VOLUMES, **spec})))


@pytest.mark.parametrize(("container", "said"), CONTAINERS.values(), ids=CONTAINERS)
def test_containers(container: Json, said: list[str]) -> None:
    assert refusals(POD, pod({}, container)) == said


@pytest.mark.parametrize(
    ("container", "said"),
    [pytest.param(*CONTAINERS[name], id=name) for name in ("rights", "a probe of no kind", "ports")],
)
def test_containers_of_templates_are_checked_the_same(container: Json, said: list[str]) -> None:
    template = {"metadata": {"labels": {"app": "a"}}, "spec": pod({}, container)["spec"]}
    obj = new("d", spec={"selector": SELECTOR, "template": template})
    assert refusals(DEPLOYMENT, obj) == [f"spec.template.{each}" for each in said]
