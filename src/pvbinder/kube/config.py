"""The address of the API server and our credentials: from kubeconfig files, or the pod's service account.

CONFIG-1  Files are found as kubectl finds them: `--kubeconfig`, else each file in ``KUBECONFIG`` (the first to name a
          thing wins, missing files are passed over), else ``~/.kube/config``; without any, the pod's service account.
CONFIG-2  Paths inside a file are relative to that file.
CONFIG-3  A configuration that can't work is refused here, with the file, the field and a way out, before any connection
          is tried.
CONFIG-4  No message holds a token, a key or a password.
"""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

from pvbinder.files import UnreadableFileError, read_file
from pvbinder.kube import socks
from pvbinder.kube.errors import ConfigError
from pvbinder.model.json import Json
from pvbinder.server.objects.schema.yaml_text import YamlTextError, YamlTooLargeError, parse_yaml

FILE_BYTES_MAX = 16 << 20
PROXY_SCHEMES = ("http", "https", *socks.SCHEMES)
SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


@dataclass(frozen=True, slots=True)
class ExecPlugin:
    """A program that gives credentials (client.authentication.k8s.io)."""

    command: str
    arguments: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    api_version: str = "client.authentication.k8s.io/v1"
    install_hint: str = ""
    provide_cluster_info: bool = False
    directory: Path | None = None  # where a relative command starts from


@dataclass(frozen=True, slots=True)
class ConnectionConfig:
    """All that is needed to reach one API server as one user.

    `server` is a URL, with a path if the API is not at the root. Certificates are PEM. Of `token`, `token_file` and
    `exec_plugin` at most one is set; a token file is read again as it changes.
    """

    server: str
    ca: bytes | None = None
    insecure: bool = False
    tls_server_name: str = ""
    proxy: str = ""
    client_certificate: bytes | None = None
    client_key: bytes | None = field(default=None, repr=False)
    client_files: tuple[Path, Path] | None = None  # that the two came from; they are read again, too
    token: str = field(default="", repr=False)
    token_file: Path | None = None
    exec_plugin: ExecPlugin | None = None
    namespace: str = "default"
    impersonate_user: str = ""
    impersonate_groups: tuple[str, ...] = ()
    context: str = ""


def load(
    path: Path | None = None,
    context: str | None = None,
    *,
    server: str = "",
    environment: Mapping[str, str] = os.environ,
    service_account: Path = SERVICE_ACCOUNT,
) -> ConnectionConfig:
    """Return the way to the API server that kubectl would take, or raise `ConfigError` (CONFIG-1).

    A `server` takes the place of the one that is found; without any configuration it is asked as nobody.
    """
    if not server:
        return _load(path, context, environment, service_account)
    is_any = path is not None or context is not None or environment.get("KUBECONFIG")
    if not is_any and not _default_file(environment).exists() and not _is_pod(environment, service_account):
        return ConnectionConfig(server=server)
    return replace(_load(path, context, environment, service_account), server=server)


def _default_file(environment: Mapping[str, str]) -> Path:
    return Path(environment.get("HOME") or Path.home()) / ".kube" / "config"


def _is_pod(environment: Mapping[str, str], service_account: Path) -> bool:
    return bool(environment.get("KUBERNETES_SERVICE_HOST")) and service_account.is_dir()


def _load(
    path: Path | None, context: str | None, environment: Mapping[str, str], service_account: Path
) -> ConnectionConfig:
    if path is not None:
        return load_kubeconfig([path], context, must_exist=True)
    if named := environment.get("KUBECONFIG", ""):
        paths = [Path(name) for name in named.split(os.pathsep) if name]
        if not any(each.exists() for each in paths):
            raise ConfigError(
                f"there is no kubeconfig: KUBECONFIG names {named}, which doesn't exist",
                hint="name another with --kubeconfig; `pvbinder up` writes one and prints its path",
            )
        return load_kubeconfig(paths, context, must_exist=False)
    default = _default_file(environment)
    if default.exists() or context is not None:
        return load_kubeconfig([default], context, must_exist=True)
    if _is_pod(environment, service_account):
        return load_in_cluster(environment, service_account)
    raise ConfigError(
        f"there is no kubeconfig: KUBECONFIG is not set, {default} does not exist, and this is no pod of a cluster",
        hint="name one with --kubeconfig; `pvbinder up` writes one and prints its path",
    )


