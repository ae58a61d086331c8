"""What the volumes of pods refuse, in the reference's words.

Rules: docs/rules/apiserver.md#6-core-helpers
"""

from __future__ import annotations

import pytest
from tests.server.kinds.writes import new, refusals, stored

from pvbinder.server.kinds.built_in.pods import POD
from pvbinder.server.objects.kind import Json

AT = "spec.volumes[0]"
MODE = "must be a number between 0 and 0777 (octal), both inclusive"
NAME = {"fieldRef": {"fieldPath": "metadata.name"}}
TOKEN = {"path": "token", "expirationSeconds": 600}
CPU = {"containerName": "c", "resource": "limits.cpu"}

VOLUMES: dict[str, tuple[Json, list[str]]] = {
    "keys": ({"secret": {"secretName": "s", "items": [{"key": "k", "path": "a/b", "mode": 0o400}]}}, []),
    "keys that can't be": (
        {
            "configMap": {
                "name": "",
                "defaultMode": 0o1000,
                "items": [{"key": "", "path": "/a/.."}, {"key": "k", "path": "..a", "mode": -1}],
            }
        },
        [
            f"{AT}.configMap.name: Required value",
            f"{AT}.configMap.defaultMode: Invalid value: 512: {MODE}",
            f"{AT}.configMap.items[0].key: Required value",
            f'{AT}.configMap.items[0].path: Invalid value: "/a/..": must be a relative path',
            f"{AT}.configMap.items[0].path: Invalid value: \"/a/..\": must not contain '..'",
            f"{AT}.configMap.items[1].path: Invalid value: \"..a\": must not start with '..'",
            f"{AT}.configMap.items[1].mode: Invalid value: -1: {MODE}",
        ],
    ),
    "fields of the pod": (
        {"downwardAPI": {"items": [{"path": "a", **NAME}, {"path": "b", "resourceFieldRef": CPU}]}},
        [],
    ),
    "fields of the pod that can't be": (
        {
            "downwardAPI": {
                "items": [
                    {"path": ""},
                    {"path": "a", "fieldRef": {"fieldPath": "status.podIP"}, "resourceFieldRef": CPU},
                    {"path": "b", "resourceFieldRef": {"resource": "limits.cpu"}},
                ]
            }
        },
        [
            f"{AT}.downwardAPI.path: Required value",
            f"{AT}.downwardAPI: Required value: one of fieldRef and resourceFieldRef is required",
            (
                f'{AT}.downwardAPI.fieldRef.fieldPath: Unsupported value: "status.podIP": supported values: '
                '"metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid"'
            ),
            (
                f'{AT}.downwardAPI: Invalid value: "resource": '
                "fieldRef and resourceFieldRef can not be specified simultaneously"
            ),
            f"{AT}.downwardAPI.resourceFieldRef.containerName: Required value",
        ],
    ),
    "files from everywhere": (
        {
            "projected": {
                "sources": [
                    {"secret": {"name": "s", "items": [{"key": "k", "path": "a"}]}},
                    {"configMap": {"name": "m", "items": [{"key": "k", "path": "b"}]}},
                    {"downwardAPI": {"items": [{"path": "c", **NAME}]}},
                    {"serviceAccountToken": TOKEN},
                ]
            }
        },
        [],
    ),
    "files at the same place": (
        {
            "projected": {
                "sources": [
                    {"secret": {"name": "s", "items": [{"key": "k", "path": "a"}]}},
                    {"configMap": {"name": "m", "items": [{"key": "k", "path": "a"}]}},
                    {"downwardAPI": {"items": [{"path": "a", **NAME}]}},
                ]
            }
        },
        [
            f'{AT}.projected: Invalid value: "m": conflicting duplicate paths',
            f'{AT}.projected: Invalid value: "a": conflicting duplicate paths',
        ],
    ),
    "two in one, and short and strange tokens": (
        {
            "projected": {
                "defaultMode": -1,
                "sources": [
                    {"secret": {"name": "s"}, "configMap": {"name": ""}},
                    {"serviceAccountToken": {"path": "", "expirationSeconds": 599}},
                    {"serviceAccountToken": {"path": "../a", "expirationSeconds": 2**32 + 1}},
                ],
            }
        },
        [
            f"{AT}.projected.defaultMode: Invalid value: -1: {MODE}",
            f"{AT}.projected.sources[0].configMap.name: Required value",
            f"{AT}.projected.sources[0]: Forbidden: may not specify more than 1 volume type per source",
            (
                f"{AT}.projected.sources[1].serviceAccountToken.expirationSeconds: Invalid value: 599: "
                "may not specify a duration less than 10 minutes"
            ),
            f"{AT}.projected.path: Required value",
            (
                f"{AT}.projected.sources[2].serviceAccountToken.expirationSeconds: Invalid value: 4294967297: "
                "may not specify a duration larger than 2^32 seconds"
            ),
            f"{AT}.projected.path: Invalid value: \"../a\": must not contain '..'",
        ],
    ),
    "two sources": (
        {"emptyDir": {}, "downwardAPI": {}, "cephfs": {}, "csi": {"driver": "d"}},
        [
            f"{AT}.{field}: Forbidden: may not specify more than 1 volume type"
            for field in ("cephFS", "downwarAPI", "csi")
        ],
    ),
    "an image without a name": ({"image": {}}, [f"{AT}.image.reference: Required value"]),
    "a repository": (
        {"gitRepo": {"repository": "", "directory": ".."}},
        [
            f"{AT}.gitRepo.repository: Required value",
            f"{AT}.gitRepo.directory: Invalid value: \"..\": must not contain '..'",
        ],
    ),
    "a disk in a cloud": (
        {"awsElasticBlockStore": {"volumeID": "v", "partition": 256}},
        [(f"{AT}.awsElasticBlockStore.partition: Invalid value: 256: must be between 1 and 255, inclusive")],
    ),
    "a secret without a name": (
        {"cinder": {"volumeID": "v", "secretRef": {"name": ""}}},
        [f"{AT}.cinder.secretRef.name: Required value"],
    ),
    "files of a cloud": (
        {"azureFile": {"secretName": "s", "shareName": ""}},
        [f"{AT}.azureFile.shareName: Required value"],
    ),
}


