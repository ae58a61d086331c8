"""The flags of metrics and health over TLS, as kube-controller-manager has them.

Those about requests that a front proxy passes on are taken and passed over: nobody asks a controller through one, and a
request that comes with a front proxy's headers counts as whoever connects.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from pvbinder.cli.durations import GoDuration
from pvbinder.cli.errors import WrongUsageError
from pvbinder.cli.options import SecureOptions
from pvbinder.cli.shared_options import true_or_false

_Decorated = TypeVar("_Decorated", bound=Callable[..., Any])

ALWAYS_ALLOWED: Final = "/healthz,/readyz,/livez"
VERSIONS: Final = ("VersionTLS12", "VersionTLS13")


FRONT_PROXY: Final = (
    "requestheader-client-ca-file",
    "requestheader-allowed-names",
    "requestheader-username-headers",
    "requestheader-uid-headers",
    "requestheader-group-headers",
    "requestheader-extra-headers-prefix",
)
_NO_FRONT_PROXY: Final = "nobody asks a controller through a front proxy: such a request counts as whoever connects"


def serving_flags(command: _Decorated) -> _Decorated:
    """Add ``--secure-port`` and what belongs to it."""
    for name, meaning in (
        ("authorization-webhook-cache-unauthorized-ttl", "The same for a no."),
        ("authorization-webhook-cache-authorized-ttl", "How long the API server's yes to a user and a path counts."),
        ("authentication-token-webhook-cache-ttl", "How long the API server's answer about a token counts."),
    ):
        command = click.option(
            f"--{name}", type=GoDuration(may_be_zero=True), default="10s", metavar="DURATION", help=meaning
        )(command)
    for name in FRONT_PROXY:
        command = click.option(f"--{name}", metavar="VALUE", hidden=True, help=f"Passed over: {_NO_FRONT_PROXY}.")(
            command
        )
    command = click.option(
        "--authorization-always-allow-paths",
        default=ALWAYS_ALLOWED,
        metavar="PATH,...",
        help="Paths that need no right; one may end with *.",
    )(command)
    command = true_or_false(
        "--authentication-skip-lookup",
        default=False,
        help="Don't look up in the cluster which client certificates to trust.",
    )(command)
    for name, what in (("authorization", "what they may do"), ("authentication", "who they are")):
        command = _file(
            f"--{name}-kubeconfig",
            f"The kubeconfig of the API server that says {what}.",
            show_default="the one that the controllers use",
        )(command)
    command = _file(
        "--client-ca-file",
        "The authority of client certificates.",
        show_default="as the cluster's own, from kube-system/extension-apiserver-authentication",
    )(command)
    command = click.option(
        "--tls-min-version",
        type=click.Choice(VERSIONS),
        default=VERSIONS[0],
        help="The oldest version of TLS that is spoken.",
    )(command)
    command = click.option(
        "--tls-cipher-suites",
        default="",
        metavar="NAME,...",
        show_default="what the library takes for safe",
        help="The cipher suites of TLS 1.2, by IANA's names; those of TLS 1.3 can't be chosen.",
    )(command)
    command = true_or_false(
        "--permit-port-sharing",
        default=False,
        help="Let several processes listen on that port (SO_REUSEPORT).",
    )(command)
    command = click.option(
        "--cert-dir",
        type=click.Path(file_okay=False, path_type=Path),
        metavar="DIR",
        show_default="kept nowhere",
        help="Where pvbinder.crt and pvbinder.key are, or are made, without --tls-cert-file.",
    )(command)
    command = _file("--tls-private-key-file", "The key of that certificate.")(command)
    command = _file(
        "--tls-cert-file",
        "The certificate to show; it is looked at again each minute.",
        show_default="one made at the start, which nobody knows",
    )(command)
    command = click.option(
        "--bind-address",
        default="0.0.0.0",  # noqa: S104
        metavar="ADDRESS",
        help="The address of that port.",
    )(command)
    return click.option(
        "--secure-port",
        type=click.IntRange(0, 65535),
        default=0,
        metavar="N",
        help="Answer metrics and health over TLS, to those whom the API server knows and lets; kube-controller-manager "
        "does on 10257. The plain port is then closed, unless --metrics-port or --metrics-host is given. 0 is neither.",
    )(command)


def _file(name: str, meaning: str, show_default: str | bool = False) -> Callable[[_Decorated], _Decorated]:
    return click.option(
        name,
        type=click.Path(dir_okay=False, path_type=Path),
        metavar="FILE",
        show_default=show_default,
        help=meaning,
    )


def passed_over_flags(flags: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Return the flags that were given and change nothing, each with the reason."""
    return tuple((f"--{name}", _NO_FRONT_PROXY) for name in FRONT_PROXY if flags[name.replace("-", "_")] is not None)


def secure_options(flags: Mapping[str, Any]) -> SecureOptions | None:
    """Return where and how to answer over TLS, None for nowhere; raise WrongUsageError."""
    certificate, key = flags["tls_cert_file"], flags["tls_private_key_file"]
    if (certificate is None) != (key is None):
        missing = "--tls-cert-file" if certificate is None else "--tls-private-key-file"
        raise WrongUsageError(f"{missing} is missing: a certificate and its key come together")
    if not flags["secure_port"]:
        return None
    paths = tuple(filter(None, (path.strip() for path in flags["authorization_always_allow_paths"].split(","))))
    wrong = next((path for path in paths if not path.startswith("/")), None)
    if wrong is not None:
        raise WrongUsageError(f"--authorization-always-allow-paths: {wrong!r} is no path such as /healthz")
    return SecureOptions(
        host=flags["bind_address"],
        port=flags["secure_port"],
        certificate=None if certificate is None else (certificate, key),
        client_ca=flags["client_ca_file"],
        tls_version=flags["tls_min_version"],
        authentication=flags["authentication_kubeconfig"],
        authorization=flags["authorization_kubeconfig"],
        looks_up_authority=not flags["authentication_skip_lookup"],
        always_allowed=paths,
        token_seconds=flags["authentication_token_webhook_cache_ttl"],
        allowed_seconds=flags["authorization_webhook_cache_authorized_ttl"],
        denied_seconds=flags["authorization_webhook_cache_unauthorized_ttl"],
        directory=flags["cert_dir"],
        cipher_suites=tuple(filter(None, (name.strip() for name in flags["tls_cipher_suites"].split(",")))),
        shares_port=flags["permit_port_sharing"],
    )
