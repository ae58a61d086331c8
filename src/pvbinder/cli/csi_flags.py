"""The flags of `pvbinder csi` that few need: capacity, and a sidecar on each node."""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

import click

from pvbinder.cli.durations import GoDuration
from pvbinder.cli.errors import WrongUsageError
from pvbinder.cli.shared_options import true_or_false
from pvbinder.controllers.csi.options import CapacityOptions
from pvbinder.model.dns_names import is_label, is_subdomain
from pvbinder.model.go_values import parse_bool
from pvbinder.rules.csi.volumes import VolumeNaming, volume_name

_Decorated = TypeVar("_Decorated", bound=Callable[..., Any])

_UID: Final = "01234567-89ab-cdef-0123-456789abcdef"  # of a claim, to see what comes of a name
OWNER_STEPS_MAX: Final = 10
PORT_MAX: Final = 65535
TOPOLOGY: Final = "Topology"
RELEASES: Final = "ReleaseLeaderElectionOnExit"
LOCKED: Final = {
    "VolumeAttributesClass": True,
    "CrossNamespaceVolumeDataSource": False,
    "RecoverVolumeExpansionFailure": True,
    "AnnotateFsResize": True,
    "CSIVolumeGroupSnapshot": False,
}
GATES: Final = {TOPOLOGY: True, RELEASES: True, **LOCKED}


def check_names(naming: VolumeNaming, namespace: str) -> None:
    """Raise WrongUsageError if volumes would be called as no object can be, or the namespace is none."""
    example = volume_name(naming, _UID)
    if not is_subdomain(example):
        raise WrongUsageError(
            f"--volume-name-prefix, --volume-name-uuid-length: volumes can't be called {example!r}",
            hint="lower case letters, digits, - and . are allowed, with a letter or digit at both ends",
        )
    if not is_label(namespace):
        raise WrongUsageError(f"--intents-namespace: {namespace!r} is no name of a namespace")


def capacity_flags(command: _Decorated) -> _Decorated:
    """Add ``--enable-capacity`` and what belongs to it."""
    command = click.option(
        "--kube-api-capacity-burst",
        type=click.IntRange(1),
        default=5,
        metavar="N",
        help="How many writes of capacity may be at once, before that limit counts.",
    )(command)
    command = click.option(
        "--kube-api-capacity-qps",
        type=click.FloatRange(0, min_open=True),
        default=1.0,
        metavar="N",
        help="The writes of capacity in a second.",
    )(command)
    command = click.option(
        "--capacity-threads", type=click.IntRange(1, 1000), default=1, metavar="N", help="The same, at a time."
    )(command)
    command = click.option(
        "--capacity-ownerref-level",
        type=click.IntRange(-1, OWNER_STEPS_MAX),
        default=1,
        metavar="N",
        help="To whom the objects belong: 0 the pod, 1 what made it, 2 what made that, and so on; -1 nobody.",
    )(command)
    command = click.option(
        "--capacity-poll-interval",
        type=GoDuration(),
        default="1m",
        metavar="DURATION",
        help="The pause between two questions to the driver.",
    )(command)
    command = true_or_false(
        "--capacity-for-immediate-binding",
        default=False,
        help="Publish it for classes that bind at once, too.",
    )(command)
    return true_or_false(
        "--enable-capacity",
        default=False,
        help="Publish how much room there is as CSIStorageCapacity objects; needs the environment's NAMESPACE, and "
        "POD_NAME.",
    )(command)


def node_flags(command: _Decorated) -> _Decorated:
    """Add ``--node-deployment`` and what belongs to it."""
    command = click.option(
        "--node-deployment-max-delay",
        type=GoDuration(),
        default="1m",
        metavar="DURATION",
        help="The longest pause before a node takes a claim.",
    )(command)
    command = click.option(
        "--node-deployment-base-delay",
        type=GoDuration(),
        default="20s",
        metavar="DURATION",
        help="The first pause before a node takes a claim; it doubles each time that nobody has it.",
    )(command)
    command = true_or_false(
        "--node-deployment-immediate-binding",
        default=True,
        help="On nodes, also take claims of classes that bind at once: whoever is first.",
    )(command)
    return true_or_false(
        "--node-deployment",
        default=False,
        help="One of these runs on each node, beside a driver there, and serves what is for that node; needs the "
        "environment's NODE_NAME.",
    )(command)


def endpoint_flags(command: _Decorated) -> _Decorated:
    """Add ``--http-endpoint`` and ``--metrics-path``."""
    command = click.option(
        "--metrics-path", default="/metrics", metavar="PATH", help="Where the metrics are, on that address."
    )(command)
    return click.option(
        "--http-endpoint",
        default="",
        metavar="[HOST]:PORT",
        show_default=False,
        help="Address for metrics and health, as the reference's sidecars take it, in place of --metrics-host and "
        "--metrics-port; without a host, all addresses of this machine.",
    )(command)