def load_in_cluster(
    environment: Mapping[str, str] = os.environ, service_account: Path = SERVICE_ACCOUNT
) -> ConnectionConfig:
    """Return the way to the API server of the cluster that this pod runs in, as its service account."""
    host, port = environment.get("KUBERNETES_SERVICE_HOST", ""), environment.get("KUBERNETES_SERVICE_PORT", "443")
    token_file, ca_file = service_account / "token", service_account / "ca.crt"
    if not host or not token_file.exists():
        missing = "KUBERNETES_SERVICE_HOST is not set" if not host else f"{token_file} is missing"
        raise ConfigError(
            f"this is no pod with a service account: {missing}",
            hint="outside a cluster name a kubeconfig with --kubeconfig; inside set automountServiceAccountToken: true",
        )
    namespace_file = service_account / "namespace"
    return ConnectionConfig(
        server=f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}",
        ca=_content(ca_file) if ca_file.exists() else None,
        token_file=token_file,
        namespace=_content(namespace_file).decode(errors="replace").strip() if namespace_file.exists() else "default",
        context="in-cluster",
    )


def _content(path: Path) -> bytes:
    try:
        return read_file(path, bytes_max=FILE_BYTES_MAX)
    except UnreadableFileError as error:
        raise ConfigError(error.message) from error


def load_kubeconfig(paths: Sequence[Path], context: str | None = None, *, must_exist: bool = True) -> ConnectionConfig:
    """Return what `context` (or the current one) of the merged `paths` says."""
    merged = _Merged.read(paths, must_exist=must_exist)
    wanted = context if context is not None else merged.current_context
    if not wanted:
        raise ConfigError(
            f"kubeconfig {merged.shown} has no current context",
            hint=f"choose one with --context: {merged.contexts_shown}",
        )
    found = merged.contexts.get(wanted)
    if found is None:
        raise ConfigError(
            f"kubeconfig {merged.shown} has no context {wanted!r}",
            hint=f"choose one with --context: {merged.contexts_shown}",
        )
    cluster_name, user_name = found.text("cluster"), found.text("user")
    cluster = merged.clusters.get(cluster_name)
    if cluster is None:
        raise ConfigError(
            f"kubeconfig {found.file}: context {wanted!r} names the cluster {cluster_name!r}, which is not there"
        )
    user = merged.users.get(user_name)
    if user is None:
        if user_name:
            raise ConfigError(
                f"kubeconfig {found.file}: context {wanted!r} names the user {user_name!r}, which is not there"
            )
        user = _Section({}, found.file, "users")
    return _connection(wanted, found, cluster, user)


# -- reading files ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Section:
    """One cluster, user or context, with the file that it comes from."""

    fields: Json
    file: Path
    where: str

    def text(self, name: str) -> str:
        value = self.fields.get(name)
        if value is None:
            return ""
        if not isinstance(value, str):
            raise ConfigError(f"kubeconfig {self.file}: {self.where}.{name} must be text")
        return value

    def flag(self, name: str) -> bool:
        value = self.fields.get(name, False)
        if not isinstance(value, bool):
            raise ConfigError(f"kubeconfig {self.file}: {self.where}.{name} must be true or false")
        return value

    def path(self, name: str) -> Path | None:
        value = self.text(name)
        return self.file.parent / Path(value).expanduser() if value else None  # CONFIG-2

    def content(self, name: str) -> bytes | None:
        """The bytes of ``<name>-data`` or else of the file that ``<name>`` names."""
        data = self.text(f"{name}-data")
        if data:
            try:
                return base64.b64decode(data, validate=True)
            except (binascii.Error, ValueError) as error:
                raise ConfigError(f"kubeconfig {self.file}: {self.where}.{name}-data is no base64") from error
        path = self.path(name)
        if path is None:
            return None
        try:
            return read_file(path, bytes_max=FILE_BYTES_MAX)
        except UnreadableFileError as error:
            raise ConfigError(f"kubeconfig {self.file}: {self.where}.{name}: {path}: {error.reason}") from error


