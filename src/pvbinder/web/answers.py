"""The answers of the page: what each of them says of itself, and the files of ``static/``.

ANSWER-1  Every answer forbids scripts, styles and connections from elsewhere, inline code, frames, guesses of its type,
          and use by other origins; none is stored, but for a file, which is asked for again each time.
ANSWER-2  A file is one that was in ``static/`` at the start, by its exact name: no path is ever made of a request.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from types import MappingProxyType
from typing import Any, Final

import msgspec

from pvbinder.server.requests import ApiRequest, ApiResponse

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)
HEADERS: Final = MappingProxyType(
    {
        "Content-Security-Policy": POLICY,
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "no-store",
    }
)
INDEX: Final = "index.html"
_TYPES: Final = MappingProxyType(
    {
        ".css": "text/css; charset=utf-8",
        ".html": "text/html; charset=utf-8",
        ".js": "text/javascript; charset=utf-8",
        ".json": "application/json",
        ".md": "text/plain; charset=utf-8",
        ".svg": "image/svg+xml",
        ".txt": "text/plain; charset=utf-8",
    }
)
_FOLDERS_DEEP_MAX: Final = 1
_encoder = msgspec.json.Encoder()


def text(status: int, message: str, **headers: str) -> ApiResponse:
    """Return an answer for a person."""
    content_type = "text/plain; charset=utf-8"
    fields = {**HEADERS, "Content-Type": content_type, **{key.replace("_", "-"): one for key, one in headers.items()}}
    return ApiResponse(status, (message + "\n").encode(), fields)


def document(status: int, value: Any) -> ApiResponse:
    """Return `value` as JSON."""
    return ApiResponse(status, _encoder.encode(value), {**HEADERS, "Content-Type": "application/json"})


def problem(status: int, message: str) -> ApiResponse:
    """Return what went wrong, as JSON."""
    return document(status, {"error": message})


@dataclass(frozen=True, slots=True)
class StaticFile:
    """One file of ``static/``."""

    content: bytes
    content_type: str
    tag: str

    def answer(self, request: ApiRequest) -> ApiResponse:
        """Return it, or that it is still the same."""
        headers = {**HEADERS, "Content-Type": self.content_type, "ETag": self.tag, "Cache-Control": "no-cache"}
        asked = (one.strip().removeprefix("W/") for one in request.headers.get("if-none-match", "").split(","))
        if self.tag in asked:
            return ApiResponse(304, b"", headers)
        return ApiResponse(200, self.content, headers)


def static_files() -> dict[str, StaticFile]:
    """Return the files of ``static/`` by name, those of a folder as ``folder/name`` (ANSWER-2)."""
    found: dict[str, StaticFile] = {}
    _take(files("pvbinder.web") / "static", "", _FOLDERS_DEEP_MAX, found)
    return found


def _take(folder: Traversable, prefix: str, levels: int, found: dict[str, StaticFile]) -> None:
    for one in folder.iterdir():
        if one.is_dir() and levels:
            _take(one, f"{prefix}{one.name}/", levels - 1, found)
        content_type = _TYPES.get("." + one.name.rpartition(".")[2])
        if content_type is not None and one.is_file():
            content = one.read_bytes()
            tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
            found[prefix + one.name] = StaticFile(content, content_type, tag)
