"""``pvbinder audit``: what is wrong with the storage of a cluster, a dump or manifests.

AUDIT_COMMAND-1  The exit code is 1 if a finding that isn't silenced is at least as bad as `--fail-on` says, or if a
                 claim can't be read; 0 otherwise.
AUDIT_COMMAND-2  Nothing is written but the baseline that was asked for; a cluster is only read, and the kinds that it
                 didn't show are named.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

import click

from pvbinder.cli.errors import EXIT_NO, WrongUsageError
from pvbinder.cli.output import note, say, say_findings, say_json
from pvbinder.cli.source_options import check_no_server, chosen, files_option, manifest_texts, source_options

if TYPE_CHECKING:
    from pvbinder.audit.finding import AuditSubject, Finding, FindingLevel
    from pvbinder.audit.places import SourcePlace
    from pvbinder.audit.silence import SilenceRule
    from pvbinder.insight.snapshot import Snapshot
    from pvbinder.sources.options import SourceOptions

EPILOG = """\b
Examples:
  pvbinder audit                                # the cluster of the kubeconfig
  kubectl get pv,pvc,sc,pods,nodes,csidrivers -A -o yaml | pvbinder audit -f -
  pvbinder audit -f manifests/ -o sarif > audit.sarif
  pvbinder audit -f dump.yaml --write-baseline known.json
  pvbinder audit -f dump.yaml --baseline known.json --fail-on warning
  pvbinder audit --help-finding PVB203
