"""Names as DNS has them: labels and subdomains of RFC 1123."""

from __future__ import annotations

import re
from typing import Final

LABEL: Final = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"  # as messages show it
SUBDOMAIN: Final = rf"{LABEL}(\.{LABEL})*"
LABEL_CHARACTERS_MAX: Final = 63
SUBDOMAIN_CHARACTERS_MAX: Final = 253

_label = re.compile(LABEL)
_subdomain = re.compile(SUBDOMAIN)


def is_label(text: str) -> bool:
    """Tell whether `text` is a label: the name of a namespace, for instance."""
    return len(text) <= LABEL_CHARACTERS_MAX and _label.fullmatch(text) is not None


def is_subdomain(text: str) -> bool:
    """Tell whether `text` is a subdomain: the name of most objects."""
    return len(text) <= SUBDOMAIN_CHARACTERS_MAX and _subdomain.fullmatch(text) is not None
