"""What a control plane can be asked for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pvbinder.controllers.options import ControllerOptions
from pvbinder.sources.options import ANY, SourceOptions

AuthorizationMode = Literal["RBAC", "AlwaysAllow"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaneOptions:
    """The server and its controllers.

    A `data_dir` of None is ephemeral; with `in_memory` no object is written there, either. A `port` of None is the one
    of last time, or a free one; a `kubeconfig` of None is inside the data directory.
    """

    data_dir: Path | None
    controllers: ControllerOptions
    host: str = "127.0.0.1"
    port: int | None = None
    kubeconfig: Path | None = None
    bare: bool = False
    token_auth_file: Path | None = None
    authorization_mode: AuthorizationMode = "RBAC"
    load: tuple[str, ...] = ()
    load_options: SourceOptions = ANY
    default_class: bool = False
    csi_drivers: tuple[str, ...] = ()
    in_memory: bool = False
