"""The CSI volumes of pods: published before a pod runs, and unpublished after it has ended.

MOUNTING-1  A pod's volumes are published through their drivers before it runs; a failure is told in a kubelet's words.
MOUNTING-2  They are unpublished when it has ended or is deleted, before its object goes; a volume is unstaged with the
            last pod that has it.
MOUNTING-3  What was published for pods that are gone, also in an earlier run, is unpublished as soon as its driver is
            there.
MOUNTING-4  Only one call at a time is about a volume.
MOUNTING-5  No content of a secret gets into an event or a log line.

Only drivers that this process serves count; volumes of others are passed over. It belongs to the loop's thread.
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Final

from pvbinder import logs
from pvbinder.controllers.csi.node_drivers import NodeDrivers
from pvbinder.controllers.csi.secrets import SecretMissingError, read_secret
from pvbinder.csi.errors import CallFailed, Code
from pvbinder.kube.client import Client
from pvbinder.kube.informer import Informer
from pvbinder.model.errors import PvbinderError
from pvbinder.model.json import decode
from pvbinder.model.objects import Pod, Volume
from pvbinder.model.scheduling import CsiDriver
from pvbinder.rules.csi.publishing import (
    MountModeError,
    PodCsiVolume,
    csi_volumes,
    fs_group,
    lifecycle_problem,
    persistent,
    pod_info,
)
from pvbinder.rules.csi.secrets import SecretReference
from pvbinder.rules.pod_lifecycle import Mounts
from pvbinder.volumes.pod_directories import PodDirectories, PodVolumeNote

if TYPE_CHECKING:
    from pvbinder.controllers.csi.node_driver import NodeDriver

PLUGIN: Final = "kubernetes.io/csi"

log = logs.get(__name__)


class MountError(PvbinderError):
    """A volume can't be mounted; the message is that of the event. `is_block` says which event it is."""

    def __init__(self, message: str, *, is_block: bool = False) -> None:
        super().__init__(message)
        self.is_block = is_block


class UnmountError(PvbinderError):
    """A volume can't be unmounted yet."""


class DriverMissingError(UnmountError):
    """A volume can't be unmounted before its driver is there."""


