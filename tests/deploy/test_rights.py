"""The controllers as they are deployed, with the token of their service account: what they ask for is what they may.

What is asked is recorded where the server judges it. A few recorded scenarios and some stories of ours reach each rule;
`test_all_scenarios` plays them all, when it is asked for (`-m soak`).
"""

from __future__ import annotations

import asyncio
import json
import os
import ssl
import sys
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml
from tests.cli.test_controller import free_port
from tests.controllers.cluster import claim, storage_class, volume
from tests.deploy.manifests import MANIFESTS, Json, container_of, objects_in, only
from tests.plane.test_control_plane import options

from pvbinder.controllers.rights import RIGHTS
from pvbinder.kube.client import Client
from pvbinder.kube.kinds import CLAIMS, EVENTS, STORAGE_CLASSES, VOLUMES, metadata_of
from pvbinder.kube.transport import Request
from pvbinder.model.resources import PODS
from pvbinder.plane.control_plane import Plane, control_plane
from pvbinder.server.identity.attributes import Attributes
from pvbinder.server.identity.authorization import Decision
from pvbinder.server.identity.authorization.rbac import Rbac
from pvbinder.server.requests import UserInfo

pytestmark = [pytest.mark.slow, pytest.mark.kubectl]

DEADLINE_SECONDS = 100
ALL_DEADLINE_SECONDS = 1200
ACCOUNT = "system:serviceaccount:kube-system:pvbinder-controller"
TOP = Path(__file__).resolve().parent.parent.parent
RECORDED = TOP / "tests" / "conformance" / "volumes" / "scenarios"
SCENARIOS = (  # which reach all rules, together with the stories below
    "attributes-class-match",
    "expand-migrated",
    "lost-volume-deleted",
    "provision-hostpath",
    "reclaim-delete-hostpath",
    "reclaim-recycle-hostpath",
    "reclaim-retain",
)
AS_RECORDED = ("--sync-period=2s", "--enable-hostpath-provisioner", "--bind-address=127.0.0.1")
METRICS_READER = "pvbinder-metrics-reader"
NEVER_ASKED = {  # on this server; who asks for it says the manifest
    ("", "pods/finalizers", "update", "", ""),
}
Right = tuple[str, str, str, str, str]  # group, resource, verb; the one namespace or name that it is for


