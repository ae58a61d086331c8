"""The options of `pvbinder up` and `pvbinder controller`, checked."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pvbinder.cli.errors import WrongUsageError
from pvbinder.controllers.options import ControllerOptions
from pvbinder.files import UnreadableFileError, read_file
from pvbinder.kube.config import FILE_BYTES_MAX
from pvbinder.kube.election_options import ElectionOptions
from pvbinder.model.errors import PvbinderError
from pvbinder.server.objects.schema.yaml_text import YamlTextError, parse_yaml

LogFormat = Literal["text", "json"]
AuthorizationMode = Literal["RBAC", "AlwaysAllow"]


@dataclass(frozen=True, slots=True)
class UpOptions:
    """The flags of `pvbinder up` and the command after ``--``.

    A `data_dir` of None is ephemeral; a `port` of None is the one of last time, or a free one; a `kubeconfig` of None
    is inside the data directory.
    """

    data_dir: Path | None
    host: str
    port: int | None
    kubeconfig: Path | None
    controllers: ControllerOptions
    bare: bool
    verbosity: int
    log_format: LogFormat
    token_auth_file: Path | None = None
    authorization_mode: AuthorizationMode = "RBAC"
    load: tuple[str, ...] = ()
    apply: tuple[Path, ...] = ()
    watch: bool = False
    command: tuple[str, ...] = ()
    default_class: bool = False
    csi_drivers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ControlOptions:
    """The flags of `pvbinder controller`; `metrics` are address and port to listen on, None for neither.

    With `election`, a lease and its times, nothing is done but while this process is the leader.
    """

    kubeconfig: Path | None
    context: str | None
    controllers: ControllerOptions
    metrics: tuple[str, int] | None
    verbosity: int
    log_format: LogFormat
    election: tuple[str, ElectionOptions] | None = None
    metrics_path: str = "/metrics"


def default_data_dir(environment: Mapping[str, str] = os.environ) -> Path:
    """Return the user's data directory for this application (XDG base directory specification)."""
    base = environment.get("XDG_DATA_HOME", "")
    if not Path(base).is_absolute():  # the specification: a relative path is to be ignored
        base = str(Path("~").expanduser() / ".local" / "share")
    return Path(base) / "pvbinder"


def check_kubeconfig_is_ours(path: Path) -> None:
    """Refuse to write over a kubeconfig that leads anywhere else than to a pvbinder."""
    try:
        found = parse_yaml(read_file(path, bytes_max=FILE_BYTES_MAX)).value
    except UnreadableFileError as error:
        if error.is_missing:
            return
        raise _not_ours(path, f"it can't be read as one of ours: {error.reason}") from error
    except YamlTextError as error:
        raise _not_ours(path, "it can't be read as one of ours") from error
    clusters = found.get("clusters") if isinstance(found, dict) else None
    names = [c.get("name") if isinstance(c, dict) else None for c in clusters] if isinstance(clusters, list) else []
    if names != ["pvbinder"]:
        raise _not_ours(path, "it leads to other clusters" if names else "it is no kubeconfig of ours")


def _not_ours(path: Path, why: str) -> WrongUsageError:
    return WrongUsageError(
        f"{path} exists and would be overwritten, but {why}",
        hint="choose another file with --kubeconfig; to use both at once: export KUBECONFIG=file1:file2",
    )


def port_of_last_time(kubeconfig: Path) -> int | None:
    """Return the port that the kubeconfig of an earlier start names, so that copies of it stay valid."""
    try:
        found = parse_yaml(read_file(kubeconfig, bytes_max=FILE_BYTES_MAX)).value
        return int(found["clusters"][0]["cluster"]["server"].rpartition(":")[2])
    except (PvbinderError, ValueError, LookupError, TypeError, AttributeError):
        return None
