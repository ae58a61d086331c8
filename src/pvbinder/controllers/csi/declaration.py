"""A sidecar as a controller that a manager can start, for each driver that is named.

gRPC takes time to import, so that is done when the controller is made: whoever names no driver doesn't wait for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pvbinder.controllers.context import Controller, ControllerContext
from pvbinder.controllers.csi.options import SidecarOptions
from pvbinder.controllers.registry import ControllerDeclaration

if TYPE_CHECKING:
    from pvbinder.controllers.csi.built_in import LocalPlace
    from pvbinder.controllers.csi.node_drivers import NodeDrivers

LOCAL: Final = "local-csi-driver"  # the controller that has the local driver beside us
USER: Final = "csi-provisioner"  # a service account, as the reference's sidecars have one


def declare_sidecar(address: str, options: SidecarOptions, number: int = 0) -> ControllerDeclaration:
    """Return the controller that serves the driver at `address`; making it raises AddressError, UnknownRoleError."""

    def make(context: ControllerContext) -> Controller:
        from pvbinder.controllers.csi.sidecar import CsiSidecar

        return CsiSidecar(context, address, options)

    return ControllerDeclaration(f"csi-driver-{number}", user=USER, make=make)


def declare_served(address: str, options: SidecarOptions, drivers: NodeDrivers, number: int) -> ControllerDeclaration:
    """Return the controller that serves the driver at `address`, on nodes too; making it raises AddressError."""
    sidecar = declare_sidecar(address, options, number)

    def make(context: ControllerContext) -> Controller:
        from pvbinder.controllers.csi.served_driver import ServedDriver

        return ServedDriver(address, sidecar.make(context), drivers)

    return ControllerDeclaration(sidecar.name, user=USER, make=make)


def declare_built_in(place: LocalPlace, options: SidecarOptions, drivers: NodeDrivers) -> ControllerDeclaration:
    """Return the controller that starts the local driver, and serves it."""

    def make(context: ControllerContext) -> Controller:
        from pvbinder.controllers.csi.built_in import BuiltInDriver

        return BuiltInDriver(context, place, declare_sidecar(place.address, options).make, drivers)

    return ControllerDeclaration(LOCAL, user=USER, make=make)
