"""ServiceAccount admission: which account a pod runs as, and what it gets of it."""

from __future__ import annotations

import asyncio
from copy import deepcopy
from typing import Any

import pytest
from tests.server.serving import Reply, Serving, serving
from tests.virtual_time import on_virtual_time

from pvbinder.server.api.admission.service_accounts import ATTEMPT_SECONDS, ATTEMPTS_MAX, MOUNT_PATH, VOLUME_PREFIX
from pvbinder.server.files.scratch import scratch_directory

PODS = "/api/v1/namespaces/shop/pods"
ACCOUNTS = "/api/v1/namespaces/shop/serviceaccounts"
CONTAINER = {"name": "c", "image": "i"}

Json = dict[str, Any]


async def account(server: Serving, name: str = "default", **more: Any) -> None:
    metadata = {"name": name, **more.pop("metadata", {})}
    assert (await server.send("POST", ACCOUNTS, {"metadata": metadata, **more})).status == 201


async def make(server: Serving, *, annotations: Json | None = None, **spec: Any) -> Reply:
    metadata: Json = {"name": "p", "annotations": annotations or {}}
    return await server.send("POST", PODS, {"metadata": metadata, "spec": {"containers": [CONTAINER], **spec}})


def mounted(pod: Json) -> list[list[str]]:
    """What each container has at the place of the token: names of volumes, but for their random ends."""
    containers = (*pod["spec"].get("initContainers", ()), *pod["spec"]["containers"])
    return [
        [
            mount["name"][: len(VOLUME_PREFIX)]
            for mount in one.get("volumeMounts", ())
            if mount["mountPath"] == MOUNT_PATH
        ]
        for one in containers
    ]


NAMED: dict[str, tuple[Json, str]] = {
    "none": ({}, "default"),
    "one": ({"serviceAccountName": "robot"}, "robot"),
    "one, by the old field": ({"serviceAccount": "robot"}, "robot"),
}


@pytest.mark.parametrize(("spec", "name"), NAMED.values(), ids=NAMED.keys())
async def test_pod_accounts_1_a_pod_runs_as_the_account_that_it_names_or_as_default(
    tmp_path: Any, spec: Json, name: str
) -> None:
    async with serving(tmp_path, service_accounts=True) as server:
        await account(server)
        await account(server, "robot")
        made = (await make(server, **spec)).body["spec"]
        assert (made["serviceAccountName"], made["serviceAccount"]) == (name, name)


async def test_pod_accounts_1_an_unknown_account_is_refused(tmp_path: Any) -> None:
    async with serving(tmp_path, service_accounts=True) as server:
        await account(server)
        refused = await make(server, serviceAccountName="nobody")
        assert (refused.status, refused.message) == (
            403,
            'pods "p" is forbidden: error looking up service account shop/nobody: serviceaccount "nobody" not found',
        )


@on_virtual_time
async def test_pod_accounts_1_a_pod_waits_for_the_account_of_a_new_namespace() -> None:
    with scratch_directory() as directory:
        async with serving(directory, service_accounts=True) as server, asyncio.TaskGroup() as group:
            coming = group.create_task(make(server))
            await asyncio.sleep(ATTEMPT_SECONDS * (ATTEMPTS_MAX - 2))
            await account(server)
            assert (await coming).status == 201


@on_virtual_time
async def test_pod_accounts_1_it_waits_for_no_other_and_not_for_ever() -> None:
    with scratch_directory() as directory:
        async with serving(directory, service_accounts=True) as server:
            loop = asyncio.get_running_loop()
            begun = loop.time()
            assert (await make(server, serviceAccountName="robot")).status == 403
            assert (await server.send("POST", PODS.replace("shop", "gone"), {"spec": {}})).status == 404
            assert loop.time() == begun
            assert (await make(server)).status == 403
            assert loop.time() == pytest.approx(begun + ATTEMPTS_MAX * ATTEMPT_SECONDS)


AUTOMOUNT: dict[str, tuple[bool | None, bool | None, bool]] = {  # what the account says, what the pod says
    "nothing said": (None, None, True),
    "the account wants none": (False, None, False),
    "the pod wants none": (None, False, False),
    "the pod wants one all the same": (False, True, True),
    "the pod wants none all the same": (True, False, False),
}


@pytest.mark.parametrize(("of_account", "of_pod", "wanted"), AUTOMOUNT.values(), ids=AUTOMOUNT.keys())
async def test_pod_accounts_2_the_token_is_mounted_unless_somebody_wants_none(
    tmp_path: Any, of_account: bool | None, of_pod: bool | None, wanted: bool
) -> None:
    field = "automountServiceAccountToken"
    async with serving(tmp_path, service_accounts=True) as server:
        said: Json = {} if of_account is None else {field: of_account}
        asked: Json = {} if of_pod is None else {field: of_pod}
        await account(server, **said)
        pod = (await make(server, **asked)).body
        assert mounted(pod) == ([[VOLUME_PREFIX]] if wanted else [[]])
        assert bool(pod["spec"].get("volumes")) is wanted


async def test_pod_accounts_2_a_container_with_something_at_its_place_keeps_that(tmp_path: Any) -> None:
    own = {**CONTAINER, "volumeMounts": [{"name": "v", "mountPath": MOUNT_PATH}]}
    spec: Json = {
        "initContainers": [{**CONTAINER, "name": "first"}],
        "containers": [own, {**CONTAINER, "name": "d"}],
        "volumes": [{"name": "v", "emptyDir": {}}],
    }
    async with serving(tmp_path, service_accounts=True) as server:
        await account(server)
        pod = (await make(server, **spec)).body
        assert mounted(pod) == [[VOLUME_PREFIX], ["v"], [VOLUME_PREFIX]]
        names = [volume["name"] for volume in pod["spec"]["volumes"]]
        assert len(names) == 2
        alone = await server.send("POST", PODS, {"metadata": {"name": "q"}, "spec": {**spec, "containers": [own]}})
        assert len(alone.body["spec"]["volumes"]) == 2


