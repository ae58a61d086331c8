"""Requests as a client makes them, byte for byte, over TLS: for clients that are no Python."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tools.plane import access

DEADLINE_SECONDS = 60.0
JSON = "application/json"
PROTOBUF = "application/vnd.kubernetes.protobuf"
EITHER = f"{PROTOBUF},{JSON}"  # what client-go's typed clients accept
APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
JSON_PATCH = "application/json-patch+json"


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: Any  # JSON

    @property
    def message(self) -> str:
        """The message of a Status."""
        text: str = self.body["message"]
        return text


class Wire:
    """An administrator's connection."""

    def __init__(self, kubeconfig: Path) -> None:
        self._url, self._tls = access(kubeconfig)

    def connect(self) -> http.client.HTTPSConnection:
        """Open a connection."""
        host = urlsplit(self._url).netloc
        return http.client.HTTPSConnection(host, context=self._tls, timeout=DEADLINE_SECONDS)

    def send(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        accept: str = JSON,
        content_type: str = JSON,
        **headers: str,
    ) -> Answer:
        """Make one request; a body that isn't bytes is sent as JSON."""
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        sent = {"Accept": accept, **{name.replace("_", "-"): value for name, value in headers.items()}}
        if data is not None:
            sent["Content-Type"] = content_type
        with closing(self.connect()) as connection:
            connection.request(method, path, data, sent)
            answer = connection.getresponse()
            text = answer.read()
        named = {name.lower(): value for name, value in answer.getheaders()}
        return Answer(answer.status, named, json.loads(text) if text else None)

    @contextmanager
    def watch(self, path: str, accept: str = JSON) -> Iterator[Iterator[Any]]:
        """Watch, and give the events as they come."""
        with closing(self.connect()) as connection:
            connection.request("GET", path, headers={"Accept": accept})
            answer = connection.getresponse()
            assert answer.status == 200, answer.read()
            with answer:
                yield map(json.loads, iter(answer.readline, b""))
