"""The server of a running `pvbinder up`, asked from outside."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path
from typing import Any

from tools.plane import access

DEADLINE_SECONDS = 60


def request(kubeconfig: Path, path: str, method: str = "GET", body: Any = None) -> Any:
    """Ask the server as its administrator."""
    url, context = access(kubeconfig)
    data = json.dumps(body).encode() if body is not None else None
    asked = urllib.request.Request(url + path, data, {"Content-Type": "application/json"}, method=method)
    with urllib.request.urlopen(asked, context=context, timeout=DEADLINE_SECONDS) as answer:
        return json.load(answer)
