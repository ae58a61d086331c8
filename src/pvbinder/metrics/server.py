"""The metrics of the embedded server: requests, watches, commits."""

from __future__ import annotations

from collections.abc import AsyncIterator

from pvbinder.metrics import families as f
from pvbinder.metrics.families import Sample
from pvbinder.server.embedded import EmbeddedServer


class ServerSource:
    """An embedded server of this process."""

    def __init__(self, server: EmbeddedServer) -> None:
        self._server = server

    async def samples(self) -> AsyncIterator[Sample]:
        """Give the metrics of the server and its store."""
        requests = self._server.dispatcher.measures.statistics()
        for (verb, resource, code), count in requests.requests.items():
            yield f.SERVER_REQUESTS(count, verb, resource, str(code))
        for verb, durations in requests.durations.items():
            yield f.SERVER_LATENCY(durations, verb)
        for resource, count in self._server.api.watches.items():
            yield f.SERVER_WATCHES(count, resource)
        store = self._server.store.statistics()
        for resource, count in store.objects.items():
            yield f.SERVER_OBJECTS(count, resource)
        yield f.SERVER_REVISION(store.revision)
        yield f.SERVER_COMMITS(store.commits)
        yield f.SERVER_WRITES(store.writes)
        yield f.SERVER_COMMIT_FAILURES(store.failed_commits)
        yield f.SERVER_COMMIT_LATENCY(store.commit_durations)
        yield f.SERVER_HISTORY_CHANGES(store.history_changes)
        yield f.SERVER_HISTORY_BYTES(store.history_bytes)
