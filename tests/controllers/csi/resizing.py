"""A claim that can grow through the fake driver, and what is asked and seen of it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

from tests.controllers.csi.fake_driver import INFO, FakeDriver
from tests.controllers.csi.stage import RESIZING, Stage, stage, storage_class

from pvbinder.controllers.csi.driver_info import DriverInfo
from pvbinder.controllers.csi.options import ResizerOptions
from pvbinder.csi.errors import CallFailed, Code
from pvbinder.csi.wire import csi_pb2 as csi
from pvbinder.csi.wire import methods
from pvbinder.kube.kinds import VOLUMES
from pvbinder.model.json import Json

GI = 1 << 30
PRE_RESIZE = "volume.alpha.kubernetes.io/pre-resize-capacity"


def expansions(driver: FakeDriver) -> list[int]:
    """The bytes that were asked for, call by call."""
    return [one.capacity_range.required_bytes for one in driver.calls(methods.CONTROLLER_EXPAND_VOLUME)]


def refuses(*codes: Code, text: str = "no") -> Callable[[Any], None]:
    """Fail the first expansions with these codes."""
    left = list(codes)

    def fail(request: Any) -> None:
        if left and isinstance(request, csi.ControllerExpandVolumeRequest):
            raise CallFailed(left.pop(0), text)

    return fail


def conditions(status: Json) -> dict[str, str]:
    """The conditions that a claim has, and their messages."""
    return {one["type"]: one.get("message", "") for one in status.get("conditions") or []}


@asynccontextmanager
async def bound(
    driver: FakeDriver | None = None,
    info: DriverInfo = INFO,
    options: ResizerOptions | None = None,
    parameters: Json | None = None,
    **spec: Any,
) -> AsyncGenerator[Stage]:
    """A stage with a claim of 1Gi that has its volume."""
    async with stage(driver, info, chosen=RESIZING, resizing=options) as s:
        await s.cluster.create(storage_class(allowVolumeExpansion=True, parameters=parameters or {}))
        await s.want(**spec)
        await s.until_bound()
        yield s


def volume_of(s: Stage) -> Json:
    (volume,) = s.cluster.of(VOLUMES)
    return volume.document()
