"""`pvbinder explain`: why a claim or a pod's storage is where it is, from a server or from files.

ASK-1  The exit code is 1 if somebody must act for anything that was asked about, 2 if any of that isn't there.
ASK-2  What isn't there is said with what may have been meant: another namespace, a name that is nearly the same.
ASK-3  Who asks about all claims isn't told that all is well (0) while one of them can't be read: the exit code is 1.
ASK-4  Files alone are a question about all their claims, or with a namespace about all of that.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pvbinder.cli.completion import complete_target
from pvbinder.cli.errors import EXIT_NO, WrongUsageError
from pvbinder.cli.output import note, say, say_json, say_report
from pvbinder.cli.questions import Question, means_claims, parse_questions
from pvbinder.cli.source_options import check_no_server, chosen, files_option, source_options

if TYPE_CHECKING:
    from pvbinder.insight.causes import Causes
    from pvbinder.insight.explanation import Explanation
    from pvbinder.insight.snapshot import Snapshot
    from pvbinder.sources.options import SourceOptions

EPILOG = """\b
Examples:
  pvbinder explain pvc orders -n shop
  pvbinder explain pod/web-0 -o json
  pvbinder explain sts web, pvbinder explain pv disk-1
  pvbinder explain -A                         # every claim that isn't bound, by cause
  pvbinder explain -f manifests.yaml          # the same of the claims in a file
  kubectl get pv,pvc,sc,pods,nodes,events -A -o yaml | pvbinder explain pvc orders -n shop -f -
  pvbinder explain -A -f snapshot.db          # of etcd: the cluster as it was then
  pvbinder explain --rule SC-U6