def pod(source: Json, name: str = "p") -> Json:
    spec = {
        "containers": [{"name": "c", "image": "a"}],
        "volumes": [{"name": "v", **source}],
        "serviceAccountName": "a",
    }
    return new(name, spec=spec)


@pytest.mark.parametrize(("source", "said"), VOLUMES.values(), ids=VOLUMES)
def test_volumes(source: Json, said: list[str]) -> None:
    assert refusals(POD, pod(source)) == said


def test_a_token_needs_an_account() -> None:
    refused = pod({"projected": {"sources": [{"serviceAccountToken": TOKEN}]}})
    del refused["spec"]["serviceAccountName"]
    assert refusals(POD, refused) == [
        (
            f"{AT}.projected.sources[0].serviceAccountToken: Forbidden: must not be specified when "
            "serviceAccountName is not set"
        )
    ]


def test_the_claim_of_an_ephemeral_volume_must_have_a_possible_name() -> None:
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    source = {"ephemeral": {"volumeClaimTemplate": {"spec": claim}}}
    assert refusals(POD, pod(source)) == []
    name = "a" * 252
    assert refusals(POD, pod(source, name)) == [
        f'{AT}.name: Invalid value: "v": PVC name "{name}-v": must be no more than 253 characters'
    ]


@pytest.mark.parametrize(("reference", "policy"), [("a", "Always"), ("a:1", "IfNotPresent")])
def test_an_image_is_pulled_as_a_containers_is(reference: str, policy: str) -> None:
    volume = stored(POD, pod({"image": {"reference": reference}}))["spec"]["volumes"][0]
    assert volume["image"]["pullPolicy"] == policy
