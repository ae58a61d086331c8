"""The credentials of each request: tokens that change, and certificates from programs.

CREDENTIALS-1  A token file is read again when it is a minute old, so that a rotated token is used in time; so are the
               files of a client certificate. In the middle of a rotation the one before is used.
CREDENTIALS-2  An exec plugin runs at the first need, again when its credentials have expired, and again after a 401;
               one at a time, and never longer than a minute.
CREDENTIALS-3  No message and no log line holds a token, or a program's output.
CREDENTIALS-4  What is given out can be used: a certificate and a key that aren't a pair are an error here.
"""

from __future__ import annotations

import asyncio
import base64
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from pvbinder.files import UnreadableFileError, read_file
from pvbinder.kube.certificates import check_pair
from pvbinder.kube.config import FILE_BYTES_MAX, ConnectionConfig, ExecPlugin
from pvbinder.kube.errors import ConfigError
from pvbinder.model.json import Json, encode

FILE_SECONDS = 60.0
TOKEN_BYTES_MAX = 1 << 20
EXEC_SECONDS = 60.0
EXPIRES_EARLY_SECONDS = 10.0  # credentials that expire so soon count as expired: a request takes a while, too


@dataclass(frozen=True, slots=True)
class Credentials:
    """The credentials of a request: a bearer token, a client certificate, both or none."""

    token: str = field(default="", repr=False)
    certificate: bytes | None = None
    key: bytes | None = field(default=None, repr=False)


class _ExecStatus(msgspec.Struct, rename="camel"):
    token: str | None = None
    client_certificate_data: str | None = None
    client_key_data: str | None = None
    expiration_timestamp: datetime | None = None


class _ExecCredential(msgspec.Struct, rename="camel"):
    kind: str = ""
    api_version: str = ""
    status: _ExecStatus | None = None


class CredentialSource:
    """Gives the credentials of a configuration, fresh."""

    def __init__(self, config: ConnectionConfig, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._config = config
        self._now = now
        self._fixed = Credentials(config.token, config.client_certificate, config.client_key)
        self._current: Credentials | None = None
        self._last: Credentials | None = None  # from files, also after a 401
        self._good_until: datetime | None = None
        self._read_at = float("-inf")
        self._turn = asyncio.Lock()

    @property
    def can_change(self) -> bool:
        """Whether asking again may give something else: then a 401 is worth a second try."""
        config = self._config
        return config.token_file is not None or config.exec_plugin is not None or config.client_files is not None

    @property
    def fixed(self) -> Credentials:
        """The credentials that the configuration itself holds."""
        return self._fixed

    async def get(self) -> Credentials:
        """Return credentials that are good now."""
        if self._config.exec_plugin is None:
            return self._from_files() if self.can_change else self._fixed
        if self._current is None or self._has_expired():
            async with self._turn:
                if self._current is None or self._has_expired():
                    self._current = await self._from_exec(self._config.exec_plugin)
        return self._current

    def reject(self, refused: Credentials) -> None:
        """Forget `refused`, which got a 401, unless newer ones are there already."""
        if self._current is refused:
            self._current = None
            self._read_at = float("-inf")

    def _has_expired(self) -> bool:
        if self._good_until is None:
            return False
        return (self._good_until - self._now()).total_seconds() < EXPIRES_EARLY_SECONDS

    def _from_files(self) -> Credentials:
        now = asyncio.get_running_loop().time()
        if self._current is None or now - self._read_at >= FILE_SECONDS:
            try:
                found = self._read_files()
            except ConfigError:
                if self._last is None:
                    raise
                found = self._last  # it may be in the middle of its rotation
            self._current = self._last = self._last if found == self._last and self._last is not None else found
            self._read_at = now
        return self._current

    def _read_files(self) -> Credentials:
        config, token = self._config, self._config.token
        certificate, key = config.client_certificate, config.client_key
        if config.token_file is not None:
            try:
                token = _read(config.token_file, TOKEN_BYTES_MAX, "token file").decode().strip()
            except UnicodeDecodeError as error:
                raise ConfigError(f"the token file {config.token_file} can't be read: it is no UTF-8 text") from error
        if config.client_files is not None:
            certificate, key = (_read(path, FILE_BYTES_MAX, "client certificate") for path in config.client_files)
            if (certificate, key) != (config.client_certificate, config.client_key):
                check_pair(certificate, key)
        return Credentials(token, certificate, key)

    async def _from_exec(self, plugin: ExecPlugin) -> Credentials:
        output = await self._run(plugin)
        try:
            credential = msgspec.json.decode(output, type=_ExecCredential)
        except msgspec.DecodeError:
            raise ConfigError(f"the credential plugin {plugin.command} wrote no ExecCredential") from None
        status = credential.status
        if credential.kind != "ExecCredential" or status is None:
            raise ConfigError(f"the credential plugin {plugin.command} wrote no ExecCredential with a status")
        if credential.api_version != plugin.api_version:
            raise ConfigError(
                f"the credential plugin {plugin.command} speaks {credential.api_version}, not {plugin.api_version}"
            )
        if not status.token and not (status.client_certificate_data and status.client_key_data):
            raise ConfigError(f"the credential plugin {plugin.command} gave neither a token nor a client certificate")
        self._good_until = status.expiration_timestamp
        if self._good_until is not None and self._good_until.tzinfo is None:
            self._good_until = self._good_until.replace(tzinfo=UTC)
        certificate = status.client_certificate_data.encode() if status.client_certificate_data else None
        key = status.client_key_data.encode() if status.client_key_data else None
        if certificate is not None and key is not None:
            check_pair(certificate, key)
        return Credentials(status.token or "", certificate or self._fixed.certificate, key or self._fixed.key)

    async def _run(self, plugin: ExecPlugin) -> bytes:
        information: Json = {"apiVersion": plugin.api_version, "kind": "ExecCredential", "spec": {"interactive": False}}
        if plugin.provide_cluster_info:
            information["spec"]["cluster"] = self._cluster_information()
        command = plugin.command
        if os.sep in command and plugin.directory is not None:
            command = str(plugin.directory / command)
        environment = {**os.environ, **plugin.environment, "KUBERNETES_EXEC_INFO": encode(information).decode()}
        try:
            process = await asyncio.create_subprocess_exec(
                command,
                *plugin.arguments,
                env=environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
        except OSError as error:
            raise ConfigError(
                f"the credential plugin {plugin.command} can't be run: {error.strerror}",
                hint=plugin.install_hint or None,
            ) from error
        try:
            async with asyncio.timeout(EXEC_SECONDS):
                output, complaint = await process.communicate()
        except TimeoutError:
            raise ConfigError(f"the credential plugin {plugin.command} gave nothing in {EXEC_SECONDS:.0f} s") from None
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode != 0:
            said = complaint.decode(errors="replace").strip()[-500:]
            raise ConfigError(f"the credential plugin {plugin.command} failed with {process.returncode}: {said}")
        return output

    def _cluster_information(self) -> Json:
        config = self._config
        cluster: Json = {"server": config.server, "insecure-skip-tls-verify": config.insecure}
        if config.ca is not None:
            cluster["certificate-authority-data"] = base64.b64encode(config.ca).decode()
        if config.tls_server_name:
            cluster["tls-server-name"] = config.tls_server_name
        if config.proxy:
            cluster["proxy-url"] = config.proxy
        return cluster


def _read(path: Path, bytes_max: int, what: str) -> bytes:
    try:
        return read_file(path, bytes_max=bytes_max)
    except UnreadableFileError as error:
        raise ConfigError(f"the {what} {path} can't be read: {error.reason}") from error