"""

TEXT_COLUMNS_MAX = 110


@dataclass(frozen=True, slots=True)
class _Asked:
    """The objects that were read for an answer, their source, and notes about it."""

    snapshot: Snapshot
    namespace: str
    notes: list[str]
    hints: dict[Question, str]  # of what isn't there: where else it is


@click.command(epilog=EPILOG)
@click.argument("target", nargs=-1, metavar="pvc|pod|pv|sts NAME...", shell_complete=complete_target)
@click.option("-n", "--namespace", help="The namespace; otherwise the one of the kubeconfig's context, or default.")
@click.option("-A", "--all-namespaces", is_flag=True, help="Explain all claims of all namespaces, by cause.")
@click.option("--all", "all_claims", is_flag=True, help="Explain all claims of the namespace, by cause.")
@files_option("Read objects from this file instead of a server (without a NAME, all claims in it are explained)")
@source_options
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
    all_namespaces: bool,
    all_claims: bool,
    files: tuple[str, ...],
    kubeconfig: Path | None,
    context: str | None,
    output: str,
    all_volumes: bool,
    rules: tuple[str, ...],
    at_revision: int | None,
    etcd_prefix: str | None,
) -> int:
    """Say why a claim is Pending (or a pod's storage isn't there): volume by volume, and what to do.

    The first line has the verdict. Exit code 0: bound, or on its way by itself (waiting for a first consumer is fine);
    1: somebody must act. Several claims are grouped by cause. A volume (pv) and a StatefulSet (sts) are explained, too.
    """
    if rules:
        if target or files:
            raise WrongUsageError("--rule prints rules and explains no object: give one or the other")
        (say_json if output == "json" else say)(_rules_shown(rules, output).removesuffix("\n"))
        return 0
    if (all_namespaces or all_claims) and means_claims(target):
        target = ()
    for word in target if files else ():
        if Path(word).is_file():
            raise WrongUsageError(f"{word} is a file, and no -f stands before it", hint=f"write: -f {word}")
    if files and not target and not all_namespaces:
        all_claims, all_namespaces = True, not all_claims and not namespace
    options = chosen(at_revision, etcd_prefix, files, "-f")
    everything = all_namespaces or all_claims
    targets = () if everything else parse_questions(target)
    if everything and target:
        raise WrongUsageError("-A and --all explain all claims: don't name any", hint="leave out one or the other")
    if all_namespaces and namespace:
        raise WrongUsageError("-A means all namespaces: -n doesn't go with it", hint=f"--all -n {namespace}")
    check_no_server(files, kubeconfig, context)
    if files:
        asked = _from_files(files, namespace or "default", options)
    else:
        asked = asyncio.run(_from_server(kubeconfig, context, namespace, targets, all_namespaces=all_namespaces))
    for each in asked.notes:
        note(each)
    for problem in asked.snapshot.unreadable:
        note(f"left out: {problem}")
    return _answer(asked, targets, output, everywhere=all_namespaces, all_volumes=all_volumes)


def _answer(asked: _Asked, targets: Sequence[Question], output: str, *, everywhere: bool, all_volumes: bool) -> int:
    import msgspec

    from pvbinder.insight.report import VOLUMES_SHOWN_MAX
    from pvbinder.insight.report_others import causes_report, report_of

    if len(targets) == 1:
        explanation: Explanation | Causes = _explain(targets[0], asked)
    else:
        explanation = _explain_many(asked, targets, everywhere=everywhere)
    if output == "json":
        say_json(msgspec.json.format(msgspec.json.encode(explanation), indent=2).decode())
    elif len(targets) == 1:
        single = _explain(targets[0], asked)
        say_report(report_of(single, None if all_volumes else VOLUMES_SHOWN_MAX).removesuffix("\n"))
    else:
        many = _explain_many(asked, targets, everywhere=everywhere)
        say_report(causes_report(many).removesuffix("\n"))
    unreadable = asked.snapshot.namespaces_with_unreadable_claims
    misses_some = not targets and (bool(unreadable) if everywhere else asked.namespace in unreadable)
    return EXIT_NO if explanation.needs_action or misses_some else 0


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


def _from_files(files: tuple[str, ...], namespace: str, options: SourceOptions) -> _Asked:
    from pvbinder.insight.manifests import as_served
    from pvbinder.insight.snapshot import Snapshot
    from pvbinder.sources.reading import read_sources, written_at
    from pvbinder.volumes.loading import in_tree_plugins, load_catalogue

    left_out: list[str] = []
    documents, notes = as_served(read_sources(files, options, left_out.append))
    plugins = load_catalogue(in_tree_plugins())
    snapshot = Snapshot(documents, plugins=plugins, written_at=written_at(files))
    return _Asked(snapshot, namespace, left_out + notes, {})


async def _from_server(
    kubeconfig: Path | None,
    context: str | None,
    namespace: str | None,
    targets: Sequence[Question],
    *,
    all_namespaces: bool,
) -> _Asked:
    from pvbinder.insight.reading import elsewhere, read_cluster
    from pvbinder.kube.client import Client
    from pvbinder.kube.config import load
    from pvbinder.kube.http import HttpTransport
    from pvbinder.volumes.loading import in_tree_plugins, load_catalogue

    config = load(kubeconfig, context)
    place = namespace or config.namespace or "default"
    wide = all_namespaces or any(target.kind == "pv" for target in targets)
    hints: dict[Question, str] = {}
    async with HttpTransport(config) as transport:
        plugins = load_catalogue(in_tree_plugins())
        client = Client(transport)
        snapshot, notes = await read_cluster(client, "" if wide else place, plugins=plugins)
        for target in targets:
            if target.is_missing(snapshot, place) and target.resource.namespaced:
                found, exists = await elsewhere(client, target.resource, target.name, place)
                there = "" if exists else f"there is no namespace {place!r}"
                if found:
                    hints[target] = f"{there}{'; ' if there else ''}there is {', '.join(found)}: choose with -n"
                elif there:
                    hints[target] = f"{there}: choose another with -n"
    return _Asked(snapshot, place, notes, hints)


def _explain(target: Question, asked: _Asked) -> Explanation:
    found = target.explanation(asked.snapshot, asked.namespace)
    if found is not None:
        return found
    hint = asked.hints.get(target) or target.meant(asked.snapshot, asked.namespace)
    where = f" in namespace {asked.namespace}" if target.resource.namespaced else ""
    raise WrongUsageError(f"there is no {target.noun} {target.name!r}{where}", hint=hint)


def _explain_many(asked: _Asked, targets: Sequence[Question], *, everywhere: bool) -> Causes:
    from pvbinder.insight.causes import grouped
    from pvbinder.insight.claims import explain_claim
    from pvbinder.insight.explanation import ClaimExplanation, PodExplanation

    if not targets:
        claims = [each for each in asked.snapshot.claims() if everywhere or each.namespace == asked.namespace]
        return grouped(explain_claim(claim, asked.snapshot) for claim in claims)
    explanations: dict[str, ClaimExplanation] = {}
    for target in targets:
        found = _explain(target, asked)
        if isinstance(found, ClaimExplanation):
            explanations[found.claim] = found
        elif isinstance(found, PodExplanation):
            explanations |= {claim.claim: claim for claim in found.claims}
        else:
            raise WrongUsageError(
                f"{target.noun} {target.name} can't be grouped with others", hint="ask about it alone"
            )
    return grouped(explanations.values())
