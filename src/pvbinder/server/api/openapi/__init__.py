"""OpenAPI documents of the served kinds: v3 by group and version, v2 in one piece.

Promise: made from the same types that bodies are checked against, only when somebody asks, and kept until the registry
changes.
"""

from pvbinder.server.api.openapi.documents import OpenApi

__all__ = ["OpenApi"]