class PodMounts:
    """The published volumes of all pods."""

    def __init__(
        self, client: Client, drivers: NodeDrivers, csi_drivers: Informer[CsiDriver], directories: PodDirectories
    ) -> None:
        self._client = client
        self._drivers = drivers
        self._csi_drivers = csi_drivers
        self._directories = directories
        self._notes: defaultdict[str, dict[str, PodVolumeNote]] = defaultdict(dict)  # by pod, and by the volume's name
        self._set_up: set[str] = set()  # pods of which all volumes are published, by this process
        self._locks: dict[tuple[str, str], asyncio.Lock] = {}
        self._waiting: Counter[tuple[str, str]] = Counter()

    async def load(self) -> None:
        """Read what earlier runs have left (MOUNTING-3)."""
        for note in await asyncio.to_thread(self._directories.load):
            self._notes[note.pod_uid][note.name] = note

    def pods(self) -> list[str]:
        """The pods, by uid, for which something is or may be published."""
        return [uid for uid, notes in self._notes.items() if notes]

    def is_set_up(self, pod: Pod) -> bool:
        """Tell whether all volumes of `pod` are published."""
        return pod.uid in self._set_up

    def is_ours(self, volume: Volume) -> bool:
        """Tell whether the driver of `volume` is served here."""
        return volume.csi is not None and self._drivers.serves(volume.csi.driver or "")

    def is_published(self, pod: Pod, volume: Volume) -> bool:
        """Tell whether `volume` is there for `pod`."""
        return pod.uid in self._set_up and volume.name in self._notes.get(pod.uid, {})

    # -- a pod that is to run

    async def set_up(self, pod: Pod, mounts: Mounts) -> None:
        """Publish all volumes of `pod` (MOUNTING-1); raise MountError."""
        if pod.uid in self._set_up:
            return
        try:
            volumes = csi_volumes(pod, mounts, self._drivers.serves)
        except MountModeError as error:
            name = error.message.split(" ", 2)[1]
            raise MountError(
                f"Unable to attach or mount volumes: unmounted volumes=[{name}], unattached volumes=[], "
                f"failed to process volumes=[{name}]: {error.message}"
            ) from error
        for volume in volumes:
            async with self._alone(volume.driver, volume.handle):
                await self._publish(pod, volume)
        self._set_up.add(pod.uid)

    async def _publish(self, pod: Pod, volume: PodCsiVolume) -> None:
        driver = self._running(volume)
        stage_step, publish_step = _steps(volume)
        csi_driver = self._csi_drivers.get(volume.driver)
        document = decode(csi_driver.raw) if csi_driver is not None else None
        refused = lifecycle_problem(volume, document)
        if refused is not None:
            why = f"{PLUGIN}: mounter.SetupAt failed to check volume lifecycle mode: {refused}"
            raise _failed(publish_step, volume, why)
        stages = driver.abilities.stages and not volume.is_ephemeral
        note = PodVolumeNote(
            pod_uid=pod.uid,
            name=volume.name,
            handle=volume.handle,
            driver=volume.driver,
            node=pod.node_name,
            lifecycle="Ephemeral" if volume.is_ephemeral else "Persistent",
            is_block=volume.is_block,
            is_staged=stages,
        )
        try:
            await asyncio.to_thread(self._directories.note, note)
        except (PvbinderError, OSError) as error:
            raise _failed(publish_step, volume, f"{PLUGIN}: mounter.SetUpAt failed to create dir: {error}") from error
        self._notes[pod.uid][volume.name] = note
        staging = str(self._directories.staging(note)) if stages else ""
        group = fs_group(pod)
        if stages:
            secrets = await self._secrets(stage_step, "NodeStageSecretRef", volume, volume.stage_secret)
            try:
                await driver.stage(volume, staging, secrets, group)
            except CallFailed as failed:
                raise _failed(stage_step, volume, str(failed)) from failed
        secrets = await self._secrets(publish_step, "NodePublishSecretRef", volume, volume.publish_secret)
        has_info = document is not None and bool((document.get("spec") or {}).get("podInfoOnMount"))
        try:
            await driver.publish(
                volume,
                str(self._directories.target(note)),
                staging=staging,
                secrets=secrets,
                pod_info=pod_info(pod, is_ephemeral=volume.is_ephemeral) if has_info else {},
                group=group,
            )
        except CallFailed as failed:
            raise _failed(publish_step, volume, str(failed)) from failed
        log.info("volume published", pod=pod.key, pv=volume.name, path=str(self._directories.target(note)))

    def _running(self, volume: PodCsiVolume) -> NodeDriver:
        """Return the driver of a volume; raise MountError if it isn't there."""
        driver = self._drivers.get(volume.driver)
        if driver is None:
            self._drivers.need(volume.driver)
            why = self._drivers.trouble(volume.driver) or (
                f"driver name {volume.driver} not found in the list of registered CSI drivers"
            )
            step = _steps(volume)[0]
            raise _failed(step, volume, f"{PLUGIN}: attacher.MountDevice failed to create newCsiDriverClient: {why}")
        return driver

    async def _secrets(
        self, step: str, what: str, volume: PodCsiVolume, secret: SecretReference | None
    ) -> Mapping[str, str]:
        if secret is None:
            return {}
        try:
            return await read_secret(self._client, secret)
        except SecretMissingError as error:
            why = error.message.partition(": ")[2]
            raise _failed(
                step,
                volume,
                f"fetching {what} {secret.namespace}/{secret.name} failed: {PLUGIN}: failed to find the secret "
                f"{secret.name} in the namespace {secret.namespace} with error: {why}",
            ) from error

    # -- a pod that is over

    async def tear_down(self, uid: str) -> None:
        """Unpublish all that is published for a pod (MOUNTING-2); raise UnmountError."""
        self._set_up.discard(uid)
        for note in list(self._notes.get(uid, {}).values()):
            if not self._drivers.serves(note.driver):
                log.warning("volume stays published: its driver isn't served", pv=note.name, driver=note.driver)
                continue
            async with self._alone(note.driver, note.handle):
                await self._unpublish(note)
        if not self._notes.get(uid):
            self._notes.pop(uid, None)

    async def _unpublish(self, note: PodVolumeNote) -> None:
        driver = self._drivers.get(note.driver)
        if driver is None:
            self._drivers.need(note.driver)
            raise DriverMissingError(f"driver name {note.driver} not found in the list of registered CSI drivers")
        is_last = note.is_staged and not any(
            other.is_staged and (other.driver, other.handle) == (note.driver, note.handle)
            for notes in self._notes.values()
            for other in notes.values()
            if other is not note
        )
        try:
            with _unless_it_is_gone():
                await driver.unpublish(note.handle, str(self._directories.target(note)))
            if is_last:
                with _unless_it_is_gone():
                    await driver.unstage(note.handle, str(self._directories.staging(note)))
            await asyncio.to_thread(self._directories.forget, note, unstaged=is_last)
        except (CallFailed, OSError) as error:
            what = f'UnmountVolume.TearDown failed for volume "{note.name}" : {error}'
            raise UnmountError(what) from error
        self._notes[note.pod_uid].pop(note.name, None)
        log.info("volume unpublished", pod_uid=note.pod_uid, pv=note.name)

    # -- a volume that has grown

    async def expand(self, pod: Pod, volume: Volume) -> None:
        """Have a published volume's file system follow its size; raise CallFailed or SecretMissingError."""
        source = persistent(volume)
        async with self._alone(source.driver, source.handle):
            note, driver = self._notes.get(pod.uid, {}).get(volume.name), self._drivers.get(source.driver)
            if note is None or driver is None:
                raise CallFailed(Code.UNAVAILABLE, f"volume {volume.name} is not published")
            if not driver.abilities.expands:
                why = f"NodeExpand is not supported by the CSI driver {source.driver}"
                raise CallFailed(Code.UNIMPLEMENTED, why)
            secrets = await read_secret(self._client, source.expand_secret) if source.expand_secret else {}
            await driver.expand(
                source,
                str(self._directories.target(note)),
                staging=str(self._directories.staging(note)) if note.is_staged else "",
                size_bytes=volume.size.whole_units(),
                secrets=secrets,
            )

    # -- one call at a time

    @asynccontextmanager
    async def _alone(self, driver: str, handle: str) -> AsyncGenerator[None]:
        """Keep all others from the volume while the context is open (MOUNTING-4)."""
        key = (driver, handle)
        lock = self._locks.setdefault(key, asyncio.Lock())
        self._waiting[key] += 1
        try:
            async with lock:
                yield
        finally:
            self._waiting[key] -= 1
            if not self._waiting[key]:
                del self._waiting[key], self._locks[key]


def _steps(volume: PodCsiVolume) -> tuple[str, str]:
    """The steps of a kubelet that stage and publish a volume, as its events name them."""
    if volume.is_block:
        return "MapVolume.SetUpDevice failed", "MapVolume.MapPodDevice failed"
    return "MountVolume.MountDevice failed", "MountVolume.SetUp failed"


def _failed(step: str, volume: PodCsiVolume, why: str) -> MountError:
    return MountError(f'{step} for volume "{volume.name}" : {why}', is_block=volume.is_block)


@contextmanager
def _unless_it_is_gone() -> Iterator[None]:
    """Pass over the answer that there is no such volume: then nothing of it is published."""
    try:
        yield
    except CallFailed as failed:
        if failed.code is not Code.NOT_FOUND:
            raise
