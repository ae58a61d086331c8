"""``pvbinder bench``: how fast claims are bound at an API server, by whoever binds there."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pvbinder.cli.errors import WrongUsageError
from pvbinder.cli.output import say, say_json
from pvbinder.cli.shared_options import server_options

if TYPE_CHECKING:
    from pvbinder.bench.cases import Figure
    from pvbinder.kube.config import ConnectionConfig

EPILOG = """\b
Examples:
  pvbinder bench                                     # the server of the current context
  pvbinder bench --pairs 5000 --kubeconfig staging.yaml --yes
  pvbinder bench -o json | jq '.figures[]'
"""
OBJECTS_MAX = 100_000


@click.command(epilog=EPILOG, context_settings={"show_default": True})
@server_options
@click.option("--pairs", type=click.IntRange(1, OBJECTS_MAX), default=1000, help="Volumes and claims of the backlog.")
@click.option(
    "--burst", "burst_claims", type=click.IntRange(1, OBJECTS_MAX), default=300, help="Claims that come all at once."
)
@click.option(
    "--claims", "steady_claims", type=click.IntRange(1, OBJECTS_MAX), default=300, help="Claims that come one by one."
)
@click.option("--rate", type=click.FloatRange(0.1, 10_000), default=15.0, help="How many of these come in a second.")
@click.option(
    "--pid",
    type=click.IntRange(1),
    show_default="none",
    help="The process that binds, if it runs on this machine: its processor time is measured, too.",
)
@click.option("--yes", is_flag=True, help="Don't ask before a server that isn't on this machine is measured.")
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", help="How to write the figures.")
def bench(
    *,
    kubeconfig: Path | None,
    context: str | None,
    pairs: int,
    burst_claims: int,
    steady_claims: int,
    rate: float,
    pid: int | None,
    yes: bool,
    output: str,
) -> int:
    """Measure how fast claims are bound at an API server, by whoever binds there.

    It makes volumes and claims in a namespace and a storage class of its own, measures from outside when they are
    bound, and deletes all of them, also after Ctrl-C. Beside the results stands the ceiling: the four writes of a bind
    with no logic, 64 in flight, on the same server in the same run. A cluster that isn't on this machine is only
    measured after a yes: it is load.
    """
    from pvbinder.bench.process import Process
    from pvbinder.cli import loops
    from pvbinder.kube.config import load

    process = Process(pid) if pid is not None else None
    if process is not None:
        process.cpu_seconds()  # refused before anything is made
    config = load(kubeconfig, context)
    _ask(config, pairs + burst_claims + steady_claims, yes=yes)

    async def work() -> list[Figure]:
        from pvbinder.bench.cases import run_all
        from pvbinder.bench.place import bench_place
        from pvbinder.kube.client import Client
        from pvbinder.kube.http import HttpTransport

        async with HttpTransport(config) as transport, bench_place(Client(transport)) as place:
            _tell(f"namespace and class {place.namespace} at {config.server}")
            return await run_all(
                place,
                pairs=pairs,
                burst_claims=burst_claims,
                steady_claims=steady_claims,
                per_second=rate,
                tell=_tell,
                process=process,
            )

    figures = loops.run(work())
    if output == "json":
        _say_json(config.server, figures)
    else:
        say("\n".join(table(figures)))
    return 0


def _ask(config: ConnectionConfig, objects: int, *, yes: bool) -> None:
    """See that somebody wants this server to be measured; raise if nobody says so."""
    from urllib.parse import urlsplit

    from pvbinder.kube.http import is_this_machine

    if yes or is_this_machine(urlsplit(config.server).hostname or ""):
        return
    named = f"{config.server} (context {config.context})" if config.context else config.server
    if not sys.stdin.isatty():
        raise WrongUsageError(
            f"{named} is not on this machine, and nobody can be asked here whether to load it",
            hint="give --yes if that is the cluster to measure",
        )
    question = f"measure {named} with {objects} volumes and claims, which are deleted afterwards?"
    click.confirm(question, default=False, abort=True, err=True)


def _tell(text: str) -> None:
    if sys.stderr.isatty():
        say(text, is_progress=True)


def _say_json(server: str, figures: Sequence[Figure]) -> None:
    import msgspec

    found = {"kind": "BenchFigures", "version": 1, "server": server, "figures": msgspec.to_builtins(figures)}
    say_json(msgspec.json.format(msgspec.json.encode(found), indent=2).decode())


def table(figures: Sequence[Figure]) -> list[str]:
    """Return the lines that show `figures`."""
    lines = [f"{'CASE':<26}{'VALUE':>14}  {'CLAIMS':>7}  OF CEILING"]
    for figure in figures:
        share = f"{figure.of_ceiling:.2f}" if figure.of_ceiling is not None else ""
        value = f"{figure.value:.4g} {figure.unit}".rstrip()
        lines.append(f"{figure.case:<26}{value:>14}  {figure.count:>7}  {share}".rstrip())
    return lines
