"""Private parts of other libraries: which we use, why, and whether the installed versions still have them.

A library may drop them with any version, and then nothing says so: a session would send a PUT twice, a connection would
hold sixteen times the memory. What has a public way isn't used at all.
"""

from __future__ import annotations

import ast
import logging
import sys
from asyncio import sslproto
from collections.abc import Awaitable, Callable
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

import aiohttp
import pytest

SOURCES = [
    path
    for path in sorted((Path(__file__).resolve().parent.parent / "src").rglob("*.py"))
    if not path.name.endswith("_pb2.py")  # generated for the runtime of the version that it names, which it checks
]
PUBLIC = {"_exit"}  # of `os`: documented, and named so to be hard to call by mistake
PYTHON = f"Python {sys.version_info.major}.{sys.version_info.minor}"


async def session_has_retry_connection() -> bool:
    async with aiohttp.ClientSession() as session:
        return session._retry_connection is True


async def tls_takes_its_buffer_from_the_class() -> bool:
    reads = sslproto.SSLProtocol.__init__.__code__.co_names
    return isinstance(sslproto.SSLProtocol.max_size, int) and "max_size" in reads


async def logging_asks_for_the_source_file() -> bool:
    return hasattr(logging, "_srcfile") and "_srcfile" in logging.Logger._log.__code__.co_names


# the part: (its library, whether it is there and means what we think, where we use it)
PARTS: dict[str, tuple[str, Callable[[], Awaitable[bool]], str]] = {
    "_retry_connection": (
        f"aiohttp {version('aiohttp')}",
        session_has_retry_connection,
        "kube/http.py: without it a write whose connection broke is sent again (WIRE-1)",
    ),
    "max_size": (
        PYTHON,
        tls_takes_its_buffer_from_the_class,
        "server/wire/http.py: the buffer of each TLS connection would take 256 KiB",
    ),
    "_srcfile": (
        PYTHON,
        logging_asks_for_the_source_file,
        "logs.py: each log line would look for the line of code that it comes from",
    ),
}
_WITHOUT_UNDERSCORE = {"max_size"}  # of a class that no page of Python's documents


@pytest.mark.parametrize("part", PARTS)
async def test_a_private_part_that_we_use_is_still_there(part: str) -> None:
    library, check, use = PARTS[part]
    is_there = False
    with suppress(AttributeError, TypeError):
        is_there = await check()
    assert is_there, f"{library} has no {part} any more, or it means something else. It is used in src/pvbinder/{use}"


def test_no_other_private_part_of_a_library_is_used() -> None:
    found = foreign_parts({str(path): path.read_text() for path in SOURCES})
    assert {part for _, part in found} == set(PARTS) - _WITHOUT_UNDERSCORE, (
        f"private parts of other libraries: {sorted(found)}; take the public way, or add a row to PARTS"
    )


FOREIGN = {
    "an attribute": "session._retry = False",
    "an imported name": "from aiohttp.client import _RequestContextManager",
    "a private module": "from asyncio._base import Event",
    "by its name": "setattr(session, '_retry', False)",
}


@pytest.mark.parametrize("code", FOREIGN.values(), ids=FOREIGN.keys())
def test_a_private_part_is_found(code: str) -> None:
    assert foreign_parts({"x.py": code})
    assert not foreign_parts({"x.py": "self._mine = 1\nother._mine"})


def foreign_parts(texts: dict[str, str]) -> set[tuple[str, str]]:
    """Return file and name of the private parts that none of these files defines."""
    trees = {name: ast.parse(text) for name, text in texts.items()}
    own = {name for tree in trees.values() for node in ast.walk(tree) for name in _defined(node)}
    return {(file, part) for file, tree in trees.items() for node in ast.walk(tree) for part in _used(node, own)}


def _defined(node: ast.AST) -> list[str]:
    match node:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return [name]
        case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(value=ast.Name(id="self"), attr=name, ctx=ast.Store()):
            return [name]
        case _:
            return []


def _used(node: ast.AST, own: set[str]) -> list[str]:
    match node:
        case ast.Attribute(attr=name):
            names = [name]
        case ast.ImportFrom(module=str(module), names=aliases) if not module.startswith(("pvbinder", "__future__")):
            names = [*module.split("."), *(alias.name for alias in aliases)]
        case ast.Call(func=ast.Name(id="getattr" | "setattr" | "hasattr"), args=[_, ast.Constant(value=str(name)), *_]):
            names = [name]
        case _:
            names = []
    return [name for name in names if name.startswith("_") and not name.startswith("__") and name not in own | PUBLIC]
