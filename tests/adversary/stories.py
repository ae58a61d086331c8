"""A user who makes, uses, gives up and deletes volumes, claims, pods and their dependents, at random, for ever.

The user remembers all that was asked for: this is the truth that the invariants are checked against. Directories lie
below one root. Each holds the name of its volume from the start, and the claim's UID once the claim has been bound.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from tests.adversary.direct import Direct, Json

CORE = "/api/v1"
VOLUMES = f"{CORE}/persistentvolumes"
CLASSES = "/apis/storage.k8s.io/v1/storageclasses"
NAMESPACES = ("shop", "mill")
BY_HAND, MADE = "by-hand", "made"
MODES = (["ReadWriteOnce"], ["ReadWriteOnce", "ReadWriteMany"], ["ReadOnlyMany"])
MOST_CLAIMS, MOST_VOLUMES = 12, 12


def claims_of(namespace: str) -> str:
    """Return the path of the claims of a namespace."""
    return f"{CORE}/namespaces/{namespace}/persistentvolumeclaims"


@dataclass(slots=True)
class Claim:
    """A claim as its user knows it."""

    namespace: str
    name: str
    uid: str
    storage_class: str
    gib: int
    modes: list[str]
    is_deleted: bool = False  # the user has asked for it
    pod: str | None = None  # that uses it and lives
    part: str | None = None  # a config map that the claim owns
    volume: str | None = None  # seen Bound to it, and it to the claim

    @property
    def path(self) -> str:
        """Where it is."""
        return f"{claims_of(self.namespace)}/{self.name}"


@dataclass(slots=True)
class Disk:
    """A volume as its user knows it; those that a class made are known once they are seen."""

    name: str
    directory: Path
    policy: str
    is_deleted: bool = False
    had: set[str] = field(default_factory=set)  # UIDs of the claims that it was bound to


@dataclass(slots=True)
class User:
    """Acts on the server, and remembers."""

    direct: Direct
    root: Path  # of all directories
    random: Random
    claims: dict[str, Claim] = field(default_factory=dict)  # by UID
    disks: dict[str, Disk] = field(default_factory=dict)  # by name
    acts: int = 0
    _number: int = 0

    async def prepare(self) -> None:
        """Make the namespaces and the class of the stories."""
        for namespace in NAMESPACES:
            await self.direct.ask("POST", f"{CORE}/namespaces", {"metadata": {"name": namespace}})
        provisioner = {"provisioner": "kubernetes.io/host-path", "reclaimPolicy": "Delete"}
        await self.direct.ask("POST", CLASSES, {"metadata": {"name": MADE}, **provisioner})

    async def act(self) -> None:
        """Do one thing."""
        self.acts += 1
        living = [claim for claim in self.claims.values() if not claim.is_deleted]
        choices: list[Callable[[], Awaitable[object]]] = [self.use, self.use, self.write, self.write]
        if len(living) < MOST_CLAIMS:
            choices += [self.make_claim] * 4
        if sum(not disk.is_deleted for disk in self.disks.values()) < MOST_VOLUMES:
            choices += [self.make_disk] * 3
        if len(living) > 3:
            choices += [self.delete_claim, self.end_pod]
        choices.append(self.delete_disk)
        await self.random.choice(choices)()

    async def make_disk(self) -> None:
        """Make a volume with a directory that has something in it."""
        name = self._next("disk")
        directory = self.root / name
        directory.mkdir()
        (directory / "volume").write_text(name)
        policy = self.random.choice(["Delete", "Retain"])
        spec = {
            "capacity": {"storage": f"{self.random.randint(1, 4)}Gi"},
            "accessModes": self.random.choice(MODES),
            "persistentVolumeReclaimPolicy": policy,
            "storageClassName": BY_HAND,
            "hostPath": {"path": str(directory)},
        }
        self.disks[name] = Disk(name, directory, policy)
        status, answer = await self.direct.ask("POST", VOLUMES, {"metadata": {"name": name}, "spec": spec})
        assert status in (201, 409), answer

    async def make_claim(self, storage_class: str | None = None, modes: list[str] | None = None) -> Claim | None:
        """Make a claim, and sometimes something that it owns."""
        storage_class = storage_class or self.random.choice([BY_HAND, BY_HAND, MADE])
        modes = modes or [self.random.choice(["ReadWriteOnce", "ReadWriteOnce", "ReadWriteMany"])]
        if storage_class == MADE:
            modes = ["ReadWriteOnce"]
        namespace, name, gib = self.random.choice(NAMESPACES), self._next("claim"), self.random.randint(1, 3)
        spec = {
            "storageClassName": storage_class,
            "accessModes": modes,
            "resources": {"requests": {"storage": f"{gib}Gi"}},
        }
        status, made = await self.direct.ask("POST", claims_of(namespace), {"metadata": {"name": name}, "spec": spec})
        if status != 201:  # it was made by an attempt whose answer got lost: then the next list shows it
            assert status == 409, made
            return None
        uid = made["metadata"]["uid"]
        claim = self.claims[uid] = Claim(namespace, name, uid, storage_class, gib, modes)
        if self.random.random() < 0.4:
            await self._make_part(claim)
        return claim

    async def _make_part(self, claim: Claim) -> None:
        owner = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "name": claim.name, "uid": claim.uid}
        name = f"part-of-{claim.name}"
        body = {"metadata": {"name": name, "ownerReferences": [owner]}}
        status, _ = await self.direct.ask("POST", f"{CORE}/namespaces/{claim.namespace}/configmaps", body)
        if status == 201:
            claim.part = name

    async def use(self) -> None:
        """Start a pod on a bound claim."""
        claim = self._some(lambda claim: claim.volume is not None and claim.pod is None)
        if claim is None:
            return
        name = self._next("pod")
        pod = {
            "metadata": {"name": name},
            "spec": {
                "containers": [{"name": "c", "image": "none"}],
                "volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": claim.name}}],
                "nodeName": "somewhere",
            },
        }
        status, _ = await self.direct.ask("POST", f"{CORE}/namespaces/{claim.namespace}/pods", pod)
        if status == 201:
            claim.pod = name

    async def end_pod(self) -> None:
        """Remove the pod of some claim."""
        used = [claim for claim in self.claims.values() if claim.pod is not None]
        if not used:
            return
        claim = self.random.choice(used)
        path = f"{CORE}/namespaces/{claim.namespace}/pods/{claim.pod}"
        claim.pod = None
        await self.direct.ask("DELETE", path, {"gracePeriodSeconds": 0})

    async def write(self) -> None:
        """Write the claim's UID into its directory."""
        claim = self._some(lambda claim: claim.volume is not None)
        if claim is None or claim.volume not in self.disks:
            return
        with contextlib.suppress(FileNotFoundError):  # which the invariants will say
            (self.disks[claim.volume].directory / "claim").write_text(claim.uid)

    async def delete_claim(self) -> None:
        """Delete a claim that nobody has asked to delete yet, used or not."""
        claim = self._some(lambda _: True)
        if claim is not None:
            claim.is_deleted = True
            await self.direct.ask("DELETE", claim.path)

    async def delete_disk(self) -> None:
        """Delete a volume, bound or not; a bound one stays as long as its claim."""
        living = [disk for disk in self.disks.values() if not disk.is_deleted]
        if len(living) > 5:
            disk = self.random.choice(living)
            disk.is_deleted = True
            await self.direct.ask("DELETE", f"{VOLUMES}/{disk.name}")

    async def end_all_pods(self) -> None:
        """Let nothing that a claim's deletion waits for stay."""
        while any(claim.pod is not None for claim in self.claims.values()):
            await self.end_pod()

    def _some(self, wanted: Callable[[Claim], bool]) -> Claim | None:
        found = [claim for claim in self.claims.values() if not claim.is_deleted and wanted(claim)]
        return self.random.choice(found) if found else None

    def _next(self, what: str) -> str:
        self._number += 1
        return f"{what}-{self._number}"


def name_of(obj: Json) -> str:
    """Return the name of an object."""
    return str(obj["metadata"]["name"])
