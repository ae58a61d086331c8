"""``pvbinder csi audit``: a driver's volumes and snapshots, compared with what the cluster knows of."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pvbinder.cli.errors import EXIT_FAILED, EXIT_NO, WrongUsageError
from pvbinder.cli.output import complain, say, say_json
from pvbinder.cli.shared_options import server_options

if TYPE_CHECKING:
    from pvbinder.controllers.csi.audit import AuditFindings, Auditor
    from pvbinder.rules.csi.audit import Audit, DriverEntry

EPILOG = """\b
Examples:
  pvbinder csi audit --csi-address unix:///run/csi/csi.sock
  pvbinder csi audit --csi-address /run/csi/socket -o json > differences.json
  pvbinder csi audit --csi-address /run/csi/socket --delete-orphans
"""
LINES_SHOWN_MAX = 50


@click.command(epilog=EPILOG, context_settings={"show_default": True})
@click.option(
    "--csi-address", default="/run/csi/socket", metavar="ADDRESS", help="The driver's socket: unix:///path, or a path."
)
@server_options
@click.option(
    "--delete-orphans",
    is_flag=True,
    help="Have the driver delete what no object names: shows it, asks, and looks once more before.",
)
@click.option("--yes", is_flag=True, help="With --delete-orphans: don't ask.")
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", help="How to say it.")
def audit(
    csi_address: str, kubeconfig: Path | None, context: str | None, delete_orphans: bool, yes: bool, output: str
) -> int:
    """Compare the volumes and snapshots of a driver with the objects of a cluster.

    It lists what the driver has (ListVolumes, ListSnapshots), all PersistentVolumes and VolumeSnapshotContents of the
    driver, and names what is on one side only. While requests of a sidecar are open, whatever no object names may be
    theirs, and is called unsettled. It changes nothing without --delete-orphans. Before you use that: can another
    cluster use the same storage? Its volumes look like orphans here.

    Exit code 0: both sides agree; 1: they differ; 3: they could not be compared, or something could not be deleted.
    """
    from pvbinder.cli.csi import check_address  # gRPC takes time to import

    check_address(csi_address, "--csi-address")
    if yes and not delete_orphans:
        raise WrongUsageError("--yes goes with --delete-orphans")
    if delete_orphans and not yes and not sys.stdin.isatty():
        raise WrongUsageError(
            "--delete-orphans asks before it deletes, and nobody can answer here",
            hint="look first without it, then give --yes",
        )
    from pvbinder.cli import loops
    from pvbinder.kube.config import load

    async def work() -> int:
        from pvbinder.kube.client import Client
        from pvbinder.kube.http import HttpTransport

        async with HttpTransport(load(kubeconfig, context)) as transport:
            return await run_audit(Client(transport), csi_address, output, delete_orphans=delete_orphans, yes=yes)

    return loops.run(work())


async def run_audit(client: object, address: str, output: str, *, delete_orphans: bool, yes: bool) -> int:
    """Compare, say it, delete if that is wanted, and return the exit code."""
    async with comparing(client, address) as auditor:
        found = await auditor.look()
        _show(found, output)
        if delete_orphans and _has_orphans(found) and (yes or _is_wanted(found)):
            return await _delete(auditor, found)
        return 0 if found.is_clean else EXIT_NO


@asynccontextmanager
async def comparing(client: object, address: str) -> AsyncIterator[Auditor]:
    """Give what compares the driver at `address` with the cluster; raise AuditError if it doesn't answer."""
    from pvbinder.controllers.csi.audit import AuditError, Auditor
    from pvbinder.controllers.csi.driver_info import ask_driver
    from pvbinder.csi.driver import Driver
    from pvbinder.csi.errors import CallFailed
    from pvbinder.csi.wire import csi_pb2 as csi
    from pvbinder.csi.wire import methods

    try:
        async with Driver(address) as driver:
            await driver.call(methods.PROBE, csi.ProbeRequest())  # one that isn't there isn't waited for
            info = await ask_driver(driver)
            answer = await driver.call(methods.CONTROLLER_GET_CAPABILITIES, csi.ControllerGetCapabilitiesRequest())
            rpc = csi.ControllerServiceCapability.RPC
            known = rpc.Type.values()
            names = frozenset(rpc.Type.Name(one.rpc.type) for one in answer.capabilities if one.rpc.type in known)
            yield Auditor(client, driver, info, names)  # type: ignore[arg-type]
    except CallFailed as failed:
        raise AuditError(f"the driver at {address}: {failed}") from failed