@dataclass(slots=True)
class _Merged:
    shown: str
    current_context: str = ""
    clusters: dict[str, _Section] = field(default_factory=dict)
    users: dict[str, _Section] = field(default_factory=dict)
    contexts: dict[str, _Section] = field(default_factory=dict)

    @property
    def contexts_shown(self) -> str:
        return ", ".join(sorted(self.contexts)) or "there is none, the file is empty"

    @classmethod
    def read(cls, paths: Sequence[Path], *, must_exist: bool) -> _Merged:
        merged = cls(os.pathsep.join(map(str, paths)))
        for path in paths:
            if not must_exist and not path.exists():
                continue
            document = _document(path)
            if not merged.current_context:
                merged.current_context = _Section(document, path, "").text("current-context")
            for kind, into in (("clusters", merged.clusters), ("users", merged.users), ("contexts", merged.contexts)):
                for name, section in _named(document, kind, path):
                    into.setdefault(name, section)
        return merged


def _document(path: Path) -> Json:
    try:
        found = parse_yaml(read_file(path, bytes_max=FILE_BYTES_MAX)).value
    except UnreadableFileError as error:
        hint = "name another with --kubeconfig" if error.is_missing else None
        raise ConfigError(f"kubeconfig {path}: {error.reason}", hint=hint) from error
    except YamlTooLargeError as error:
        raise ConfigError(f"kubeconfig {path}, line {error.line}: {error.message.removeprefix('yaml: ')}") from error
    except YamlTextError as error:
        where = f" in line {error.line}" if error.line is not None else ""
        raise ConfigError(f"kubeconfig {path} is no YAML{where}") from error
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise ConfigError(f"kubeconfig {path} is no kubeconfig: it must be a map with clusters, users and contexts")
    return cast(Json, found)


def _named(document: Json, kind: str, path: Path) -> list[tuple[str, _Section]]:
    entries = document.get(kind) or []
    singular = kind.removesuffix("s")
    if not isinstance(entries, list):
        raise ConfigError(f"kubeconfig {path}: {kind} must be a list")
    named = []
    for position, entry in enumerate(entries):
        name = entry.get("name") if isinstance(entry, dict) else None
        fields = (entry.get(singular) or {}) if isinstance(entry, dict) else None
        if not isinstance(name, str) or not isinstance(fields, dict):
            raise ConfigError(f"kubeconfig {path}: {kind}[{position}] must have a name and a {singular}")
        named.append((name, _Section(fields, path, f"{kind}[{name}].{singular}")))
    return named


