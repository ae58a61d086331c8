"""Names for the shell's completion: those of the server that the kubeconfig leads to.

COMPLETION-1  Whatever goes wrong, completion is silent and quick: no server, no rights, no kubeconfig mean no names.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final

import click
from click.shell_completion import CompletionItem

from pvbinder.cli.questions import RESOURCES, WORDS, QuestionKind

TIMEOUT_SECONDS: Final = 2.0
NAMES_MAX: Final = 500


def complete_target(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return kinds, then the names of the kind that was typed, as far as they begin with `incomplete`."""
    typed = [word for word in ctx.params.get("target") or () if isinstance(word, str)]
    kind_word, slash, begun = incomplete.partition("/")
    if slash:
        kind = WORDS.get(kind_word.lower())
        return [CompletionItem(f"{kind_word}/{name}") for name in _names(ctx, kind) if name.startswith(begun)]
    if not typed:
        return [CompletionItem(kind) for kind in RESOURCES if kind.startswith(incomplete)]
    kind = WORDS.get(typed[0].lower())
    return [CompletionItem(name) for name in _names(ctx, kind) if name.startswith(incomplete) and name not in typed]


def _names(ctx: click.Context, kind: QuestionKind | None) -> list[str]:
    if kind is None:
        return []
    try:
        return sorted(asyncio.run(_read(kind, ctx.params)))[:NAMES_MAX]
    except Exception:  # noqa: BLE001 - COMPLETION-1
        return []


async def _read(kind: QuestionKind, params: dict[str, object]) -> list[str]:
    from pvbinder.kube.client import Client, Retries
    from pvbinder.kube.config import load
    from pvbinder.kube.http import HttpTransport
    from pvbinder.kube.kinds import only_metadata_of

    kubeconfig, context, namespace = (params.get(name) for name in ("kubeconfig", "context", "namespace"))
    config = load(Path(str(kubeconfig)) if kubeconfig else None, str(context) if context else None)
    resource = RESOURCES[kind]
    where = str(namespace or config.namespace or "default") if resource.namespaced else ""
    async with asyncio.timeout(TIMEOUT_SECONDS), HttpTransport(config) as transport:
        client = Client(transport, retries=Retries(attempts=1))
        return [each.name for each in await client.list_all(only_metadata_of(resource), where)]
