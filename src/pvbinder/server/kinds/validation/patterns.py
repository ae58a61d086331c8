"""Regular expressions that users bring, in a schema's `pattern`: Go's syntax, and time in proportion to the text.

PATTERNS-1  What Go's regexp package refuses is refused when the definition is written, in its words.
PATTERNS-2  A match takes time in proportion to the text, whatever the pattern: nobody's schema holds up the others.

RE2 is what Go's package was made after; Python's `re` knows another syntax, and some of its matches take for ever.
Where RE2 might have to simulate a large pattern on a long text (`STEPS_MAX`), the text counts as too long for it.
Not promised: the few places where RE2 and Go differ (any byte, a backslash and a C, is known to RE2 alone).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

STEPS_MAX: Final = 10_000_000  # about 5 ns each, when it comes to the worst
INSTRUCTIONS_MAX: Final = 10_000
_PATTERNS_KEPT_MAX: Final = 1024

_IN_GO: Final = {  # what RE2 says, and what Go says
    "missing ]": "missing closing ]",
    "missing )": "missing closing )",
    "no argument for repetition operator": "missing argument to repetition operator",
    "bad repetition operator": "invalid nested repetition operator",
    "invalid repetition size": "invalid repeat count",
    "invalid perl operator": "invalid or unsupported Perl syntax",
    "invalid named capture group": "invalid named capture",
    "trailing \\": "trailing backslash at end of expression",
}


class TooLongToMatch(ValueError):  # noqa: N818  # it's no error of anybody: whoever asks says what follows
    """A text that is too long for its pattern to be matched in bounded time."""


def why_no_pattern(pattern: str) -> str:
    """Say in Go's words why a text is no regular expression; "" if it is one (PATTERNS-1)."""
    compiled = _compiled(pattern)
    return compiled if isinstance(compiled, str) else ""


def matches(pattern: str, text: str) -> bool:
    """Whether some part of the text matches; a pattern that is none is taken as fulfilled (PATTERNS-2)."""
    compiled = _compiled(pattern)
    if isinstance(compiled, str):
        return True
    encoded = text.encode("utf-8", "replace")
    if compiled.programsize * len(encoded) > STEPS_MAX:
        raise TooLongToMatch(pattern)
    return compiled.search(encoded) is not None


def find_all(pattern: str, text: str, most: int = -1) -> list[str]:
    """The parts of a text that match, the leftmost first and at most so many; a pattern that is none finds nothing."""
    compiled = _compiled(pattern)
    if isinstance(compiled, str):
        return []
    encoded = text.encode("utf-8", "replace")
    if compiled.programsize * len(encoded) > STEPS_MAX:
        raise TooLongToMatch(pattern)
    found: list[str] = []
    for match in compiled.finditer(encoded):
        if most >= 0 and len(found) >= most:
            break
        found.append(encoded[match.start() : match.end()].decode("utf-8", "replace"))
    return found


@lru_cache(maxsize=_PATTERNS_KEPT_MAX)
def _compiled(pattern: str) -> Any:
    """The pattern compiled, or why it can't be."""
    import re2  # with the first pattern that a schema has, and most have none: the start shouldn't wait for it

    options = re2.Options()
    options.log_errors = False
    options.never_capture = True
    try:
        compiled = re2.compile(pattern.encode("utf-8", "replace"), options)
    except re2.error as error:
        said = error.args[0]
        return _in_go(said.decode(errors="replace") if isinstance(said, bytes) else str(said), pattern)
    return compiled if compiled.programsize <= INSTRUCTIONS_MAX else _parsing("expression too large", "")


def _in_go(said: str, pattern: str) -> str:
    if said.startswith("pattern too large"):
        return _parsing("expression too large", "")
    what, colon, where = said.partition(": ")
    if not colon and said.startswith("trailing"):
        what, where = said.strip(), ""
    return _parsing(_IN_GO.get(what, what), where if colon or what.startswith("trailing") else pattern)


def _parsing(what: str, where: str) -> str:
    return f"error parsing regexp: {what}: `{where}`"
