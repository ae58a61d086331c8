"""How decisions' events become events about claims and volumes."""

from __future__ import annotations

from typing import Protocol

from pvbinder.kube.events import EventType, Subject
from pvbinder.model.objects import Claim, Volume
from pvbinder.model.resources import PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES
from pvbinder.rules.events import Event


class Recorder(Protocol):
    """A taker of events (`kube.events.EventRecorder`)."""

    def event(self, subject: Subject, type: EventType, reason: str, message: str) -> None:  # noqa: A002
        """Record that something happened to `subject`."""
        ...


class Reporter:
    """Tells users what happens to their claims and volumes."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    def on_claim(self, claim: Claim, event: Event) -> None:
        """Tell `event` about `claim`."""
        self._recorder.event(Subject.of(PERSISTENT_VOLUME_CLAIMS, claim), event.type, event.reason, event.message)

    def on_volume(self, volume: Volume, event: Event) -> None:
        """Tell `event` about `volume`."""
        self._recorder.event(Subject.of(PERSISTENT_VOLUMES, volume), event.type, event.reason, event.message)
