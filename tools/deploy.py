"""Write the templates of the Helm chart from the plain manifests: those are the one source of both.

    python -m tools.deploy            # write deploy/chart/pvbinder/templates
    python -m tools.deploy --check    # write nothing; say which templates are out of date

A plain manifest says in comments what the chart has in a line's place, so that it is valid as it stands:

    replicas: 2  # {{ .Values.replicas }}                       the value is the template's
    resources:  # {{- toYaml .Values.resources | nindent 12 }}  so are the deeper lines below it
    # {{- if .Values.networkPolicy.enabled }}                   a line that only the chart has
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
MANIFESTS = TOP / "deploy" / "manifests"
TEMPLATES = TOP / "deploy" / "chart" / "pvbinder" / "templates"
NOT_IN_A_CHART = "kustomization.yaml"
HEAD = "# Written by tools/deploy.py from deploy/manifests/{}: change it there.\n"
OF_THE_CHART = re.compile(r"(?P<indent> *)# (?P<line>.*\{\{.*)")
REPLACED = re.compile(r"(?P<before> *(?:- *)?(?:[\w./-]+:)?)(?P<value>.*?)  # (?P<template>\S*\{\{.*)")


def template_of(manifest: str) -> str:
    """Return the chart's template of a plain manifest."""
    return "".join(f"{line}\n" for line in _lines(manifest))


def _lines(manifest: str) -> Iterator[str]:
    replaced_at = -1  # the indentation of the line whose block the template has
    for line in manifest.splitlines():
        indent = len(line) - len(line.lstrip())
        if 0 <= replaced_at < indent:
            continue
        replaced_at = -1
        if own := OF_THE_CHART.fullmatch(line):
            yield own["indent"] + own["line"]
        elif found := REPLACED.fullmatch(line):
            before, value = found["before"].rstrip(), found["value"].strip()
            yield f"{before} {found['template']}"
            replaced_at = -1 if value else indent
        else:
            yield line


def templates() -> Mapping[str, str]:
    """Return the chart's templates by the names of their files."""
    found = {}
    for path in sorted(MANIFESTS.glob("*/*.yaml")):
        if path.name != NOT_IN_A_CHART:
            where = f"{path.parent.name}/{path.name}"
            found[f"{path.parent.name}-{path.name}"] = HEAD.format(where) + template_of(path.read_text())
    return found


def main(arguments: list[str]) -> int:
    """Write the templates, or only say which are out of date."""
    wanted = templates()
    there = {path.name: path.read_text() for path in TEMPLATES.glob("*.yaml")}
    stale = sorted(name for name in wanted.keys() | there.keys() if wanted.get(name) != there.get(name))
    if "--check" in arguments:
        print("\n".join(stale) or "all templates are up to date")
        return bool(stale)
    for name in stale:
        if name in wanted:
            (TEMPLATES / name).write_text(wanted[name])
        else:
            (TEMPLATES / name).unlink()
    print(f"{len(stale)} of {len(wanted)} templates written")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