def endpoint_of(text: str, host: str, port: int) -> tuple[str, int]:
    """Return where to listen: what ``--http-endpoint`` says, else `host` and `port`; raise WrongUsageError."""
    if not text:
        return host, port
    said, separator, number = text.rpartition(":")
    if not separator or not (number.isascii() and number.isdigit()) or int(number) > PORT_MAX:
        raise WrongUsageError(f"--http-endpoint: {text!r} is no address such as 127.0.0.1:8080 or :8080")
    return said.removeprefix("[").removesuffix("]") or "0.0.0.0", int(number)  # noqa: S104  (asked for)


def metrics_path_of(text: str) -> str:
    """Return `text`, if it can be a path; raise WrongUsageError."""
    if not text.startswith("/") or any(character in text for character in "?# "):
        raise WrongUsageError(f"--metrics-path: {text!r} is no path such as /metrics")
    return text


def capacity_options(flags: Mapping[str, Any], environment: Mapping[str, str] = os.environ) -> CapacityOptions | None:
    """Return what the flags say of capacity; raise WrongUsageError."""
    if not flags["enable_capacity"]:
        return None
    namespace, pod = environment.get("NAMESPACE", ""), environment.get("POD_NAME", "")
    if not namespace:
        raise WrongUsageError(
            "--enable-capacity: the environment has no NAMESPACE, in which the objects would be",
            hint="set it by the downward API: fieldPath: metadata.namespace",
        )
    if not pod and flags["capacity_ownerref_level"] >= 0:
        raise WrongUsageError(
            "--enable-capacity: the environment has no POD_NAME, to whose maker the objects would belong",
            hint="set it by the downward API: fieldPath: metadata.name; or give --capacity-ownerref-level=-1",
        )
    return CapacityOptions(
        namespace=namespace,
        pod=pod,
        ownerref_level=flags["capacity_ownerref_level"],
        for_immediate_binding=flags["capacity_for_immediate_binding"],
        poll_interval_seconds=flags["capacity_poll_interval"],
        threads=flags["capacity_threads"],
        kube_api_qps=flags["kube_api_capacity_qps"],
        kube_api_burst=flags["kube_api_capacity_burst"],
    )


def node_options(flags: Mapping[str, Any], environment: Mapping[str, str] = os.environ) -> dict[str, Any]:
    """Return what the flags say of a sidecar on each node; raise WrongUsageError."""
    node = environment.get("NODE_NAME", "")
    if flags["node_deployment"] and not node:
        raise WrongUsageError(
            "--node-deployment: the environment has no NODE_NAME, the node that this is for",
            hint="set it by the downward API: fieldPath: spec.nodeName",
        )
    if flags["node_deployment_max_delay"] < flags["node_deployment_base_delay"]:
        raise WrongUsageError("--node-deployment-max-delay is shorter than --node-deployment-base-delay")
    return {
        "node_deployment": flags["node_deployment"],
        "node": node if flags["node_deployment"] else "",
        "node_deployment_immediate_binding": flags["node_deployment_immediate_binding"],
        "node_deployment_base_delay_seconds": flags["node_deployment_base_delay"],
        "node_deployment_max_delay_seconds": flags["node_deployment_max_delay"],
    }


def gate_flags(command: _Decorated) -> _Decorated:
    """Add ``--feature-gates``."""
    return click.option(
        "--feature-gates",
        default="",
        metavar="NAME=true,...",
        show_default=False,
        help="Topology (on): ask for places where the driver has them; ReleaseLeaderElectionOnExit (on, unlike the "
        "reference's): let leases go at the end. Always on are VolumeAttributesClass, RecoverVolumeExpansionFailure "
        "and AnnotateFsResize, always off CrossNamespaceVolumeDataSource and CSIVolumeGroupSnapshot.",
    )(command)


def read_gates(text: str) -> dict[str, bool]:
    """Return the gates with what ``--feature-gates`` says; raise WrongUsageError."""
    gates = dict(GATES)
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, separator, value = (piece.strip() for piece in part.partition("="))
        is_on = parse_bool(value) if separator else None
        if name not in gates:
            near = difflib.get_close_matches(name, gates, n=1)
            meant = f": did you mean {near[0]}?" if near else ""
            raise WrongUsageError(
                f"--feature-gates: there is no gate {name!r}{meant}", hint=f"there are {', '.join(gates)}"
            )
        if is_on is None:
            raise WrongUsageError(f"--feature-gates: {part!r} is no setting such as {name}=true")
        if name in LOCKED and is_on != gates[name]:
            raise WrongUsageError(f"--feature-gates: {name} is always {'on' if gates[name] else 'off'} here")
        gates[name] = is_on
    return gates