async def test_pod_accounts_2_a_pod_that_has_the_volume_gets_no_second(tmp_path: Any) -> None:
    async with serving(tmp_path, service_accounts=True) as server:
        await account(server)
        first = (await make(server)).body["spec"]
        copied: Json = deepcopy({"containers": [CONTAINER], "volumes": first["volumes"]})
        second = await server.send("POST", PODS, {"metadata": {"name": "q"}, "spec": copied})
        assert second.body["spec"]["volumes"] == first["volumes"]
        assert second.body["spec"]["containers"][0]["volumeMounts"] == first["containers"][0]["volumeMounts"]


async def test_pod_accounts_3_pull_secrets_come_from_the_account_unless_the_pod_has_some(tmp_path: Any) -> None:
    async with serving(tmp_path, service_accounts=True) as server:
        await account(server, imagePullSecrets=[{"name": "a"}, {"name": "b"}])
        pod = (await make(server)).body
        assert pod["spec"]["imagePullSecrets"] == [{"name": "a"}, {"name": "b"}]
        own = {"containers": [CONTAINER], "imagePullSecrets": [{"name": "c"}]}
        other = await server.send("POST", PODS, {"metadata": {"name": "q"}, "spec": own})
        assert other.body["spec"]["imagePullSecrets"] == [{"name": "c"}]


MIRROR = {"kubernetes.io/config.mirror": "x"}
TOKEN_VOLUME = {"name": "v", "projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}}
MIRRORED: dict[str, tuple[Json, str | None]] = {
    "nothing": ({}, None),
    "an account": ({"serviceAccountName": "default"}, "a mirror pod may not reference service accounts"),
    "a secret's volume": (
        {"volumes": [{"name": "v", "secret": {"secretName": "s"}}]},
        "a mirror pod may not reference secrets",
    ),
    "a projected secret": (
        {"volumes": [{"name": "v", "projected": {"sources": [{"secret": {"name": "s"}}]}}]},
        "a mirror pod may not reference secrets",
    ),
    "a variable": (
        {
            "containers": [
                {**CONTAINER, "env": [{"name": "E", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]}
            ]
        },
        "a mirror pod may not reference secrets",
    ),
    "a pull secret": ({"imagePullSecrets": [{"name": "s"}]}, "a mirror pod may not reference secrets"),
    "a token": ({"volumes": [TOKEN_VOLUME]}, "a mirror pod may not use ServiceAccountToken volume projections"),
}


@pytest.mark.parametrize(("spec", "why"), MIRRORED.values(), ids=MIRRORED.keys())
async def test_pod_accounts_4_a_mirror_pod_stays_as_it_is(tmp_path: Any, spec: Json, why: str | None) -> None:
    async with serving(tmp_path, service_accounts=True) as server:
        await account(server)
        answer = await make(server, annotations=MIRROR, **spec)
        if why is not None:
            assert (answer.status, answer.message) == (403, f'pods "p" is forbidden: {why}')
            return
        assert answer.status == 201
        assert {"serviceAccountName", "volumes"}.isdisjoint(answer.body["spec"])


STRICT = {"annotations": {"kubernetes.io/enforce-mountable-secrets": "true"}}
ENDING = "is not allowed because service account strict does not reference that secret"
USED: dict[str, tuple[Json, str | None]] = {
    "its own": ({"volumes": [{"name": "v", "secret": {"secretName": "mine"}}]}, None),
    "another's volume": (
        {"volumes": [{"name": "v", "secret": {"secretName": "other"}}]},
        f'volume with secret.secretName="other" {ENDING}',
    ),
    "another's value": (
        {
            "containers": [
                {**CONTAINER, "env": [{"name": "E", "valueFrom": {"secretKeyRef": {"name": "other", "key": "k"}}}]}
            ]
        },
        f'container c with envVar E referencing secret.secretName="other" {ENDING}',
    ),
    "another's values": (
        {"initContainers": [{**CONTAINER, "name": "first", "envFrom": [{"secretRef": {"name": "other"}}]}]},
        f'init container first with envFrom referencing secret.secretName="other" {ENDING}',
    ),
    "another's pull secret": (
        {"imagePullSecrets": [{"name": "other"}]},
        f'imagePullSecrets[0].name="other" {ENDING.removesuffix("secret")}imagePullSecret',
    ),
}


@pytest.mark.parametrize(("spec", "why"), USED.values(), ids=USED.keys())
async def test_pod_accounts_5_an_account_may_keep_its_pods_from_other_secrets(
    tmp_path: Any, spec: Json, why: str | None
) -> None:
    async with serving(tmp_path, service_accounts=True) as server:
        await account(server, "strict", metadata=STRICT, secrets=[{"name": "mine"}])
        answer = await make(server, serviceAccountName="strict", **spec)
        assert answer.status == (201 if why is None else 403)
        if why is not None:
            assert answer.message == f'pods "p" is forbidden: {why}'


async def test_pod_accounts_6_a_pod_that_is_played_by_hand_gets_no_volume(tmp_path: Any) -> None:
    async with serving(tmp_path, service_accounts=True) as server:
        await account(server)
        spec = (await make(server, schedulerName="by-hand")).body["spec"]
        assert (spec["serviceAccountName"], spec.get("volumes")) == ("default", None)


async def test_where_it_is_switched_off_pods_have_no_account(tmp_path: Any) -> None:
    async with serving(tmp_path) as server:
        pod = (await make(server)).body
        assert {"serviceAccountName", "volumes"}.isdisjoint(pod["spec"])
