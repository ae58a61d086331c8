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
from pvbinder.plane.options import PlaneOptions
from pvbinder.server.objects.schema.yaml_text import YamlTextError, parse_yaml

LogFormat = Literal["text", "json"]


@dataclass(frozen=True, slots=True, kw_only=True)
class UpOptions(PlaneOptions):
    """The flags of `pvbinder up` and the command after ``--``."""

    verbosity: int
    log_format: LogFormat
    apply: tuple[Path, ...] = ()
    watch: bool = False
    page_port: int | None = 0  # of the live page; None is none at all
    command: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SecureOptions:
    """Metrics and health over TLS: where, with which certificate, and who may ask.

    A `certificate` is the files of it and its key, else they are found or made in `directory`; `authentication` and
    `authorization` are kubeconfigs, None for the line of the controllers. `cipher_suites` have IANA's names.
    """

    host: str
    port: int
    certificate: tuple[Path, Path] | None
    client_ca: Path | None
    tls_version: str
    authentication: Path | None
    authorization: Path | None
    looks_up_authority: bool
    always_allowed: tuple[str, ...]
    token_seconds: float
    allowed_seconds: float
    denied_seconds: float
    directory: Path | None = None
    cipher_suites: tuple[str, ...] = ()
    shares_port: bool = False


@dataclass(frozen=True, slots=True)
class ControlOptions:
    """The flags of `pvbinder controller`; `metrics` are address and port to listen on without TLS, None for neither.

    With `election`, a lease and its times, nothing is done but while this process is the leader. A `server` takes the
    place of the kubeconfig's. Requests have no bound per second unless one of the two is given. `passed_over` are
    flags that change nothing, each with the reason, for the log.
    """

    kubeconfig: Path | None
    context: str | None
    controllers: ControllerOptions
    metrics: tuple[str, int] | None
    verbosity: int
    log_format: LogFormat
    election: tuple[str, ElectionOptions] | None = None
    metrics_path: str = "/metrics"
    server: str = ""
    kube_api_qps: float | None = None
    kube_api_burst: int | None = None
    passed_over: tuple[tuple[str, str], ...] = ()
    secure: SecureOptions | None = None
    audit_interval_seconds: float | None = None


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
