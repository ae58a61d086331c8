"""`pvbinder rehearse`: what happens to the storage of a cluster if something is done to it.

REHEARSE_COMMAND-1  The exit code is 0 if all goes well, 1 if the server refuses a step or somebody must act afterwards
                    who needn't have before, 2 for wrong usage, 3 for a failure.
REHEARSE_COMMAND-2  Steps are carried out in the order in which they were given, those of scripts after those of --do.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from pvbinder.cli.errors import EXIT_NO, WrongUsageError
from pvbinder.cli.foreseen import from_cluster, from_files, output_option, tell
from pvbinder.cli.shared_options import server_options
from pvbinder.cli.source_options import check_no_server, check_read_once, chosen, files_option, source_options

if TYPE_CHECKING:
    from pvbinder.foresight.steps import RehearsalStep
    from pvbinder.model.json import Json

EPILOG = """\b
Steps:
  drain node/w3                    cordon it and evict its pods
  lose node/w1, lose zone=b        the machines are silent from now on
  delete storageclass/fast         any kind, with -n NAMESPACE where it has one
  apply -f x.yaml                  as kubectl apply
  scale statefulset/db=5 -n shop
  restore backup.tar.gz            create what the cluster lacks, as a backup is restored
  wait 1h

\b
Examples:
  pvbinder rehearse -f dump.yaml --do 'lose zone=b'
  pvbinder rehearse --do 'drain node/w3' --do 'wait 1h' -o markdown
  pvbinder rehearse -f dump.yaml --script friday.txt
"""


@click.command(epilog=EPILOG)
@files_option("Copy the objects in this file instead of a cluster")
@click.option("--do", "texts", multiple=True, metavar="STEP", help="What is done; may be given again, in order.")
@click.option(
    "--script",
    "scripts",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="A file with a step a line; # begins a comment. Its steps come after those of --do.",
)
@source_options
@server_options
@output_option("text", "json", "markdown")
def rehearse(
    files: tuple[str, ...],
    texts: tuple[str, ...],
    scripts: tuple[Path, ...],
    at_revision: int | None,
    etcd_prefix: str | None,
    kubeconfig: Path | None,
    context: str | None,
    output: str,
) -> int:
    """Say what happens to claims, volumes and pods if a node goes, a class is deleted, a file is applied.

    The controllers run on a copy of the cluster, in memory and on virtual time: an hour takes no time, and nothing
    touches the cluster. Exit code 0: nobody must act who needn't have before; 1: somebody must, or a step is refused.
    """
    from pvbinder.foresight.reduction import reduce, touched_by_steps
    from pvbinder.foresight.rehearse import rehearse as foresee
    from pvbinder.foresight.report import rehearsal_headline, rehearsal_sections
    from pvbinder.foresight.steps import parse_step, steps_in

    steps = [(text, parse_step(text)) for text in texts]
    steps += [one for script in scripts for one in steps_in(script)]
    if not steps:
        raise WrongUsageError("there is nothing to do", hint="say it with --do 'drain node/NAME', or --script FILE")
    options = chosen(at_revision, etcd_prefix, files, "-f")
    contents = _read_all([step for _, step in steps], files)
    check_no_server(files, kubeconfig, context)
    prepared = from_files(files, options) if files else from_cluster(kubeconfig, context)

    def read(names: tuple[str, ...]) -> list[tuple[str, Json]]:
        return [one for name in names for one in contents[name]]

    prepared = reduce(prepared, touched_by_steps((step for _, step in steps), prepared.documents, read))
    answer = foresee(prepared, steps, read)
    tell(answer, output, rehearsal_headline(answer), rehearsal_sections(answer))
    return 0 if answer.is_well else EXIT_NO


def _read_all(steps: list[RehearsalStep], dumps: tuple[str, ...]) -> dict[str, list[tuple[str, Json]]]:
    """Return the objects of all files that steps name, read once: a mistake is found before anything begins."""
    from pvbinder.foresight.steps import ApplyStep, RestoreStep
    from pvbinder.sources.reading import read_sources

    names = [name for step in steps if isinstance(step, ApplyStep | RestoreStep) for name in step.files]
    check_read_once(*names, *dumps)
    return {name: list(read_sources([name])) for name in dict.fromkeys(names)}
