"""The settings that decisions depend on besides the objects: the reference's flags and feature gates, as one value."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from msgspec import Struct

IN_TREE_DRIVERS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "kubernetes.io/aws-ebs": "ebs.csi.aws.com",
        "kubernetes.io/gce-pd": "pd.csi.storage.gke.io",
        "kubernetes.io/azure-disk": "disk.csi.azure.com",
        "kubernetes.io/azure-file": "file.csi.azure.com",
        "kubernetes.io/cinder": "cinder.csi.openstack.org",
        "kubernetes.io/vsphere-volume": "csi.vsphere.vmware.com",
        "kubernetes.io/portworx-volume": "pxd.portworx.com",
    }
)


class Migrations(Struct, frozen=True):
    """Which in-tree plugins have moved to which CSI driver (MG-3); `every` is a driver that acts for anyone."""

    drivers: Mapping[str, str] = IN_TREE_DRIVERS
    every: str | None = None

    def driver_of(self, plugin: str) -> str | None:
        """Return the CSI driver that acts for `plugin`, or None if it has not moved."""
        return self.every if self.every is not None else self.drivers.get(plugin)


class Settings(Struct, frozen=True):
    """Flags and gates; the defaults are those of the reference."""

    dynamic_provisioning: bool = True  # --enable-dynamic-provisioning, PR-1
    attributes_classes: bool = True  # gate VolumeAttributesClass
    migrations: Migrations = Migrations()


DEFAULTS: Final = Settings()