class Requests:
    """What the service account asked the server for, and whether it might."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, account: str = ACCOUNT) -> None:
        self.asked: list[Attributes] = []
        self.refused: list[Attributes] = []
        judge = Rbac.authorize

        def authorize(rbac: Rbac, user: UserInfo, attributes: Attributes) -> Decision:
            decision = judge(rbac, user, attributes)
            if user.name == account and attributes.is_resource:
                (self.asked if decision.allowed else self.refused).append(attributes)
            return decision

        monkeypatch.setattr(Rbac, "authorize", authorize)

    def use(self, right: Right) -> bool:
        """Tell whether anything was asked that needs `right`: a list that came as a watch might have needed pages."""
        group, resource, verb, namespace, name = right
        verbs = ("list", "watch") if verb == "list" else (verb,)
        return any(
            (group, resource) == (one.group, "/".join(filter(None, (one.resource, one.subresource))))
            and one.verb in verbs
            and namespace in ("", one.namespace)
            and name in ("", one.about_name)
            for one in self.asked
        )


def rights_in(documents: Iterable[Json]) -> Iterator[Right]:
    """Give all that roles allow, piece by piece."""
    for role in documents:
        for rule in role.get("rules", ()):
            for group in rule.get("apiGroups", ()):
                for resource in rule["resources"]:
                    for verb in rule["verbs"]:
                        for name in rule.get("resourceNames", [""]):
                            yield group, resource, verb, role["metadata"].get("namespace", ""), name


async def run(*command: str, kubeconfig: Path, must_succeed: bool = True) -> str:
    """Run `command` with this kubeconfig, and return its output."""
    process = await asyncio.create_subprocess_exec(
        *command,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, "KUBECONFIG": str(kubeconfig)},
        cwd=TOP,
    )
    output, _ = await process.communicate()
    assert process.returncode == 0 or not must_succeed, output.decode()
    return output.decode()


async def token_of(plane: Plane, account: str) -> str:
    """Ask the server for a token of an account in kube-system."""
    body = json.dumps({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"audiences": []}})
    path = f"/api/v1/namespaces/kube-system/serviceaccounts/{account}/token"
    answer = await plane.transport.send(Request("POST", path, body=body.encode()))
    assert answer.status == 201, answer.body
    return str(json.loads(answer.body)["status"]["token"])


async def kubeconfig_of(plane: Plane, account: str, folder: Path) -> Path:
    """Write a kubeconfig with nothing but the token of an account."""
    token = folder / f"{account}.token"
    token.write_text(await token_of(plane, account))
    config = yaml.safe_load(plane.kubeconfig.read_text())
    config["users"] = [{"name": "kubernetes-admin", "user": {"tokenFile": str(token)}}]
    kubeconfig = folder / f"{account}.kubeconfig"
    kubeconfig.write_text(yaml.safe_dump(config))
    return kubeconfig


@asynccontextmanager
async def deployed(folder: Path) -> AsyncIterator[tuple[Plane, str, list[str]]]:
    """An API server with the manifests applied; the command of the container as the account, its address, its log."""
    port = free_port()
    chosen = options(folder / "data", bare=True, controllers="namespace,garbagecollector")
    async with control_plane(chosen) as plane:
        await run(
            "kubectl", "apply", "--validate=strict", "-k", str(MANIFESTS / "controller"), kubeconfig=plane.kubeconfig
        )
        kubeconfig = await kubeconfig_of(plane, "pvbinder-controller", folder)
        arguments = container_of(objects_in("controller"), "pvbinder-controller", "controller")["args"]
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "pvbinder.cli.main", *arguments, *AS_RECORDED, f"--secure-port={port}"),
            stderr=asyncio.subprocess.PIPE,
            env={"PATH": os.environ["PATH"], "KUBECONFIG": str(kubeconfig), "HOME": "/nonexistent"},
        )
        assert process.stderr is not None
        log: list[str] = []
        try:
            while not log or '"ready"' not in log[-1]:
                log.append((await process.stderr.readline()).decode())
                assert log[-1], "".join(log)
            assert files_written_by(process.pid) == []
            async with asyncio.TaskGroup() as group:
                reading = group.create_task(_read_into(log, process.stderr))
                yield plane, f"https://127.0.0.1:{port}", log
                process.terminate()
                await process.wait()
                await reading
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
    assert process.returncode == 0, "".join(log)


async def _read_into(log: list[str], stream: asyncio.StreamReader) -> None:
    while line := await stream.readline():
        log.append(line.decode())


def files_written_by(process: int) -> list[str]:
    """Name the files that a process has open to write: there is no place for any where the root is read-only."""
    found = []
    for link in Path(f"/proc/{process}/fd").iterdir():
        try:
            path = link.readlink()
            flags = Path(f"/proc/{process}/fdinfo/{link.name}").read_text().split("flags:")[1].split()[0]
        except FileNotFoundError:
            continue
        if path.is_file() and int(flags, 8) & os.O_ACCMODE:
            found.append(str(path))
    return found


async def until_bound(client: Client, name: str, size: str = "") -> None:
    """Wait until a claim of the default namespace is bound, and its volume has this size."""
    while True:
        found = (await client.get(CLAIMS, name, "default")).document()
        if found["status"].get("phase") == "Bound":
            bound = (await client.get(VOLUMES, found["spec"]["volumeName"])).document()
            if not size or bound["spec"]["capacity"]["storage"] == size:
                return
        await asyncio.sleep(0.05)


async def a_volume_grows(client: Client) -> None:
    """What no scenario of a single machine does: a volume that nobody but the expander makes larger."""
    flex: Any = {"flexVolume": {"driver": "example.com/lvm"}, "hostPath": None}
    await client.create(STORAGE_CLASSES, storage_class("growing", "disk.example", allowVolumeExpansion=True))
    await client.create(VOLUMES, volume("flex", storageClassName="growing", **flex))
    await client.create(CLAIMS, claim("flex", storageClassName="growing"))
    await until_bound(client, "flex")
    grown = (await client.get(CLAIMS, "flex", "default")).document()
    grown["spec"]["resources"]["requests"]["storage"] = "7Ti"
    await client.replace(CLAIMS, grown)
    await until_bound(client, "flex", size="7Ti")


async def a_pod_has_an_ephemeral_volume(client: Client) -> None:
    """A claim is made for a pod, and bound."""
    await client.create(VOLUMES, volume("scratch", storageClassName="by-hand"))
    template = {"spec": claim("any", storageClassName="by-hand")["spec"]}
    scratch = {"name": "scratch", "ephemeral": {"volumeClaimTemplate": template}}
    made: Json = {
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {"containers": [{"name": "web", "image": "web"}], "volumes": [scratch]},
    }
    await client.create(metadata_of(PODS), made)
    while "web-scratch" not in {each.name for each in await client.list_all(CLAIMS, "default")}:
        await asyncio.sleep(0.05)
    await until_bound(client, "web-scratch")


async def a_claim_waits(client: Client) -> None:
    """It is told so, and when that is told again, the event is counted."""
    await client.create(CLAIMS, claim("waiting", storageClassName="nowhere"))
    while not [each for each in await client.list_all(EVENTS, "default") if each.document().get("count", 0) > 1]:
        await asyncio.sleep(0.1)


async def metrics_are_read(plane: Plane, url: str) -> None:
    """Prometheus' account, with the role of the monitoring manifests, reads them; somebody else may not."""
    admin = plane.kubeconfig
    role = yaml.safe_dump(only(objects_in("monitoring"), "ClusterRole", METRICS_READER))
    await run("sh", "-c", f"kubectl apply -f - <<'EOF'\n{role}\nEOF", kubeconfig=admin)
    await run("kubectl", "-n", "kube-system", "create", "serviceaccount", "prometheus", kubeconfig=admin)
    bind = ("kubectl", "create", "clusterrolebinding", "prometheus", f"--clusterrole={METRICS_READER}")
    await run(*bind, "--serviceaccount=kube-system:prometheus", kubeconfig=admin)
    reader, stranger = await token_of(plane, "prometheus"), await token_of(plane, "pvbinder-controller")
    unverified = ssl.create_default_context()
    unverified.check_hostname, unverified.verify_mode = False, ssl.CERT_NONE
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=unverified)) as session:
        asked = {"metrics": reader, "readyz": "", "refused": stranger}
        statuses = {}
        for name, token in asked.items():
            headers = {"Authorization": f"Bearer {token}"} if token else {}
            path = "/readyz" if name == "readyz" else "/metrics"
            async with session.get(f"{url}{path}", headers=headers) as answer:
                statuses[name] = answer.status
    assert statuses == {"metrics": 200, "readyz": 200, "refused": 403}


