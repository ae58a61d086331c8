"""The Identity service: who the driver is, what it can, and whether it is well."""

from __future__ import annotations

from google.protobuf.wrappers_pb2 import BoolValue

from pvbinder import __version__
from pvbinder.csi.errors import CallFailed, Code
from pvbinder.csi.local.names import DRIVER_NAME
from pvbinder.csi.local.root import Root
from pvbinder.csi.local.work import Work
from pvbinder.csi.serving import Handlers
from pvbinder.csi.wire import csi_pb2 as csi
from pvbinder.csi.wire import methods

_SERVICE = csi.PluginCapability.Service
_EXPANSION = csi.PluginCapability.VolumeExpansion


class IdentityService:
    """The handlers of the service."""

    def __init__(self, root: Root, work: Work) -> None:
        self._root = root
        self._work = work

    def handlers(self) -> Handlers:
        """Return the methods and what answers them."""
        return {
            methods.GET_PLUGIN_INFO: self.get_plugin_info,
            methods.GET_PLUGIN_CAPABILITIES: self.get_plugin_capabilities,
            methods.PROBE: self.probe,
        }

    async def get_plugin_info(self, _: csi.GetPluginInfoRequest) -> csi.GetPluginInfoResponse:
        """Name the driver."""
        return csi.GetPluginInfoResponse(name=DRIVER_NAME, vendor_version=__version__)

    async def get_plugin_capabilities(self, _: csi.GetPluginCapabilitiesRequest) -> csi.GetPluginCapabilitiesResponse:
        """Say what the driver can as a whole."""
        services = (_SERVICE.CONTROLLER_SERVICE, _SERVICE.VOLUME_ACCESSIBILITY_CONSTRAINTS)
        return csi.GetPluginCapabilitiesResponse(
            capabilities=[
                *(csi.PluginCapability(service=_SERVICE(type=service)) for service in services),
                csi.PluginCapability(volume_expansion=_EXPANSION(type=_EXPANSION.ONLINE)),
            ]
        )

    async def probe(self, _: csi.ProbeRequest) -> csi.ProbeResponse:
        """Say whether the driver's root is there and ours; FailedPrecondition if it isn't."""
        trouble = await self._work.run((), self._root.trouble)
        if trouble is not None:
            raise CallFailed(Code.FAILED_PRECONDITION, trouble)
        return csi.ProbeResponse(ready=BoolValue(value=True))