"""
TEXT_COLUMNS_MAX = 100
FILE_BYTES_MAX = 16 * 1024 * 1024
_LEVELS = ("error", "warning", "information")
_Form = Literal["text", "json", "sarif", "junit", "markdown", "prometheus"]


@dataclass(frozen=True, slots=True)
class _Read:
    """The objects, notes about their reading, and where they are."""

    snapshot: Snapshot
    notes: list[str]
    places: Mapping[AuditSubject, SourcePlace]
    of_driver: tuple[Finding, ...] = ()


@click.command(epilog=EPILOG)
@files_option("Read objects from this file instead of a server")
@source_options
@click.option("-n", "--namespace", help="Audit the claims of this namespace only; volumes and classes are seen whole.")
@click.option("--kubeconfig", type=click.Path(path_type=Path), help="The kubeconfig file to use.")
@click.option("--context", help="The context of the kubeconfig to use.")
@click.option(
    "-o",
    "--output",
    type=click.Choice(["text", "json", "sarif", "junit", "markdown", "prometheus"]),
    default="text",
    help="How to write the findings.",
)
@click.option(
    "--fail-on",
    type=click.Choice([*_LEVELS, "never"]),
    default="error",
    show_default=True,
    help="Exit with 1 if there is a finding of this level or a worse one.",
)
@click.option(
    "--level",
    type=click.Choice(_LEVELS),
    default="warning",
    show_default=True,
    help="Show findings down to this level.",
)
@click.option("--code", "only", multiple=True, metavar="CODE", help="Look for this finding only; may be given again.")
@click.option("--all", "show_all", is_flag=True, help="Show every object of a finding, not only the first ten.")
@click.option(
    "--manifests", is_flag=True, help="Show the manifest of each way out that is no command; -o json always has it."
)
@click.option(
    "--rules",
    "rule_files",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Silence findings by these rules.",
)
@click.option(
    "--baseline", type=click.Path(path_type=Path), metavar="FILE", help="Tell what isn't in this baseline only."
)
@click.option(
    "--write-baseline",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write what is found as a baseline, and exit with 0.",
)
@click.option(
    "--prices", type=click.Path(path_type=Path), metavar="FILE", help="What a GiB costs in a month, by class, as YAML."
)
@click.option(
    "--csi-address", metavar="ADDRESS", help="Compare the cluster with what the driver at this socket has, too."
)
@click.option("--help-finding", "wanted", multiple=True, metavar="CODE", help="Explain this finding instead.")
def audit(
    files: tuple[str, ...],
    namespace: str | None,
    kubeconfig: Path | None,
    context: str | None,
    output: _Form,
    fail_on: str,
    level: str,
    only: tuple[str, ...],
    show_all: bool,
    manifests: bool,
    rule_files: tuple[Path, ...],
    baseline: Path | None,
    write_baseline: Path | None,
    prices: Path | None,
    wanted: tuple[str, ...],
    at_revision: int | None,
    etcd_prefix: str | None,
    csi_address: str | None,
) -> int:
    """Say what is wrong with the storage of a whole cluster, from the rules that bind.

    Each finding has a code (PVB203), the object, what was compared, the rule, and the way out. Levels: an error needs
    somebody to act now, a warning will need somebody, information is worth knowing (--level information shows it).
    Exit code 0: nothing as bad as --fail-on; 1: there is.
    """
    if wanted:
        return _explain_codes(wanted)
    check_no_server(files, kubeconfig, context)
    if csi_address is not None:
        if files:
            raise WrongUsageError("--csi-address compares a driver with its cluster: -f doesn't go with it")
        from pvbinder.cli.csi import check_address  # gRPC takes time to import

        check_address(csi_address, "--csi-address")
    from pvbinder.audit.find import find_all
    from pvbinder.audit.finding import worst_first
    from pvbinder.audit.silence import baseline_of, with_silence
    from pvbinder.audit.survey import Options

    codes = _codes(only)
    rules = [rule for file in rule_files for rule in _rules_in(file)]
    known = _baseline_in(baseline) if baseline is not None else frozenset()
    options = Options(prices=_prices_in(prices) if prices is not None else {})
    source = chosen(at_revision, etcd_prefix, files, "-f")
    read = _from_files(files, source, output) if files else asyncio.run(_from_server(kubeconfig, context, csi_address))
    for each in read.notes:
        note(each)
    for problem in read.snapshot.unreadable:
        note(f"left out: {problem}")
    now = read.snapshot.moment or datetime.now(UTC)
    found = [
        each
        for each in worst_first((*find_all(read.snapshot, now, options), *read.of_driver))
        if (not codes or each.code in codes) and (not namespace or each.subject.namespace in ("", namespace))
    ]
    findings = with_silence(found, read.snapshot, now.date(), rules=rules, baseline=known)
    if write_baseline is not None:
        from pvbinder.server.files.private_files import write_private

        write_private(write_baseline, baseline_of(each for each in findings if not each.silenced))
        note(f"{len(findings)} findings written to {write_baseline}")
        return 0
    _say(
        findings,
        read,
        now,
        output,
        level=cast("FindingLevel", level),
        fail_on=fail_on,
        show_all=show_all,
        manifests=manifests,
    )
    if known and (gone := known - {each.key for each in found}):
        note(f"{len(gone)} findings of the baseline are gone: write it anew with --write-baseline")
    return _exit_code(findings, read.snapshot, fail_on)


def _exit_code(findings: Sequence[Finding], snapshot: Snapshot, fail_on: str) -> int:
    from pvbinder.audit.finding import is_at_least

    if fail_on == "never":
        return 0
    threshold = cast("FindingLevel", fail_on)
    is_bad = any(not each.silenced and is_at_least(each.level, threshold) for each in findings)
    return EXIT_NO if is_bad or snapshot.namespaces_with_unreadable_claims else 0


def _say(
    findings: Sequence[Finding],
    read: _Read,
    now: datetime,
    output: _Form,
    *,
    level: FindingLevel,
    fail_on: str,
    show_all: bool,
    manifests: bool,
) -> None:
    from pvbinder import __version__
    from pvbinder.audit import forms, report

    match output:
        case "text":
            width = min(shutil.get_terminal_size().columns, TEXT_COLUMNS_MAX)
            text = report.report(
                findings, read.snapshot, width, least=level, all_subjects=show_all, manifests=manifests
            )
            say_findings(text.rstrip("\n"))
        case "json":
            say_json(forms.as_json(findings, now, read.places, read.snapshot))
        case "sarif":
            say_json(forms.as_sarif(findings, read.places, __version__))
        case "junit":
            say(forms.as_junit(findings, None if fail_on == "never" else cast("FindingLevel", fail_on), now))
        case "markdown":
            say(forms.as_markdown(findings, level))
        case "prometheus":
            say(forms.as_prometheus(findings))


def _explain_codes(wanted: tuple[str, ...]) -> int:
    from pvbinder.audit.codes import UnknownCodeError, find_code
    from pvbinder.audit.report import help_of

    width = min(shutil.get_terminal_size().columns, TEXT_COLUMNS_MAX)
    try:
        say("\n".join(help_of(find_code(each), width) for each in wanted).removesuffix("\n"))
    except UnknownCodeError as error:
        raise WrongUsageError(error.message, hint=error.hint) from error
    return 0


def _codes(only: tuple[str, ...]) -> frozenset[str]:
    from pvbinder.audit.codes import UnknownCodeError, find_code

    try:
        return frozenset(find_code(each).code for each in only)
    except UnknownCodeError as error:
        raise WrongUsageError(error.message, hint=error.hint) from error


# ------------------------------------------------------------------------------------------------ files


def _rules_in(file: Path) -> tuple[SilenceRule, ...]:
    from pvbinder.audit.silence import SilenceError, parse_rules

    try:
        return parse_rules(_yaml_in(file))
    except SilenceError as error:
        raise WrongUsageError(f"{file}: {error.message}", hint=error.hint) from error


def _baseline_in(file: Path) -> frozenset[str]:
    from pvbinder.audit.silence import SilenceError, parse_baseline
    from pvbinder.files import read_file

    try:
        return parse_baseline(read_file(file, bytes_max=FILE_BYTES_MAX))
    except SilenceError as error:
        raise WrongUsageError(f"{file}: {error.message}", hint=error.hint) from error


def _prices_in(file: Path) -> dict[str, float]:
    import msgspec

    try:
        return msgspec.convert(_yaml_in(file), dict[str, float])
    except msgspec.ValidationError as error:
        hint = "it maps classes to what a GiB costs in a month, such as: fast: 0.12"
        raise WrongUsageError(f"{file} is no list of prices: {error}", hint=hint) from error


def _yaml_in(file: Path) -> Any:
    from pvbinder.files import read_file
    from pvbinder.server.objects.schema.yaml_text import YamlLimits, YamlTextError, parse_yaml_documents

    limits = YamlLimits(
        depth_max=20, nodes_max=1_000_000, nodes_by_alias_max=100_000, bytes_by_alias_max=1 << 20, known_tags_only=True
    )
    content = read_file(file, bytes_max=FILE_BYTES_MAX)
    try:
        return next((each.value for each in parse_yaml_documents(content.decode(), limits)), None)
    except (YamlTextError, UnicodeDecodeError) as error:
        raise WrongUsageError(f"{file} is no YAML: {error}") from error


def _from_files(files: tuple[str, ...], source: SourceOptions, output: _Form) -> _Read:
    from pvbinder.audit.places import places_in
    from pvbinder.insight.manifests import as_served
    from pvbinder.insight.snapshot import Snapshot
    from pvbinder.sources.reading import read_sources, written_at
    from pvbinder.volumes.loading import in_tree_plugins, load_catalogue

    left_out: list[str] = []
    documents, notes = as_served(read_sources(files, source, left_out.append))
    if not documents and not notes:
        notes.append(f"there are no objects in {', '.join(files)}")
    snapshot = Snapshot(documents, plugins=load_catalogue(in_tree_plugins()), written_at=written_at(files))
    places = places_in(manifest_texts(files)) if output in ("sarif", "json") else {}
    return _Read(snapshot, left_out + notes, places)


async def _from_server(kubeconfig: Path | None, context: str | None, csi_address: str | None) -> _Read:
    from pvbinder.insight.reading import FOR_AUDITS, read_cluster
    from pvbinder.kube.client import Client
    from pvbinder.kube.config import load
    from pvbinder.kube.http import HttpTransport
    from pvbinder.volumes.loading import in_tree_plugins, load_catalogue

    config = load(kubeconfig, context)
    async with HttpTransport(config) as transport:
        plugins = load_catalogue(in_tree_plugins())
        client = Client(transport)
        snapshot, notes = await read_cluster(client, "", plugins=plugins, more=FOR_AUDITS, with_secrets=True)
        of_driver: tuple[Finding, ...] = ()
        if csi_address is not None:
            from pvbinder.audit.leaks import driver_findings
            from pvbinder.cli.csi_audit import comparing

            async with comparing(client, csi_address) as auditor:
                compared = await auditor.look()
            of_driver = tuple(driver_findings(compared))
            notes += compared.why
    return _Read(snapshot, notes, {}, of_driver)
