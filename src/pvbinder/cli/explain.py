"""`pvbinder explain`: why a claim or a pod's storage is where it is, from a server or from files."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pvbinder.cli.errors import EXIT_NO, WrongUsageError
from pvbinder.cli.output import note, say, say_json

if TYPE_CHECKING:
    from pvbinder.insight.explanation import ClaimExplanation, PodExplanation
    from pvbinder.insight.snapshot import Snapshot

EPILOG = """\b
Examples:
  pvbinder explain pvc orders -n shop
  pvbinder explain pod/web-0 -o json
  kubectl get pv,pvc,sc,pods,nodes -A -o yaml | pvbinder explain pvc orders -n shop -f -
  pvbinder explain --rule SC-U6
"""

TEXT_COLUMNS_MAX = 110

_CLAIM_WORDS = ("pvc", "pvcs", "persistentvolumeclaim", "persistentvolumeclaims", "claim")
_POD_WORDS = ("pod", "pods", "po")


@click.command(epilog=EPILOG)
@click.argument("target", nargs=-1, metavar="pvc NAME | pod NAME")
@click.option("-n", "--namespace", help="The namespace; otherwise the one of the kubeconfig's context, or default.")
@click.option(
    "-f",
    "--filename",
    "files",
    multiple=True,
    metavar="DUMP",
    help="Read objects from this YAML or JSON file (- for stdin) instead of a server; may be given again.",
)
@click.option("--kubeconfig", type=click.Path(path_type=Path), help="The kubeconfig file to use.")
@click.option("--context", help="The context of the kubeconfig to use.")
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", help="How to write the answer.")
@click.option("--all-volumes", is_flag=True, help="Show every volume, not only the nearest misses.")
@click.option(
    "--rule",
    "rules",
    multiple=True,
    metavar="ID",
    help="Print this rule of Kubernetes' behaviour (SC-U6), or a family of them (SC-U), instead; may be given again.",
)
def explain(
    target: tuple[str, ...],
    namespace: str | None,
    files: tuple[str, ...],
    kubeconfig: Path | None,
    context: str | None,
    output: str,
    all_volumes: bool,
    rules: tuple[str, ...],
) -> int:
    """Say why a claim is Pending (or a pod's storage isn't there): volume by volume, and what to do.

    The first line has the verdict. Exit code 0: bound, or on its way by itself (waiting for a first consumer is fine);
    1: somebody must act.
    """
    if rules:
        if target or files:
            raise WrongUsageError("--rule prints rules and explains no object: give one or the other")
        (say_json if output == "json" else say)(_rules_shown(rules, output).removesuffix("\n"))
        return 0
    kind, name = _parse_target(target)
    if files and (kubeconfig or context):
        raise WrongUsageError("-f reads files instead of a server: --kubeconfig and --context don't go with it")
    if files:
        snapshot, place, notes = _from_files(files), namespace or "default", list[str]()
    else:
        snapshot, place, notes = asyncio.run(_from_server(kubeconfig, context, namespace))
    for each in notes:
        note(each)
    for problem in snapshot.unreadable:
        note(f"left out: {problem}")
    explanation = _explain(kind, name, place, snapshot)
    (say_json if output == "json" else say)(_shown(explanation, output, all_volumes=all_volumes).removesuffix("\n"))
    return EXIT_NO if explanation.needs_action else 0


def _rules_shown(wanted: tuple[str, ...], output: str) -> str:
    import msgspec

    from pvbinder.insight.rulebook import UnknownRuleError, find_rules, shown

    try:
        found = [rule for name in wanted for rule in find_rules(name)]
    except UnknownRuleError as error:
        raise WrongUsageError(error.message, hint=error.hint) from error
    if output == "json":
        return msgspec.json.format(msgspec.json.encode(found), indent=2).decode() + "\n"
    width = min(shutil.get_terminal_size().columns, TEXT_COLUMNS_MAX)
    return "\n".join(shown(rule, width) for rule in found)


def _parse_target(target: tuple[str, ...]) -> tuple[str, str]:
    words = target[0].split("/", 1) if len(target) == 1 else list(target)
    if len(words) == 2 and words[1]:
        word = words[0].lower()
        if word in _CLAIM_WORDS:
            return "pvc", words[1]
        if word in _POD_WORDS:
            return "pod", words[1]
        raise WrongUsageError(f"{words[0]!r} can't be explained", hint="explain a claim or a pod: pvc NAME, pod NAME")
    raise WrongUsageError(f"{' '.join(target)!r} names no claim or pod", hint="write: pvbinder explain pvc NAME")


def _from_files(files: tuple[str, ...]) -> Snapshot:
    from pvbinder.insight.dump import read_dumps
    from pvbinder.insight.snapshot import Snapshot
    from pvbinder.volumes.loading import in_tree_plugins, load_catalogue

    documents = list(read_dumps(files))
    knows_drivers = any(document.get("kind") == "CSIDriver" for document in documents)
    return Snapshot(documents, plugins=load_catalogue(in_tree_plugins()), knows_drivers=knows_drivers)


async def _from_server(
    kubeconfig: Path | None, context: str | None, namespace: str | None
) -> tuple[Snapshot, str, list[str]]:
    from pvbinder.insight.reading import read_cluster
    from pvbinder.kube.client import Client
    from pvbinder.kube.config import load
    from pvbinder.kube.http import HttpTransport
    from pvbinder.volumes.loading import in_tree_plugins, load_catalogue

    config = load(kubeconfig, context)
    place = namespace or config.namespace or "default"
    async with HttpTransport(config) as transport:
        plugins = load_catalogue(in_tree_plugins())
        snapshot, notes = await read_cluster(Client(transport), place, plugins=plugins)
    return snapshot, place, notes


def _explain(kind: str, name: str, namespace: str, snapshot: Snapshot) -> ClaimExplanation | PodExplanation:
    from pvbinder.insight.claims import explain_claim
    from pvbinder.insight.pods import explain_pod
    from pvbinder.model.objects import claim_key

    if kind == "pod":
        pod = snapshot.pod(f"{namespace}/{name}")
        if pod is None:
            raise _not_there("pod", name, namespace, [each.key for each in snapshot.pods() if each.name == name])
        return explain_pod(pod, snapshot)
    claim = snapshot.claim(claim_key(namespace, name))
    if claim is None:
        raise _not_there("claim", name, namespace, [each.key for each in snapshot.claims() if each.name == name])
    return explain_claim(claim, snapshot)


def _not_there(what: str, name: str, namespace: str, elsewhere: list[str]) -> WrongUsageError:
    hint = f"there is {', '.join(elsewhere)}: choose with -n" if elsewhere else "choose another namespace with -n"
    return WrongUsageError(f"there is no {what} {name!r} in namespace {namespace}", hint=hint)


def _shown(explanation: ClaimExplanation | PodExplanation, output: str, *, all_volumes: bool) -> str:
    import msgspec

    from pvbinder.insight.explanation import ClaimExplanation
    from pvbinder.insight.report import VOLUMES_SHOWN_MAX, claim_report, pod_report

    if output == "json":
        return msgspec.json.format(msgspec.json.encode(explanation), indent=2).decode() + "\n"
    most = None if all_volumes else VOLUMES_SHOWN_MAX
    if isinstance(explanation, ClaimExplanation):
        return claim_report(explanation, most_volumes=most)
    return pod_report(explanation, most_volumes=most)
