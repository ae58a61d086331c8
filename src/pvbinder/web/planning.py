"""Plans for the page: what manifests would do, found out in a process of its own.

PLANNING-1  The answer is that of `pvbinder plan` about the same objects; nothing of the cluster is changed.
PLANNING-2  The loop is not held up: a copy of a whole control plane runs elsewhere, with its own log lines.
PLANNING-3  It is bounded: one plan at a time, `PLAN_SECONDS_MAX` and `MEMORY_BYTES_MAX` for it, and the process is gone
            when the answer is there, when time is up, or when nobody waits for it any more.
PLANNING-4  Manifests that can't be read, or that are no new ones, are refused in words.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, Final

import msgspec
from msgspec import Struct

from pvbinder.model.errors import PvbinderError
from pvbinder.model.json import Json

PLAN_SECONDS_MAX: Final = 60.0
MEMORY_BYTES_MAX: Final = 4 << 30  # of addresses
ANSWER_BYTES_MAX: Final = 64 << 20


class PlanRefusedError(PvbinderError):
    """There is no plan, and the message says why."""


class PlanTask(Struct, frozen=True):
    """The question to the process: manifests, and the objects that there are with their sources."""

    manifests: str
    documents: list[tuple[str, Any]]
    written_at: str | None = None  # the time of a file, RFC 3339; None if they were read just now
    notes: list[str] = []


class PlanAnswer(Struct, frozen=True):
    """The answer of the process: a plan as text and as JSON, or the reason why there is none."""

    text: str = ""
    report: msgspec.Raw = msgspec.Raw(b"null")
    error: str = ""


class Plans:
    """Asks for plans."""

    def __init__(self, *, seconds_max: float = PLAN_SECONDS_MAX) -> None:
        self._seconds_max = seconds_max
        self._is_busy = False

    @property
    def is_busy(self) -> bool:
        """Whether a plan is being made."""
        return self._is_busy

    async def plan(
        self,
        manifests: bytes,
        found: Iterable[tuple[str, Json]],
        *,
        written_at: str | None = None,
        notes: Iterable[str] = (),
    ) -> PlanAnswer:
        """Return what `manifests` would do to the objects in `found`; raise `PlanRefusedError`."""
        if self._is_busy:
            raise PlanRefusedError("another plan is being made: ask again in a moment")
        try:
            text = manifests.decode()
        except UnicodeDecodeError as error:
            raise PlanRefusedError("the manifests are no text in UTF-8") from error
        self._is_busy = True
        try:
            task = PlanTask(text, list(found), written_at, list(notes))
            question = await asyncio.to_thread(msgspec.json.encode, task)
            return await self._ask(question)
        finally:
            self._is_busy = False

    async def _ask(self, question: bytes) -> PlanAnswer:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "pvbinder.web.plan_process"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for us
        )
        try:
            async with asyncio.timeout(self._seconds_max):
                told, _ = await process.communicate(question)
        except TimeoutError as error:
            raise PlanRefusedError(f"the plan took longer than {self._seconds_max:.0f} s, and was given up") from error
        finally:
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        try:
            if len(told) > ANSWER_BYTES_MAX:
                raise PlanRefusedError("the plan is too large for the page: pvbinder plan prints it")
            answer = msgspec.json.decode(told, type=PlanAnswer)
        except msgspec.MsgspecError as error:
            raise PlanRefusedError(f"the plan failed (exit code {process.returncode}): try pvbinder plan") from error
        if answer.error:
            raise PlanRefusedError(answer.error)
        return answer