async def played(plane: Plane, scenarios: Iterable[str]) -> str:
    """Play recorded scenarios as the administrator, all if none is named, and return what was printed."""
    paths = [str(RECORDED / f"{name}.yaml") for name in scenarios]
    command = (sys.executable, "-m", "tests.conformance", "scenarios", "--parallel", "16", *paths)
    return await run(*command, kubeconfig=plane.kubeconfig, must_succeed=bool(paths))


async def test_exactly_what_is_asked_for_is_allowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    requests = Requests(monkeypatch)
    async with asyncio.timeout(DEADLINE_SECONDS), deployed(tmp_path) as (plane, url, log):
        client = Client(plane.transport)
        async with asyncio.TaskGroup() as group:
            playing = group.create_task(played(plane, SCENARIOS))
            group.create_task(a_volume_grows(client))
            group.create_task(a_pod_has_an_ephemeral_volume(client))
            group.create_task(a_claim_waits(client))
            group.create_task(metrics_are_read(plane, url))
        assert f"{len(SCENARIOS)} passed, 0 failed" in playing.result()

    assert requests.refused == []
    assert "forbidden" not in "".join(log)
    unused = {right for right in rights_in(objects_in("controller")) if not requests.use(right)}
    assert unused == NEVER_ASKED


def test_the_rights_that_preflight_asks_for_are_these() -> None:
    known = {
        (right.group, resource, verb)
        for rights in RIGHTS.values()
        for right in rights
        for resource in right.resources
        for verb in right.verbs
    }
    of_the_process = {  # the lease, and who may read metrics
        *(("coordination.k8s.io", "leases", verb) for verb in ("get", "create", "update")),
        ("authentication.k8s.io", "tokenreviews", "create"),
        ("authorization.k8s.io", "subjectaccessreviews", "create"),
        ("", "configmaps", "get"),
    }
    assert {right[:3] for right in rights_in(objects_in("controller"))} == known | of_the_process


@pytest.mark.soak
@pytest.mark.timeout(ALL_DEADLINE_SECONDS)
async def test_all_scenarios_ask_for_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    requests = Requests(monkeypatch)
    async with deployed(tmp_path) as (plane, _, log):
        output = await played(plane, [])  # with ephemeral volumes on, the scenario without them fails

    assert " passed" in output
    assert requests.refused == []
    assert "forbidden" not in "".join(log)
