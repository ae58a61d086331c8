"""Volumes for claims, through a CSI driver: external-provisioner's half of dynamic provisioning.

CSI_PROVISIONER-1  A volume is asked for only when that is written down where a restart finds it (`intents`), and when a
                   live read shows the claim as it was decided about: a stale cache makes no volume.
CSI_PROVISIONER-2  An intent ends in a saved PersistentVolume, in a confirmed delete, or in an answer that says that
                   there is no volume. While the driver may have made one, the same request is repeated, claim or no
                   claim: whoever deletes the claim gets the volume's reclaim policy, not a leak. After an attempt whose
                   end nobody knows only a driver that refuses the request itself is believed.
CSI_PROVISIONER-3  A volume that could not be saved is saved later, without asking the driver again; it is never deleted
                   for that (LB-23). Unless the server says that it never takes such an object: then the driver is
                   asked again for the same volume, or to delete it, if it has no object and its claim is gone.
CSI_PROVISIONER-4  A volume that isn't what was asked for is deleted again before anything else is tried (CR-2, CR-3).
CSI_PROVISIONER-5  No secret's content gets into an event, a log line or an intent.
CSI_PROVISIONER-6  One volume is one PersistentVolume's: an id that another one names already is not saved a second
                   time, and what a driver made anew for a name that has its volume is deleted again.
CSI_PROVISIONER-7  As many calls are in flight as there are worker threads, never more, and no fewer while claims wait:
                   what comes before a call and after it takes no thread.

Rules: docs/rules/provisioner.md#2-library-controller
"""

from __future__ import annotations

import asyncio
import secrets as random_numbers
import time
from collections.abc import Callable, Iterator
from typing import Final, assert_never

import msgspec

from pvbinder import logs
from pvbinder.controllers.context import ControllerContext
from pvbinder.controllers.csi import messages
from pvbinder.controllers.csi.driver_info import DriverInfo
from pvbinder.controllers.csi.intents import Intents, IntentTooLargeError
from pvbinder.controllers.csi.measures import CsiMeasures
from pvbinder.controllers.csi.options import ProvisionerOptions
from pvbinder.controllers.csi.ownership import Ownership
from pvbinder.controllers.csi.places import Places
from pvbinder.controllers.csi.preparing import Preparation, untranslated
from pvbinder.controllers.csi.secrets import SecretMissingError, read_secret
from pvbinder.controllers.csi.slow_set import SlowSet
from pvbinder.controllers.csi.volume_intent import VolumeIntent, intent_for, purpose
from pvbinder.csi.driver import Driver
from pvbinder.csi.errors import AnswerUnreadable, CallFailed, Code
from pvbinder.csi.wire import csi_pb2 as csi
from pvbinder.csi.wire import methods
from pvbinder.kube.errors import ApiFailure, ConnectionFailed
from pvbinder.kube.events import Subject
from pvbinder.kube.informer import Added, Change, Deleted, Updated
from pvbinder.kube.kinds import CLAIMS, STORAGE_CLASSES, VOLUMES
from pvbinder.kube.proof import Gone, Present, Unproven, prove_gone
from pvbinder.kube.queue import QueueStatistics, WorkQueue
from pvbinder.model.errors import PvbinderError
from pvbinder.model.json import Json
from pvbinder.model.names import BETA_STORAGE_PROVISIONER, MIGRATED_TO, STORAGE_PROVISIONER
from pvbinder.model.objects import Claim, StorageClass, Volume, parse_claim, parse_storage_class
from pvbinder.model.resources import PERSISTENT_VOLUME_CLAIMS
from pvbinder.rules.csi.outcomes import state_after
from pvbinder.rules.csi.refusals import INFEASIBLE, NotOurs, ProvisioningFailed, State, finished
from pvbinder.rules.csi.sources import data_source_of
from pvbinder.rules.csi.volumes import CreatedVolume, VolumeRequest, created_volume, volume_name
from pvbinder.rules.provisioning import without_selected_node

