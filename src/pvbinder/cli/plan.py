"""`pvbinder plan`: what each claim of new manifests would get, before they are applied.

PLAN_COMMAND-1  The exit code is 0 if all is well, 1 if the answer is no (PLAN-4), 2 for wrong usage, 3 for a failure.
PLAN_COMMAND-2  Among the files of ``-f``, one whose objects all have a uid and a resourceVersion is a state of a
                cluster; one whose objects have neither is new. A file with both is refused: nothing is guessed.
PLAN_COMMAND-3  Without a state the cluster of the kubeconfig is read; nothing is ever written to it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from pvbinder import __version__
from pvbinder.cli.errors import EXIT_NO, WrongUsageError
from pvbinder.cli.foreseen import from_cluster, from_files, output_option, tell
from pvbinder.cli.output import say
from pvbinder.cli.shared_options import server_options
from pvbinder.cli.source_options import FORMS, check_read_once, chosen, manifest_texts, source_options

if TYPE_CHECKING:
    from pvbinder.foresight.preparing import Prepared
    from pvbinder.model.json import Json
    from pvbinder.sources.options import SourceOptions

EPILOG = """\b
Examples:
  helm template shop ./chart | pvbinder plan -f -
  kustomize build overlays/prod | pvbinder plan -f - --against prod.yaml
  pvbinder plan -f claims.yaml -f dump.yaml --order-independent
  pvbinder plan -f manifests/ -o markdown >> "$GITHUB_STEP_SUMMARY"
  pvbinder plan -f manifests/ --against prod.yaml -o junit > plan.xml
"""


@click.command(epilog=EPILOG)
@click.option(
    "-f",
    "--filename",
    "files",
    multiple=True,
    required=True,
    metavar="FILE",
    help="New manifests: a YAML or JSON file, a directory of them, or - for stdin; may be given again. A dump of a "
    "cluster among them is what they are planned against.",
)
@click.option(
    "--against",
    multiple=True,
    metavar="DUMP",
    help=f"Plan against the objects in this instead of a cluster: {FORMS}. May be given again.",
)
@click.option("-n", "--namespace", default="default", help="The namespace of manifests that name none.")
@click.option(
    "--order-independent",
    is_flag=True,
    help="Tell whether another order of arrival changes the outcome, too: it applies the manifests in other orders.",
)
@source_options
@server_options
@output_option("text", "json", "markdown", "sarif", "junit")
def plan(
    files: tuple[str, ...],
    against: tuple[str, ...],
    namespace: str,
    order_independent: bool,
    at_revision: int | None,
    etcd_prefix: str | None,
    kubeconfig: Path | None,
    context: str | None,
    output: str,
) -> int:
    """Say what each claim of new manifests would get, and why: a volume, a new one, or nothing.

    The manifests are applied to a copy of the cluster in memory, whose controllers run: the answer is what they do
    there. Exit code 0: every claim gets its storage or waits for its first consumer; 1: something is refused, a claim
    gets nothing or keeps another class, or somebody must act who needn't have before.
    """
    from pvbinder.audit.places import places_in
    from pvbinder.foresight.forms import as_junit, as_sarif
    from pvbinder.foresight.orders import try_orders
    from pvbinder.foresight.plan import plan as foresee
    from pvbinder.foresight.reduction import reduce, touched_by
    from pvbinder.foresight.report import plan_headline, plan_sections

    check_read_once(*files, *against)
    new, state = _sorted(files)
    options = chosen(at_revision, etcd_prefix, against, "--against")
    prepared = _copy(state, against, options, kubeconfig, context)
    prepared = reduce(prepared, touched_by((one for _, one in new), namespace))
    answer = foresee(prepared, new, namespace=namespace)
    if order_independent:
        import msgspec

        answer = msgspec.structs.replace(answer, orders=try_orders(prepared, new, namespace=namespace))
    match output:
        case "junit":
            say(as_junit(answer))
        case "sarif":
            say(as_sarif(answer, places_in(manifest_texts(files)), __version__))
        case _:
            tell(answer, output, plan_headline(answer), plan_sections(answer))
    return 0 if answer.is_well else EXIT_NO


def _sorted(files: tuple[str, ...]) -> tuple[list[tuple[str, Json]], list[tuple[str, Json]]]:
    """Return the new objects and those of a state (PLAN_COMMAND-2)."""
    from pvbinder.sources.reading import read_sources

    new: list[tuple[str, Json]] = []
    state: list[tuple[str, Json]] = []
    for source, document in (one for file in files for one in read_sources([file])):
        (state if _is_stored(document) else new).append((source, document))
    mixed = sorted({source for source, _ in new} & {source for source, _ in state})
    if mixed:
        raise WrongUsageError(
            f"{mixed[0]} has both objects of a cluster (with uid and resourceVersion) and new ones",
            hint="name what is there with --against, and what is new with -f",
        )
    if not new and not state:
        raise WrongUsageError(f"there are no objects in {', '.join(files)}", hint="is that what was to be planned?")
    if not new:
        raise WrongUsageError(
            "there are no new manifests: all objects have the uid and the resourceVersion of a cluster",
            hint="name the dump with --against, and the new manifests with -f",
        )
    return new, state


def _is_stored(document: Json) -> bool:
    metadata = document.get("metadata")
    return isinstance(metadata, dict) and bool(metadata.get("uid")) and bool(metadata.get("resourceVersion"))


def _copy(
    state: list[tuple[str, Json]],
    against: tuple[str, ...],
    options: SourceOptions,
    kubeconfig: Path | None,
    context: str | None,
) -> Prepared:
    if not state and not against:
        return from_cluster(kubeconfig, context)
    if kubeconfig or context:
        raise WrongUsageError(
            "a dump is planned against instead of a server: --kubeconfig and --context don't go with it"
        )
    return from_files(against, options, state)