def _connection(context: str, found: _Section, cluster: _Section, user: _Section) -> ConnectionConfig:
    server = cluster.text("server").rstrip("/")
    parts = urlsplit(server)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError(
            f"kubeconfig {cluster.file}: {cluster.where}.server is {server!r}", hint="it must be like https://host:6443"
        )
    insecure = cluster.flag("insecure-skip-tls-verify")
    ca = cluster.content("certificate-authority")
    if insecure and ca is not None:
        raise ConfigError(
            f"kubeconfig {cluster.file}: {cluster.where} has a certificate authority and insecure-skip-tls-verify",
            hint="remove one of the two",
        )
    certificate, key = user.content("client-certificate"), user.content("client-key")
    if (certificate is None) != (key is None):
        missing = "client-key" if key is None else "client-certificate"
        raise ConfigError(
            f"kubeconfig {user.file}: {user.where} has one half of a client certificate, but no {missing}"
        )
    certificate_file, key_file = user.path("client-certificate"), user.path("client-key")
    is_of_files = not (user.text("client-certificate-data") or user.text("client-key-data"))
    for unsupported, instead in (("auth-provider", "exec"), ("username", "a token or a client certificate")):
        if user.fields.get(unsupported):
            raise ConfigError(
                f"kubeconfig {user.file}: {user.where}.{unsupported} is not supported any more", hint=f"use {instead}"
            )
    token_file = user.path("tokenFile")
    groups = user.fields.get("as-groups") or []
    return ConnectionConfig(
        server=server,
        ca=ca,
        insecure=insecure,
        tls_server_name=cluster.text("tls-server-name"),
        proxy=_proxy(cluster),
        client_certificate=certificate,
        client_key=key,
        client_files=(certificate_file, key_file) if is_of_files and certificate_file and key_file else None,
        token="" if token_file else user.text("token"),
        token_file=token_file,
        exec_plugin=_exec_plugin(user) if user.fields.get("exec") and not (token_file or user.text("token")) else None,
        namespace=found.text("namespace") or "default",
        impersonate_user=user.text("as"),
        impersonate_groups=tuple(map(str, groups)),
        context=context,
    )


def _proxy(cluster: _Section) -> str:
    proxy = cluster.text("proxy-url")
    if proxy and not is_proxy(proxy):
        raise ConfigError(
            f"kubeconfig {cluster.file}: {cluster.where}.proxy-url is {without_password(proxy)!r}",
            hint="it must be like http://host:3128, https://host:3128 or socks5://host:1080",
        )
    return proxy


def is_proxy(url: str) -> bool:
    """Whether `url` is one of a proxy that can be used."""
    try:
        parts = urlsplit(url)
        return parts.scheme in PROXY_SCHEMES and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is none
        return False


def without_password(url: str) -> str:
    """Return `url` without what stands before an ``@`` (CONFIG-4)."""
    scheme, slashes, rest = url.rpartition("://")
    return f"{scheme}{slashes}{rest.rpartition('@')[2]}"


def _exec_plugin(user: _Section) -> ExecPlugin:
    fields = user.fields["exec"]
    if not isinstance(fields, dict):
        raise ConfigError(f"kubeconfig {user.file}: {user.where}.exec must be a map")
    section = _Section(fields, user.file, f"{user.where}.exec")
    command, version = section.text("command"), section.text("apiVersion")
    if not command:
        raise ConfigError(f"kubeconfig {user.file}: {section.where} has no command")
    if version not in ("client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1"):
        raise ConfigError(
            f"kubeconfig {user.file}: {section.where}.apiVersion is {version!r}",
            hint="it must be client.authentication.k8s.io/v1 or …/v1beta1",
        )
    mode = section.text("interactiveMode") or "IfAvailable"
    if mode == "Always":
        raise ConfigError(
            f"kubeconfig {user.file}: {section.where} wants a person at the terminal (interactiveMode: Always)",
            hint="a controller has none: use a service account token or a client certificate",
        )
    if mode not in ("Never", "IfAvailable"):
        raise ConfigError(f"kubeconfig {user.file}: {section.where}.interactiveMode is {mode!r}")
    environment = {}
    for entry in fields.get("env") or []:
        if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
            raise ConfigError(f"kubeconfig {user.file}: {section.where}.env must be a list of names and values")
        environment[entry["name"]] = str(entry.get("value", ""))
    return ExecPlugin(
        command=command,
        arguments=tuple(map(str, fields.get("args") or [])),
        environment=environment,
        api_version=version,
        install_hint=section.text("installHint"),
        provide_cluster_info=section.flag("provideClusterInfo"),
        directory=user.file.parent,
    )