CLEANUP_TRIES_MAX: Final = 5
INFEASIBLE_SECONDS: Final = 300.0  # LB-20
REFUSALS: Final = frozenset({Code.INVALID_ARGUMENT, Code.RESOURCE_EXHAUSTED, Code.OUT_OF_RANGE})  # of the request

log = logs.get(__name__)


class ProvisionLater(PvbinderError):  # noqa: N818  (the queue brings the claim back)
    """A claim could not be served; the message is logged, and has been told where it should be."""


class CsiProvisioner:
    """Serves the claims of one driver; `run()` it as a task that somebody owns, with the informers beside it."""

    def __init__(
        self,
        context: ControllerContext,
        driver: Driver,
        info: DriverInfo,
        options: ProvisionerOptions,
        *,
        identity: str = "",
        component: str = "",
        measures: CsiMeasures | None = None,
        now: Callable[[], float] | None = None,
    ) -> None:
        """Make it; `identity` goes into volumes, `component` is the source of its events (both made up if empty)."""
        self._client = context.client
        self._driver = driver
        self._info = info
        self._options = options
        self._identity = identity or f"{time.time_ns() // 10**6}-{random_numbers.randbelow(10000)}-{info.name}"
        self._recorder = context.recorder(component or info.name)
        self._populators = context.recorder("external-provisioner")
        self._claims = context.informers.of(CLAIMS)
        self._classes = context.informers.of(STORAGE_CLASSES)
        self._volumes = context.informers.of(VOLUMES)
        own = (options.node, info.place) if options.node_deployment else None
        places = Places(context.informers, info.name, uses_topology=info.abilities.topology, own=own)
        self._places = places
        self._preparation = Preparation(context.client, places, info.name, info.abilities, options)
        self._volumes_by_handle = self._volumes.add_index("handle of " + info.name, self._handle_of)
        self._claims_by_uid = self._claims.add_index("uid", lambda claim: (claim.uid,))
        self.intents: Intents[VolumeIntent] = Intents(
            context.client, options.namespace, info.name, purpose(options), VolumeIntent
        )
        self._unmade: set[str] = set()  # claims with an intent, whose volume the driver has not made for certain
        self._unsaved: dict[str, Json] = {}  # by the claim's uid: volumes that exist and have no object yet
        self._slow = SlowSet(INFEASIBLE_SECONDS, now)  # each with its class
        self._calling = asyncio.Semaphore(options.worker_threads)
        self._queue: WorkQueue[str] = WorkQueue(
            "claims",
            self._sync,
            history=context.informers.history,
            concurrency=2 * options.worker_threads,  # so that as many calls can always be in flight as may be
            limits=options.rate_limits,
            failure_message=lambda uid, _: (
                "could not provision a volume for "
                + next((claim.key for claim in self._claims_by_uid[uid]), "a claim that is gone")
            ),
            key_field="uid",
        )
        self._ownership = Ownership(
            context.client, self._claims, driver, info, options, come_back=self._queue.add_after
        )
        self.measures = measures or CsiMeasures()
        self.calls = 0
        self.on_failure: Callable[[str], None] = lambda _: None  # of a class's volume, but for NoChange (CA-4)
        self._claims.add_handler(self._claim_changed)

    def _handle_of(self, volume: Volume) -> tuple[str, ...]:
        source = volume.csi
        return (source.volume_handle or "",) if source is not None and source.driver == self._info.name else ()

    def queues(self) -> Iterator[QueueStatistics]:
        """The state of the queue."""
        yield self._queue.statistics()

    async def wait_idle(self) -> None:
        """Wait until nothing is to be done, now or after a delay."""
        await self._queue.wait_idle()

    async def run(self) -> None:
        """Work until cancelled."""
        for wait in (self._claims.wait_synced, self._classes.wait_synced, self._volumes.wait_synced):
            await wait()
        await self._places.wait_synced()
        await self.intents.load_at_last()
        for uid in sorted(self.intents.keys()):
            self._queue.add(uid)
        async with asyncio.TaskGroup() as group:
            group.create_task(self.intents.run(), name=f"intents of {self._info.name}")
            group.create_task(self._queue.run(), name=f"claims of {self._info.name}")

    def _claim_changed(self, change: Change[Claim]) -> None:
        match change:
            case Added(object=claim) | Updated(object=claim):
                if claim.uid in self.intents or self._is_wanted(claim):
                    self._queue.add(claim.uid)  # LB-3
            case Deleted(object=claim):
                self._slow.remove(claim.uid)
                self._ownership.forget(claim.uid)
                if claim.uid in self.intents:
                    self._queue.add(claim.uid)  # what was asked for is seen through (CSI_PROVISIONER-2)
            case _:
                assert_never(change)

    def _is_wanted(self, claim: Claim) -> bool:
        """Whether a volume of our driver is wanted for `claim` (LB-8 to LB-10)."""
        if claim.volume_name:
            return False
        annotations = claim.annotations
        asked = annotations.get(STORAGE_PROVISIONER) or annotations.get(BETA_STORAGE_PROVISIONER)
        return self._info.name in (asked, annotations.get(MIGRATED_TO))

    # -- one claim

    async def _sync(self, uid: str) -> None:
        claim = next(iter(self._claims_by_uid[uid]), None)
        intent = self.intents.get(uid)
        if uid in self._unsaved:
            await self._save(uid, claim)
        elif claim is not None and self._is_wanted(claim):
            await self._measured(claim)
        elif intent is not None:
            await self._finish(uid, intent, claim)

    async def _measured(self, claim: Claim) -> None:
        """Make an attempt and count it: one that ends without a volume has failed (2.6)."""
        source = data_source_of(claim.document()) if b"dataSource" in claim.raw else None
        labels = (claim.storage_class, source.kind if source is not None else "")
        loop = asyncio.get_running_loop()
        started = loop.time()
        try:
            outcome = await self._provision(claim)
        except (ProvisionLater, ApiFailure, ConnectionFailed):
            self.measures.failed_provisions[labels] += 1
            raise
        if outcome is True:
            self.measures.provisioned(*labels, loop.time() - started)
        elif outcome is False:
            self.measures.failed_provisions[labels] += 1

    async def _provision(self, claim: Claim) -> bool | None:
        """Make the claim's volume; return whether it was made, None if it isn't to be made yet."""
        storage_class = self._classes.get(claim.storage_class)
        if storage_class is None:
            raise ProvisionLater(f'storageClass "{claim.storage_class}" not found')  # LB-11
        self._check_feasible(claim, storage_class)
        if storage_class.volume_binding_mode == "WaitForFirstConsumer" and not claim.selected_node:
            return None  # LB-12
        if storage_class.provisioner != self._info.name:
            if claim.annotations.get(MIGRATED_TO) == self._info.name:
                self._tell(claim, "Warning", "ProvisioningFailed", untranslated(storage_class, self._info.name))
            log.warning("class has another provisioner", pvc=claim.key, sc=storage_class.name, rule="LB-15")
            return False
        if volume_name(self._options.naming, claim.uid) in self._volumes:
            self._done(claim.uid)  # LB-13
            return False
        if claim.uid not in self.intents and not await self._ownership.is_ours(claim, storage_class):
            return None  # LB-9, CP-2
        doing = f'External provisioner is provisioning volume for claim "{claim.key}"'
        self._tell(claim, "Normal", "Provisioning", doing)
        try:
            is_new = claim.uid not in self.intents
            intent = self.intents.get(claim.uid) or await self._intend(claim, storage_class)
            await self._ask(claim.uid, intent, claim, is_new=is_new)
            return True
        except NotOurs as other:
            if other.message:
                self._populators.event(
                    Subject.of(PERSISTENT_VOLUME_CLAIMS, claim), "Normal", "Provisioning", other.message
                )
        except ProvisioningFailed as failed:
            await self._failed(claim, storage_class, failed)
        return False

    def _check_feasible(self, claim: Claim, storage_class: StorageClass) -> None:
        """LB-7, LB-21: a claim that the driver called impossible waits, unless its class was made anew."""
        if self._slow.seconds_left(claim.uid, storage_class.uid):
            raise ProvisionLater(
                f"skipping volume provisioning for pvc {claim.uid}, because provisioning previously failed with "
                "infeasible error"
            )

    async def _intend(self, claim: Claim, storage_class: StorageClass) -> VolumeIntent:
        """Prepare the request, and write it down (CSI_PROVISIONER-1); raise ProvisioningFailed, or NotOurs."""
        name = volume_name(self._options.naming, claim.uid)
        request = await self._preparation.request(claim, storage_class, name)
        intent = intent_for(claim, storage_class, request)
        try:
            await self.intents.record(claim.uid, intent)
        except IntentTooLargeError as error:
            raise finished(error.message) from error
        self._unmade.add(claim.uid)
        return intent

    async def _check_live(self, claim: Claim) -> None:
        """Raise NotOurs or ProvisionLater unless the claim, read live, still wants its volume."""
        try:
            live = await self._client.get(CLAIMS, claim.name, claim.namespace)
        except (ApiFailure, ConnectionFailed) as error:
            self._done(claim.uid)
            if isinstance(error, ApiFailure) and error.names_as_not_found(PERSISTENT_VOLUME_CLAIMS, claim.name):
                raise NotOurs("") from error
            raise ProvisionLater(f"claim {claim.key} could not be read: {error.message}") from error
        if live.uid != claim.uid or live.volume_name:
            self._done(claim.uid)
            raise ProvisionLater(f"claim {claim.key} has changed")

    async def _finish(self, uid: str, intent: VolumeIntent, claim: Claim | None) -> None:
        """See an intent through whose claim is gone, or has its volume already (CSI_PROVISIONER-2)."""
        if uid in self._unmade or await self._is_saved(intent.request.name):
            self._done(uid)
            return
        try:
            await self._ask(uid, intent, claim)
        except ProvisioningFailed as failed:
            if uid not in self._unmade:
                raise ProvisionLater(failed.message) from failed
            self._done(uid)
            log.info("volume of a deleted claim was never made", pv=intent.request.name, err=failed.message)

    async def _is_saved(self, name: str) -> bool:
        """Whether the volume has its object; raise ProvisionLater if nobody knows."""
        if name in self._volumes:
            return True
        proof = await prove_gone(self._client, VOLUMES, name, known_revision=self._volumes.resource_version)
        match proof:
            case Present():
                return True
            case Gone():
                return False
            case Unproven(why=why):
                raise ProvisionLater(why)
            case _:
                assert_never(proof)

    # -- the driver

    async def _ask(self, uid: str, intent: VolumeIntent, claim: Claim | None, *, is_new: bool = False) -> None:
        """Ask the driver, check what comes, and save it; raise ProvisioningFailed, ProvisionLater or NotOurs."""
        async with self._calling:
            if is_new and claim is not None:
                await self._check_live(claim)
            made = await self._made(uid, intent)
        self._unsaved[uid] = self._document(intent, made)
        await self._save(uid, claim)

    async def _made(self, uid: str, intent: VolumeIntent) -> CreatedVolume:
        """Return what the driver has made; raise ProvisioningFailed."""
        request = intent.request
        secrets: dict[str, str] = {}
        if request.secret is not None:
            try:
                secrets = await read_secret(self._client, request.secret)
            except SecretMissingError as error:
                raise ProvisioningFailed(error.message, State.NO_CHANGE) from error
        was_unmade = uid in self._unmade
        self._unmade.discard(uid)  # until an answer says so
        self.calls += 1
        try:
            answer = await self._driver.call(
                methods.CREATE_VOLUME,
                messages.create_volume(request, secrets),
                timeout_seconds=self._options.timeout_seconds,
            )
        except CallFailed as failed:
            raise self._after(uid, intent, failed, was_unmade=was_unmade) from failed
        return await self._checked(uid, intent, messages.created(answer.volume), secrets)

    def _after(self, uid: str, intent: VolumeIntent, failed: CallFailed, *, was_unmade: bool) -> ProvisioningFailed:
        """Return what a failed call means; what the driver may have made stays written down (CSI_PROVISIONER-2)."""
        if isinstance(failed, AnswerUnreadable):  # there was one, and it may have been a yes
            return ProvisioningFailed(str(failed), State.IN_BACKGROUND)
        claim = parse_claim(bytes(intent.claim))
        state = state_after(
            failed.code.value,
            node_was_selected=bool(claim.selected_node),
            has_topology=self._info.abilities.topology,
        )
        if state is not State.IN_BACKGROUND and (was_unmade or failed.code in REFUSALS):
            self._unmade.add(uid)
        return ProvisioningFailed(str(failed), state, is_infeasible=failed.code is Code.INVALID_ARGUMENT)

    async def _checked(
        self, uid: str, intent: VolumeIntent, made: CreatedVolume, secrets: dict[str, str]
    ) -> CreatedVolume:
        """Return what was made, if it is what was asked for; else delete it (CR-2, CR-3)."""
        request = intent.request
        if not made.volume_id:
            raise ProvisioningFailed("the driver's answer has a volume without an id", State.IN_BACKGROUND)
        other = next((one for one in self._volumes_by_handle[made.volume_id] if one.name != request.name), None)
        if other is not None:  # it isn't ours to delete
            raise ProvisioningFailed(
                f'the driver\'s answer has the id of another volume: PersistentVolume "{other.name}" has it',
                State.IN_BACKGROUND,
            )
        if made.capacity_bytes == 0:
            made = msgspec.structs.replace(made, capacity_bytes=request.required_bytes)
        if made.capacity_bytes < request.required_bytes:
            less = f"{made.capacity_bytes} less than requested capacity {request.required_bytes}"
            problem = f"created volume capacity {less}"
            raise await self._cleaned_up(uid, request, made, secrets, problem, "Cleanup")
        if request.content is not None and not made.has_content_source:
            raise await self._cleaned_up(uid, request, made, secrets, "volume content source missing", "cleanup")
        return made

    async def _cleaned_up(
        self, uid: str, request: VolumeRequest, made: CreatedVolume, secrets: dict[str, str], problem: str, word: str
    ) -> ProvisioningFailed:
        """Delete what isn't what was asked for, and return how the attempt ends (CSI_PROVISIONER-4)."""
        message = csi.DeleteVolumeRequest(volume_id=made.volume_id, secrets=secrets)
        for attempt in range(CLEANUP_TRIES_MAX):
            try:
                await self._driver.call(methods.DELETE_VOLUME, message, timeout_seconds=self._options.timeout_seconds)
                self._unmade.add(uid)
                break
            except CallFailed as failed:
                if attempt == CLEANUP_TRIES_MAX - 1:
                    problem += f". {word} of volume {request.name} failed, volume is orphaned: {failed}"
        return ProvisioningFailed(problem, State.IN_BACKGROUND)

    def _document(self, intent: VolumeIntent, made: CreatedVolume) -> Json:
        return created_volume(
            parse_claim(bytes(intent.claim)),
            parse_storage_class(bytes(intent.storage_class)),
            intent.request,
            made,
            driver=self._info.name,
            identity=self._identity,
            publishes_readonly=self._options.controller_publish_readonly,
        )

    # -- the object

    async def _save(self, uid: str, claim: Claim | None) -> None:
        """Create the PersistentVolume; what fails is tried again, and the driver isn't asked (CSI_PROVISIONER-3)."""
        document = self._unsaved[uid]
        name = document["metadata"]["name"]
        try:
            self._volumes.put(await self._client.create(VOLUMES, document))
        except ApiFailure as failure:
            if not (failure.is_already_exists and await self._is_ours(uid, document)):
                if claim is not None:
                    what = f"Error creating provisioned PV object for claim {claim.key}: {failure.message}"
                    self._tell(claim, "Warning", "ProvisioningFailed", what)
                if failure.refuses_object:
                    await self._give_back(uid, claim, document)
                raise ProvisionLater(f"volume {name} could not be saved: {failure.message}") from failure
        except ConnectionFailed as failed:
            raise ProvisionLater(f"volume {name} could not be saved: {failed.message}") from failed
        self._done(uid)
        log.info("volume provisioned", pv=name, driver=self._info.name, rule="LB-24")
        if claim is not None:
            self._tell(claim, "Normal", "ProvisioningSucceeded", f"Successfully provisioned volume {name}")

    async def _is_ours(self, uid: str, document: Json) -> bool:
        """Whether the claim's volume was saved before: this very one, or one of which the driver doesn't know any more.

        Then the driver has made two for one name, and the one that no object names goes (CSI_PROVISIONER-6).
        """
        found = await self._client.get(VOLUMES, document["metadata"]["name"])
        handle = document["spec"]["csi"]["volumeHandle"]
        if found.csi is None or found.csi.driver != self._info.name or found.claim_ref is None:
            return False
        if found.csi.volume_handle == handle:
            return True
        if found.claim_ref.uid != uid:
            return False
        log.error(
            "driver made a second volume for one name", pv=found.name, first=found.csi.volume_handle, second=handle
        )
        await self._delete(uid, handle, f"the second volume for {found.name}")
        return True

    async def _give_back(self, uid: str, claim: Claim | None, document: Json) -> None:
        """Have the driver say anew what no server takes as it is, or delete it (CSI_PROVISIONER-3)."""
        del self._unsaved[uid]
        name = document["metadata"]["name"]
        if (claim is None or claim.volume_name) and not await self._is_saved(name):
            await self._delete(uid, document["spec"]["csi"]["volumeHandle"], f"volume {name}")
            self._unmade.add(uid)

    async def _delete(self, uid: str, handle: str, what: str) -> None:
        """Have the driver delete a volume that no object names; raise ProvisionLater."""
        intent = self.intents.get(uid)
        secret = intent.request.secret if intent is not None else None
        try:
            secrets = await read_secret(self._client, secret) if secret is not None else {}
            message = csi.DeleteVolumeRequest(volume_id=handle, secrets=secrets)
            await self._driver.call(methods.DELETE_VOLUME, message, timeout_seconds=self._options.timeout_seconds)
        except (SecretMissingError, CallFailed) as error:
            raise ProvisionLater(f"{what} could not be deleted: {error}") from error

    def _done(self, uid: str) -> None:
        self._unsaved.pop(uid, None)
        self._unmade.discard(uid)
        self.intents.settle(uid)

    # -- failures

    async def _failed(self, claim: Claim, storage_class: StorageClass, failed: ProvisioningFailed) -> None:
        """Tell the user, and leave the claim in the state that the failure says (LB-19, LB-20, LB-22)."""
        if failed.state is not State.NO_CHANGE:
            self.on_failure(storage_class.name)
        if failed.is_infeasible:
            self._tell(claim, "Warning", "ProvisioningFailed", f"{INFEASIBLE} {failed.message}")
            self._slow.add(claim.uid, storage_class.uid)
        else:
            self._tell(claim, "Warning", "ProvisioningFailed", failed.message)
        if claim.uid in self._unmade:
            self._done(claim.uid)
        if failed.state is State.RESCHEDULE and await self._reschedule(claim):
            return
        raise ProvisionLater(failed.message)

    async def _reschedule(self, claim: Claim) -> bool:
        """Have the scheduler choose another node; False if there was none to forget, or the write failed."""
        document = without_selected_node(claim)
        if document is None:
            return False
        try:
            self._claims.put(await self._client.replace(CLAIMS, document))
        except (ApiFailure, ConnectionFailed) as error:
            log.warning("selected node could not be taken back", pvc=claim.key, err=error.message)
            return False
        return True

    def _tell(self, claim: Claim, type_: str, reason: str, message: str) -> None:
        subject = Subject.of(PERSISTENT_VOLUME_CLAIMS, claim)
        self._recorder.event(subject, "Normal" if type_ == "Normal" else "Warning", reason, message)
