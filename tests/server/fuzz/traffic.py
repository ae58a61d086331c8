"""Requests of a hostile client, many of them valid: the server must go on as usual.

The objects are those of the recorded HTTP cases and mutations of them. The sender reports each answer (`learn`), so
that the next requests build on it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import quote

import yaml
from tests.server.fuzz import mutation

CASES = Path(__file__).parents[2] / "conformance" / "apiserver" / "cases"
NAMESPACE = "fuzz"
NAMES = ("one", "two", "three")
JSON = "application/json"
MERGE, STRATEGIC, JSON_PATCH, APPLY = (
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/json-patch+json",
    "application/apply-patch+yaml",
)
PROTOBUF = "application/vnd.kubernetes.protobuf"
SELECTORS = (
    "a=b", "a", "!a", "a in (b,c)", "a notin ()", "a in (", "=", "a==b,", "a!=b", ",", "a>1", "a>x", "(", "\0", "é=é",
    "metadata.name=one", "status.phase!=Bound", "metadata.name=a\\,b", "spec.none=1", "a" * 400 + "=b",
    "a=b," * 300 + "a",
)  # fmt: skip
TOKENS = ("", "x", "e30", "eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6MSwic3RhcnQiOiIuLi8uLi8ifQ", "%00", "=" * 50, "e" * 5000)
QUERIES = {
    "labelSelector": SELECTORS,
    "fieldSelector": SELECTORS,
    "continue": TOKENS,
    "limit": ("0", "1", "-1", "x", "1" * 30),
    "resourceVersion": ("0", "1", "-1", "x", "1" * 30, ""),
    "resourceVersionMatch": ("Exact", "NotOlderThan", "x"),
    "pretty": ("true", "x"),
}
WRITE_QUERIES = {
    "dryRun": ("All", "x"),
    "fieldValidation": ("Strict", "Warn", "Ignore", "x"),
    "fieldManager": ("one", "two", "\0", "x" * 300),
    "force": ("true", "false", "x"),
}
ACCEPTS = (
    JSON,
    "application/json;as=Table;g=meta.k8s.io;v=v1",
    "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1",
    "application/yaml",
    PROTOBUF,
    "text/html",
    ";;",
)


@dataclass(frozen=True, slots=True)
class Sent:
    """A request."""

    method: str
    target: str
    content_type: str = ""
    body: bytes = b""
    accept: str = JSON

    def __str__(self) -> str:
        return f"{self.method} {self.target[:300]} ({self.content_type}; {self.accept}) {self.body[:2000]!r}"


@cache
def seeds() -> tuple[tuple[str, dict[str, Any]], ...]:
    """The objects that the recorded cases create, with the collections they go to."""
    found: dict[str, tuple[str, dict[str, Any]]] = {}
    for path in sorted(CASES.glob("*.yaml")):
        for step in yaml.safe_load(path.read_text())["steps"]:
            method, _, target = step.get("request", "").partition(" ")
            body = step.get("body")
            target = target.replace("{{ns}}", NAMESPACE).partition("?")[0]
            is_object = isinstance(body, dict) and isinstance(body.get("metadata"), dict)
            if (
                method != "POST"
                or not is_object
                or "{{" in target
                or target.endswith(("/namespaces", "/eviction", "/token"))
            ):
                continue
            text = re.sub(
                r"\{\{\w+\}\}", "x", mutation.text_of({**body, "metadata": {**body["metadata"], "name": ""}}).decode()
            )
            found.setdefault(target + text, (target, yaml.safe_load(text)))
    return tuple(found.values())


@dataclass(slots=True)
class Traffic:
    """A client. Ask for the `next` request, send it, and `learn` what was answered."""

    random: Random
    there: dict[str, Any] = field(default_factory=dict)  # the server's objects, by path
    counts: Counter[tuple[str, int]] = field(default_factory=Counter)  # answers by method and hundreds of their status

    def next(self) -> Sent:
        """The next request."""
        random = self.random
        kind = random.randrange(20)
        if kind < 5 or not self.there:
            return self._create()
        path = random.choice(sorted(self.there))
        obj = self.there[path]
        if kind < 8:
            return self._read(path)
        if kind < 9:
            body = b"" if random.random() < 0.5 else mutation.text_of(mutation.mutated(random, DELETE_OPTIONS))
            return self._write("DELETE", path, JSON, body)
        if kind < 13:
            return self._write("PUT", path + self._subresource(), JSON, self._json(obj))
        return self._patch(path, obj)

    def learn(self, sent: Sent, status: int, body: Any) -> None:
        """Note an answer."""
        self.counts[sent.method, status // 100] += 1
        path, _, query = sent.target.partition("?")
        if status not in (200, 201) or "dryRun" in query or not isinstance(body, dict) or sent.accept != JSON:
            return
        if sent.method == "POST" and body.get("kind") != "Status":
            self.there[f"{path}/{quote(body['metadata']['name'], safe='')}"] = body
        elif sent.method == "DELETE":
            self.there.pop(path, None)
        elif sent.method in ("PUT", "PATCH") and path in self.there:
            self.there[path] = body

    def clean_up(self) -> Iterator[Sent]:
        """The requests that delete all objects."""
        paths = {f"{collection}/{name}" for collection, _ in seeds() for name in NAMES}
        for path in sorted(paths | self.there.keys()):
            # objects may have finalizers
            yield Sent("PATCH", path, MERGE, b'{"metadata":{"finalizers":null}}')
            yield Sent("DELETE", path + "?gracePeriodSeconds=0")
        self.there.clear()

    def part_accepted(self, *methods: str) -> float:
        """The part of the requests with these methods that was answered with 2xx."""
        chosen = {key: count for key, count in self.counts.items() if key[0] in methods}
        return sum(count for key, count in chosen.items() if key[1] == 2) / max(1, sum(chosen.values()))

    def _create(self) -> Sent:
        collection, obj = self.random.choice(seeds())
        named = {**obj, "metadata": {**obj["metadata"], "name": self.random.choice(NAMES)}}
        if self.random.random() < 0.05:
            kind, version = obj.get("kind") or "ConfigMap", obj.get("apiVersion") or "v1"
            return self._write("POST", collection, PROTOBUF, mutation.envelope(self.random, kind, version))
        if self.random.random() < 0.05:
            return self._write("POST", collection, "application/yaml", mutation.bomb(self.random))
        return self._write("POST", collection, JSON, self._json(named))

    def _json(self, obj: Any) -> bytes:
        random = self.random
        if random.random() < 0.05:
            return mutation.text_of(mutation.with_managed_fields(random, obj))
        text = mutation.text_of(mutation.mutated(random, obj, random.choice((0, 0, 1, 1, 1, 2))))
        return mutation.spoiled(random, text) if random.random() < 0.1 else text

    def _patch(self, path: str, obj: Any) -> Sent:
        random = self.random
        content_type = random.choice((MERGE, STRATEGIC, JSON_PATCH, APPLY))
        patch: Any
        if content_type == JSON_PATCH:
            patch = mutation.json_patch(random, obj)
        elif content_type == STRATEGIC:
            patch = mutation.strategic_patch(random, obj)
        elif content_type == MERGE:
            patch = mutation.merge_patch(random, obj)
        else:
            metadata = {key: value for key, value in obj["metadata"].items() if key in ("name", "namespace", "labels")}
            rest = {key: value for key, value in obj.items() if key not in ("metadata", "status")}
            patch = mutation.mutated(random, {**rest, "metadata": metadata}, random.choice((0, 0, 1)))
            if random.random() < 0.1 and isinstance(patch, dict) and isinstance(patch.get("metadata", {}), dict):
                patch = mutation.with_managed_fields(random, patch)
        body = mutation.text_of(patch)
        sent = self._write("PATCH", path + self._subresource(), content_type, body)
        if content_type == APPLY and "fieldManager" not in sent.target:
            joined = sent.target + ("&" if "?" in sent.target else "?") + "fieldManager=three"
            return Sent(
                sent.method, joined, content_type, mutation.spoiled(random, body) if random.random() < 0.1 else body
            )
        return sent

    def _subresource(self) -> str:
        return self.random.choice(("", "", "", "", "", "", "/status", "/scale"))

    def _write(self, method: str, path: str, content_type: str, body: bytes) -> Sent:
        random = self.random
        if random.random() < 0.03:
            content_type = random.choice(
                (JSON, MERGE, STRATEGIC, JSON_PATCH, APPLY, PROTOBUF, "text/plain", "", "a/b;c")
            )
        return Sent(method, path + self._query(WRITE_QUERIES, 0.15), content_type, body, self._accept())

    def _read(self, path: str) -> Sent:
        where = path.rpartition("/")[0] if self.random.random() < 0.7 else path
        return Sent("GET", where + self._query(QUERIES, 0.25), accept=self._accept())

    def _accept(self) -> str:
        return JSON if self.random.random() < 0.85 else self.random.choice(ACCEPTS)

    def _query(self, choices: dict[str, tuple[str, ...]], often: float) -> str:
        random = self.random
        chosen = [f"{name}={quote(random.choice(choices[name]))}" for name in choices if random.random() < often]
        return "?" + "&".join(chosen) if chosen else ""


DELETE_OPTIONS = {
    "apiVersion": "v1",
    "kind": "DeleteOptions",
    "gracePeriodSeconds": 0,
    "propagationPolicy": "Background",
    "preconditions": {"uid": "x"},
}
