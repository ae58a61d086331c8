"""A sidecar as a controller that a manager can start, for each driver that is named.

gRPC takes time to import, so that is done when the controller is made: whoever names no driver doesn't wait for it.
"""

from __future__ import annotations

from typing import Final

from pvbinder.controllers.context import Controller, ControllerContext
from pvbinder.controllers.csi.options import SidecarOptions
from pvbinder.controllers.registry import ControllerDeclaration

USER: Final = "csi-provisioner"  # a service account, as the reference's sidecars have one


def declare_sidecar(address: str, options: SidecarOptions, number: int = 0) -> ControllerDeclaration:
    """Return the controller that serves the driver at `address`; making it raises AddressError, UnknownRoleError."""

    def make(context: ControllerContext) -> Controller:
        from pvbinder.controllers.csi.sidecar import CsiSidecar

        return CsiSidecar(context, address, options)

    return ControllerDeclaration(f"csi-driver-{number}", user=USER, make=make)
