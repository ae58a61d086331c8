"""The names of the local driver, for those who mustn't wait for gRPC to learn them."""

from __future__ import annotations

from typing import Final

DRIVER_NAME: Final = "local.csi.pvbinder.io"
TOPOLOGY_KEY: Final = f"topology.{DRIVER_NAME}/node"
