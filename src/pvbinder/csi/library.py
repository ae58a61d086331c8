"""gRPC, imported as we need it: ``from pvbinder.csi.library import grpc``.

LIBRARY-1  Other programs are started without a word of gRPC about it on stderr, and with the environment as it was.

gRPC has hooks for processes that fork and go on; we never do, and the hooks write a line for each program that is
started while a call is under way. Whether it has them is decided when it is imported, by a variable of the
environment; one that the user has set counts.
"""

from __future__ import annotations

import os
from typing import Final

HOOKS: Final = "GRPC_ENABLE_FORK_SUPPORT"

_is_ours = HOOKS not in os.environ
if _is_ours:
    os.environ[HOOKS] = "0"
try:
    import grpc
    import grpc.aio
finally:
    if _is_ours:
        del os.environ[HOOKS]

__all__ = ["grpc"]
