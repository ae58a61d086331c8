"""``/metrics`` of `pvbinder up`: on the port of the API server, for those who may."""

from __future__ import annotations

import ssl
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from tools.plane import access, running

from pvbinder.metrics.families import BY_NAME

DEADLINE_SECONDS = 60


def asked(url: str, context: ssl.SSLContext) -> tuple[str, str]:
    """The type and the body of a page."""
    with urllib.request.urlopen(f"{url}/metrics", context=context, timeout=DEADLINE_SECONDS) as answer:
        return answer.headers["Content-Type"], answer.read().decode()


def test_metrics_are_for_those_who_may(tmp_path: Path) -> None:
    with running(tmp_path / "data") as plane:
        url, administrator = access(plane.kubeconfig)
        content_type, text = asked(url, administrator)
        nobody = ssl.create_default_context(cafile=None)
        nobody.check_hostname, nobody.verify_mode = False, ssl.CERT_NONE
        with pytest.raises(urllib.error.HTTPError) as refused:
            asked(url, nobody)

    assert content_type == "text/plain; version=0.0.4; charset=utf-8"
    shown = {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")}
    assert {"workqueue_depth", "pvbinder_server_requests_total", "pvbinder_controller_running"} <= shown
    assert {name for name in shown if not name.startswith(("process_", "python_"))} <= set(BY_NAME)
    assert list(text_string_to_metric_families(text))
    assert refused.value.code in (401, 403)
