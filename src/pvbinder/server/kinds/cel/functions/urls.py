"""Addresses of the web, as Go's ``net/url`` reads them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, unquote, unquote_plus

from pvbinder.server.kinds.cel.declarations import Library
from pvbinder.server.kinds.cel.errors import CelError
from pvbinder.server.kinds.cel.types import BOOL, STRING, Type, list_of, map_of

URL: Final = Type("object", "kubernetes.URL")
_SCHEME: Final = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*")
_ESCAPE: Final = re.compile(r"%(?![0-9a-fA-F]{2}).{0,2}", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Url:
    """An address that was read."""

    scheme: str
    host: str
    path: str
    query: str
    text: str
    type_name = "kubernetes.URL"

    @property
    def size(self) -> int:
        """The size that costs are counted by."""
        return len(self.text)

    @property
    def hostname(self) -> str:
        """The host without its port."""
        host = self.host[: len(self.host) - len(self.port) - 1] if self.has_port else self.host
        return host[1:-1] if host.startswith("[") and host.endswith("]") else host

    @property
    def has_port(self) -> bool:
        """Whether a port is given, be it empty."""
        return re.search(r":\d*$", self.host) is not None

    @property
    def port(self) -> str:
        """The port; "" if none is given."""
        found = re.search(r":(\d*)$", self.host)
        return found[1] if found else ""


def declare(library: Library) -> None:
    """Declare what reads and asks addresses."""
    library.add("url", "string_to_url", (STRING,), URL, _url)
    library.add("isURL", "is_url_string", (STRING,), BOOL, _is_url)
    library.add_member("getScheme", "url_get_scheme", (URL,), STRING, lambda url: url.scheme)
    library.add_member("getHost", "url_get_host", (URL,), STRING, lambda url: url.host)
    library.add_member("getHostname", "url_get_hostname", (URL,), STRING, lambda url: url.hostname)
    library.add_member("getPort", "url_get_port", (URL,), STRING, lambda url: url.port)
    library.add_member("getEscapedPath", "url_get_escaped_path", (URL,), STRING, lambda url: url.path)
    library.add_member(
        "getQuery", "url_get_query", (URL,), map_of(STRING, list_of(STRING)), lambda url: _query(url.query)
    )


def _url(text: str) -> Url:
    found, why = read_url(text)
    if found is None:
        raise CelError(f"URL parse error during conversion from string: {why}")
    return found


def _is_url(text: str) -> bool:
    return read_url(text)[0] is not None


def read_url(text: str) -> tuple[Url | None, str]:
    """Read an absolute address; None and Go's words when there is none."""

    def no(why: str) -> tuple[None, str]:
        shown = text.replace("\\", "\\\\").replace('"', '\\"')
        return None, f'parse "{shown}": {why}'

    if any(ord(letter) < 0x20 or letter == "\x7f" for letter in text):
        return no("net/url: invalid control character in URL")
    if not text:
        return no("empty url")
    scheme, rest = "", text
    if not text.startswith("/"):
        head, colon, tail = text.partition(":")
        if colon and not head:
            return no("missing protocol scheme")
        if colon and _SCHEME.fullmatch(head):
            scheme, rest = head.lower(), tail
        elif colon and "/" not in head:
            return no("first path segment in URL cannot contain colon")
    if not rest.startswith("/") and (not scheme or not rest):
        return no("invalid URI for request")
    rest, _, query = rest.partition("?")
    host = ""
    if scheme and rest.startswith("//"):
        authority, slash, path = rest[2:].partition("/")
        rest = slash + path
        host = authority.rpartition("@")[2]
        port = re.search(r":([^:\]]*)$", host)
        if port is not None and port[1] and not port[1].isdecimal():
            return no(f'invalid port ":{port[1]}" after host')
        if wrong := re.search(r"[^A-Za-z0-9\-._~!$&'()*+,;=%:\[\]<>\"\x80-\U0010ffff]", host):
            return no(f'invalid character "{wrong[0]}" in host name')
    if wrong := _ESCAPE.search(rest.partition("#")[0]):
        return no(f'invalid URL escape "{wrong[0]}"')
    path, query = rest.partition("#")[0], query.partition("#")[0]
    return Url(scheme, host, quote(unquote(path), safe="/%$&+,:;=@~!'()*[]"), query, text), ""


def _query(text: str) -> dict[str, list[str]]:
    """The values of a query by name."""
    found: dict[str, list[str]] = {}
    for pair in text.split("&"):
        if not pair or ";" in pair or _ESCAPE.search(pair):
            continue
        name, _, value = pair.partition("=")
        found.setdefault(unquote_plus(name), []).append(unquote_plus(value))
    return found
