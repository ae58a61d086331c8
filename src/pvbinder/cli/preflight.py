"""``pvbinder preflight``: may pvbinder work in this cluster? Go or no-go, with reasons."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from pvbinder.cli.durations import GoDuration
from pvbinder.cli.errors import EXIT_INTERRUPTED, EXIT_NO
from pvbinder.cli.output import say, say_json
from pvbinder.cli.shared_options import server_options
from pvbinder.cli.signals import listening

if TYPE_CHECKING:
    from pvbinder.preflight.findings import Preflight

EPILOG = """\b
Examples:
  pvbinder preflight --kubeconfig ~/.kube/config --context staging
  pvbinder preflight --no-canary                    # asks, and changes nothing
  pvbinder preflight -o json | jq -r .verdict
"""
MARKS: Final = {"go": "ok     ", "warning": "warning", "no-go": "NO     "}
LAST: Final = {
    "go": "go: pvbinder controller can work here",
    "warning": "go: pvbinder controller can work here; see the warnings",
    "no-go": "no-go: pvbinder controller should not be started here yet",
}


@click.command(epilog=EPILOG, context_settings={"show_default": True})
@server_options
@click.option(
    "--controllers", default="*", metavar="LIST", help="Those that shall run, as `pvbinder controller` has it."
)
@click.option("--leader-elect-resource-namespace", default="kube-system", metavar="NAME", help="Where the lease is.")
@click.option("--leader-elect-resource-name", default="pvbinder-controller", metavar="NAME", help="The lease.")
@click.option(
    "--canary/--no-canary",
    default=True,
    help="Make a volume and a claim that nobody else wants, see who binds them, and take them away again.",
)
@click.option("--canary-namespace", default="default", metavar="NAME", help="Where the claim is made.")
@click.option("--wait", type=GoDuration(), default="20s", metavar="DURATION", help="How long a binder has for them.")
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", help="How to say it.")
def preflight(
    kubeconfig: Path | None,
    context: str | None,
    controllers: str,
    leader_elect_resource_namespace: str,
    leader_elect_resource_name: str,
    canary: bool,
    canary_namespace: str,
    wait: float,
    output: str,
) -> int:
    """Say whether `pvbinder controller` can take over in a cluster: go, or no-go.

    It asks the API server for its version and kinds, whether we have all rights that the controllers need, and who
    holds the leases. And it finds out whether another binder is active, such as kube-controller-manager's: that one
    would bind a canary, a volume and a claim of a class that nobody else has. Nothing else is written.

    The rights are those of the kubeconfig's user. So run it as an administrator, who may take the canary away again,
    and once more with --no-canary as the user that the controllers will run as.

    Exit code 0: go; 1: no-go; 2: there is no such configuration; 3: the server can't be asked.
    """
    from pvbinder.cli import loops
    from pvbinder.controllers.registry import beside_a_cluster, choose_controllers
    from pvbinder.kube.config import load
    from pvbinder.preflight.report import Asked

    config = load(kubeconfig, context)
    asked = Asked(
        controllers=[one.name for one in choose_controllers(controllers, beside_a_cluster())],
        lease=(leader_elect_resource_namespace, leader_elect_resource_name),
        canary_namespace=canary_namespace if canary else None,
        seconds=wait,
    )

    async def work() -> Preflight:
        from pvbinder import __version__
        from pvbinder.kube.client import Client, Retries
        from pvbinder.kube.http import HttpTransport
        from pvbinder.preflight.canary import USER_AGENT
        from pvbinder.preflight.report import examine

        async with HttpTransport(config, user_agent=f"{USER_AGENT}/{__version__}") as transport:
            client = Client(transport, retries=Retries(attempts=2))
            return await examine(client, config.server, asked, lambda what: say(f"looking: {what}", is_progress=True))

    report = loops.run(_until_stopped(work()))
    if report is None:
        return EXIT_INTERRUPTED
    show(report, output)
    return EXIT_NO if report.verdict == "no-go" else 0


async def _until_stopped(work: Coroutine[Any, Any, Preflight]) -> Preflight | None:
    """Do `work`; None if somebody ended it, when the canary has been taken away (PREFLIGHT-1)."""
    task = asyncio.current_task()
    assert task is not None
    with listening(task) as stop:
        try:
            return await work
        except asyncio.CancelledError:
            if not stop.number:
                raise
            return None


def show(report: Preflight, output: str) -> None:
    """Say what was found out."""
    if output == "json":
        document = {
            "server": report.server,
            "verdict": "no-go" if report.verdict == "no-go" else "go",
            "findings": [
                {"check": one.check, "verdict": str(one.verdict), "message": one.said, "hint": one.hint}
                for one in report.findings
            ],
        }
        say_json(json.dumps(document, indent=2))
        return
    say(report.server)
    for one in report.findings:
        say(f"  {MARKS[one.verdict]} {one.check:<8} {one.said}")
        if one.hint:
            say(f"  {'':16} {one.hint}")
    say(LAST[report.verdict])
