"""The invariants under faults between controllers and server, checked from outside: past the proxy and on disk.

WITNESS: no two claims have one volume, no claim has two; no data are lost; bound pairs fit; no object vanishes that the
user didn't delete, or that a pod uses; no claim is called Lost while its volume exists. The witness tells the user of
the story which volume a claim has got.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from tests.adversary.direct import Direct, Json
from tests.adversary.stories import BY_HAND, CORE, MADE, NAMESPACES, VOLUMES, Claim, Disk, User, name_of

GIB = {"1Gi": 1, "2Gi": 2, "3Gi": 3, "4Gi": 4}
CLAIMS = f"{CORE}/persistentvolumeclaims"


class GaveIn(AssertionError):  # noqa: N818  (says what happened)
    """An invariant is broken."""


@dataclass(slots=True)
class Witness:
    """The observer, which raises `GaveIn`."""

    direct: Direct
    user: User
    looks: int = 0
    excused: set[Path] = field(default_factory=set)  # deleted for good reason before the backup came back
    _claims: list[Json] = field(default_factory=list)
    _volumes: list[Json] = field(default_factory=list)
    _holders: dict[str, str] = field(default_factory=dict)  # name of a volume -> UID of the claim seen Bound to it

    async def look(self) -> None:
        """Look once at everything."""
        self._claims = claims = await self.direct.items(CLAIMS)
        volumes = {name_of(volume): volume for volume in await self.direct.items(VOLUMES)}
        self._volumes = list(volumes.values())
        self.looks += 1
        self._learn(claims, volumes)
        self._check_pairs(claims, volumes)
        self._check_claims(claims, volumes)
        self._check_volumes(volumes)
        self._check_data()
        await self._check_parts()

    def _learn(self, claims: list[Json], volumes: dict[str, Json]) -> None:
        for obj in claims:
            meta, spec = obj["metadata"], obj["spec"]
            if meta["uid"] not in self.user.claims:  # made by an attempt whose answer got lost
                gib = GIB[spec["resources"]["requests"]["storage"]]
                self.user.claims[meta["uid"]] = Claim(
                    meta["namespace"], meta["name"], meta["uid"], spec["storageClassName"], gib, spec["accessModes"]
                )
        for name, obj in volumes.items():
            spec = obj["spec"]
            if name not in self.user.disks:
                policy = spec["persistentVolumeReclaimPolicy"]
                self.user.disks[name] = Disk(name, Path(spec["hostPath"]["path"]), policy)
            if uid := spec.get("claimRef", {}).get("uid"):
                self.user.disks[name].had.add(uid)

    def _check_pairs(self, claims: list[Json], volumes: dict[str, Json]) -> None:
        takers: dict[str, str] = {}
        for obj in claims:
            if obj["status"].get("phase") != "Bound":
                continue
            uid, name = obj["metadata"]["uid"], obj["spec"]["volumeName"]
            claim = self.user.claims[uid]
            if name in takers:
                raise GaveIn(f"volume {name} is shared: claims {takers[name]} and {claim.path} are Bound to it")
            takers[name] = claim.path
            holder = self.user.claims.get(self._holders.get(name, uid))
            if holder is not None and holder.uid != uid and not holder.is_deleted:
                raise GaveIn(f"volume {name} went from {holder.path}, which lives, to {claim.path}")
            if claim.volume not in (None, name):
                raise GaveIn(f"claim {claim.path} had {claim.volume} and has {name}")
            self._holders[name] = uid
            volume = volumes.get(name)
            if volume is not None and volume["spec"].get("claimRef", {}).get("uid") == uid:
                claim.volume = name
                self._check_fit(claim, volume)

    def _check_fit(self, claim: Claim, volume: Json) -> None:
        spec = volume["spec"]
        what = f"claim {claim.path} has {name_of(volume)}"
        if GIB[spec["capacity"]["storage"]] < claim.gib:
            raise GaveIn(f"{what}, which is too small: {spec['capacity']['storage']} for {claim.gib}Gi")
        if spec["storageClassName"] != claim.storage_class:
            raise GaveIn(f"{what} of class {spec['storageClassName']}, and wants {claim.storage_class}")
        if not set(claim.modes) <= set(spec["accessModes"]):
            raise GaveIn(f"{what} with {spec['accessModes']}, and wants {claim.modes}")

    def _check_claims(self, claims: list[Json], volumes: dict[str, Json]) -> None:
        there = {obj["metadata"]["uid"]: obj for obj in claims}
        for uid, claim in list(self.user.claims.items()):
            obj = there.get(uid)
            if obj is None:
                if not claim.is_deleted:
                    raise GaveIn(f"claim {claim.path} is gone, and nobody has asked to delete it")
                if claim.pod is not None:
                    raise GaveIn(f"claim {claim.path} is gone, and pod {claim.pod} uses it")
            elif obj["status"].get("phase") == "Lost" and not claim.is_deleted:
                volume = obj["spec"].get("volumeName")
                if volume in volumes:
                    raise GaveIn(f"claim {claim.path} is called Lost, and its volume {volume} is there")

    def _check_volumes(self, volumes: dict[str, Json]) -> None:
        for name, disk in self.user.disks.items():
            if name in volumes or disk.is_deleted or disk.directory in self.excused:
                continue
            if disk.policy == "Retain" or not self._was_released(disk):
                raise GaveIn(f"volume {name} is gone, and nobody has asked to delete it or its claim")

    def _check_data(self) -> None:
        for name, disk in self.user.disks.items():
            if disk.directory in self.excused:
                continue
            holder = next((claim for claim in self.user.claims.values() if claim.volume == name), None)
            if self._has_data(disk):
                continue
            if disk.policy == "Retain":
                raise GaveIn(f"the directory of volume {name} is gone, which is to be retained")
            if holder is not None and not holder.is_deleted:
                raise GaveIn(f"the directory of volume {name} is gone, and claim {holder.path} is Bound to it")
            if name.startswith("disk-") and not self._was_released(disk):
                raise GaveIn(f"the directory of volume {name} is gone, which nobody has given up")

    @staticmethod
    def _has_data(disk: Disk) -> bool:
        """Whether the data are complete; while a directory is deleted, its files go first."""
        if not disk.name.startswith("disk-"):
            return disk.directory.is_dir()
        try:
            return (disk.directory / "volume").read_text() == disk.name
        except FileNotFoundError:
            return False

    def _was_released(self, disk: Disk) -> bool:
        """Whether a claim that had the volume was to be deleted; a pair may live too shortly to be seen."""
        return any(
            claim.is_deleted and (claim.uid in disk.had or (claim.volume is None and not disk.had))
            for claim in self.user.claims.values()
        )

    async def _check_parts(self) -> None:
        for namespace in NAMESPACES:
            there = {name_of(part) for part in await self.direct.items(f"{CORE}/namespaces/{namespace}/configmaps")}
            for claim in self.user.claims.values():
                is_owner = claim.namespace == namespace and claim.part is not None and not claim.is_deleted
                if is_owner and claim.part not in there:
                    raise GaveIn(f"config map {claim.part} was collected, and its owner {claim.path} lives")

    def unsettled(self) -> list[str]:
        """Name the work that was left at the last look; "" if all was done."""
        claims, volumes = self._claims, self._volumes
        left = []
        free = [volume for volume in volumes if volume["status"].get("phase") == "Available"]
        for obj in claims:
            claim = self.user.claims[obj["metadata"]["uid"]]
            phase = obj["status"].get("phase")
            if claim.is_deleted and claim.pod is None:
                left.append(f"claim {claim.path} was deleted and is there")
            elif phase == "Pending" and not claim.is_deleted:
                fitting = [name_of(volume) for volume in free if _fits(claim, volume)]
                if claim.storage_class == MADE or fitting:
                    left.append(f"claim {claim.path} is Pending; volumes that fit: {fitting}")
        for volume in volumes:
            phase, spec = volume["status"].get("phase"), volume["spec"]
            disk = self.user.disks[name_of(volume)]
            if phase == "Pending":
                left.append(f"volume {disk.name} is Pending")
            elif phase == "Released" and spec["persistentVolumeReclaimPolicy"] == "Delete":
                left.append(f"volume {disk.name} is Released and to be deleted")
            elif phase == "Failed":
                left.append(f"volume {disk.name} has Failed: {volume['status'].get('message')}")
            elif disk.is_deleted and phase != "Bound":
                left.append(f"volume {disk.name} was deleted and is {phase}")
            elif phase == "Bound" and self._is_gone(spec, claims):
                left.append(f"volume {disk.name} is Bound to a claim that is gone")
        return left

    @staticmethod
    def _is_gone(spec: Json, claims: list[Json]) -> bool:
        return spec.get("claimRef", {}).get("uid") not in {claim["metadata"]["uid"] for claim in claims}

    async def begin_again(self) -> None:
        """Take the server's state as the truth: a backup has brought it back, and undone the user's later wishes.

        Directories that are gone were deleted in the undone time, and each deletion was checked then.
        """
        claims = {obj["metadata"]["uid"]: obj for obj in await self.direct.items(CLAIMS)}
        volumes = {name_of(obj): obj for obj in await self.direct.items(VOLUMES)}
        self.excused |= {disk.directory for disk in self.user.disks.values() if disk.name not in volumes}
        self.excused |= {disk.directory for disk in self.user.disks.values() if self._was_released(disk)}
        self.user.claims = {uid: claim for uid, claim in self.user.claims.items() if uid in claims}
        for uid, claim in self.user.claims.items():
            claim.is_deleted = "deletionTimestamp" in claims[uid]["metadata"]
            claim.volume = claim.pod = claim.part = None
        for name, disk in self.user.disks.items():
            disk.is_deleted = name not in volumes or "deletionTimestamp" in volumes[name]["metadata"]
        self._holders.clear()


def _fits(claim: Claim, volume: Json) -> bool:
    spec = volume["spec"]
    return (
        "deletionTimestamp" not in volume["metadata"]
        and spec["storageClassName"] == claim.storage_class == BY_HAND
        and GIB[spec["capacity"]["storage"]] >= claim.gib
        and set(claim.modes) <= set(spec["accessModes"])
        and "claimRef" not in spec
    )