def _has_orphans(found: AuditFindings) -> bool:
    return any(one is not None and one.orphans for one in (found.volumes, found.snapshots))


def _is_wanted(found: AuditFindings) -> bool:
    count = sum(len(one.orphans) for one in (found.volumes, found.snapshots) if one is not None)
    return click.confirm(f"have {found.driver} delete these {count}, for good?", default=False, err=True)


async def _delete(auditor: Auditor, shown: AuditFindings) -> int:
    """Delete what was shown and is an orphan still (AUDIT-3)."""
    now = await auditor.look()
    failed = 0
    for what, before, after, delete in (
        ("snapshot", shown.snapshots, now.snapshots, auditor.delete_snapshot),
        ("volume", shown.volumes, now.volumes, auditor.delete_volume),
    ):
        approved = {one.id for one in before.orphans} if before is not None else set()
        for one in after.orphans if after is not None else ():
            if one.id in approved:
                failed += not await _deleted(what, one, delete)
    if failed:
        return EXIT_FAILED
    return 0 if (await auditor.look()).is_clean else EXIT_NO


async def _deleted(what: str, one: DriverEntry, delete: Callable[[str], Awaitable[None]]) -> bool:
    from pvbinder.csi.errors import CallFailed

    try:
        await delete(one.id)
    except CallFailed as failed:
        complain(f"{what} {one.id} could not be deleted: {failed}")
        return False
    say(f"deleted {what} {one.id}", is_progress=True)
    return True


# -- in words


def _show(found: AuditFindings, output: str) -> None:
    import msgspec

    if output == "json":
        text = msgspec.json.encode({"kind": "CsiAudit", "version": 1, **msgspec.to_builtins(found)})
        say_json(msgspec.json.format(text, indent=2).decode())
    else:
        say("\n".join(report(found)))


def report(found: AuditFindings) -> list[str]:
    """Return the lines that say what was found: the answer first."""
    if found.is_clean:
        lines = [f"{found.driver} and the cluster agree"]
    else:
        lines = [f"{found.driver} and the cluster differ"]
    for what, one, objects in (
        ("volume", found.volumes, "PersistentVolume"),
        ("snapshot", found.snapshots, "VolumeSnapshotContent"),
    ):
        if one is not None:
            lines.append(f"  {_count(one.stored, what)} of the driver, {_count(one.named, objects)} of the cluster")
            lines += _differences(one, what, objects)
    lines += [f"not compared: {why}" for why in found.why]
    if found.requests_open:
        lines += [f"{_count(found.requests_open, 'request')} of a sidecar open: look again when there is none"]
    if _has_orphans(found):
        lines += ["", "Has no other cluster the same storage? Then --delete-orphans deletes what no object names."]
    return lines


def _differences(one: Audit, what: str, objects: str) -> list[str]:
    lines = _listed(f"no {objects} names", [_stored(each) for each in one.orphans], what)
    lines += _listed(
        f"no {objects} names, but a request that is open may be theirs", [_stored(each) for each in one.unsettled], what
    )
    missing = [f"{each.object}  {each.id}" for each in one.missing]
    return lines + _listed(f"the driver hasn't, and these {objects}s name", missing, what)


def _listed(title: str, entries: list[str], what: str) -> list[str]:
    if not entries:
        return []
    more = len(entries) - LINES_SHOWN_MAX
    rest = [f"    … and {more} more; -o json names them all"] if more > 0 else []
    return [
        f"  {_count(len(entries), what)} that {title}:",
        *(f"    {one}" for one in entries[:LINES_SHOWN_MAX]),
        *rest,
    ]


def _stored(one: DriverEntry) -> str:
    size = f"  {one.bytes} bytes" if one.bytes else ""
    return f"{one.id}{size}" + (f"  ({one.problem})" if one.problem else "")


def _count(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
