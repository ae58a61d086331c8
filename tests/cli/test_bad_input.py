"""Mistakes of people and programs: each gets a clear answer, and everybody else is served as before."""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from tools.console import run
from tools.plane import RunningPlane, access, running

pytestmark = pytest.mark.slow  # each starts processes

DEADLINE_SECONDS = 60


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPlane]:
    with running(tmp_path_factory.mktemp("bad-input") / "data") as plane:
        yield plane
        assert "Traceback" not in plane.log()


def kubectl(plane: RunningPlane, arguments: str, stdin: str = "") -> tuple[int, str]:
    finished = subprocess.run(
        ["kubectl", *arguments.split()],
        input=stdin,
        env={"KUBECONFIG": str(plane.kubeconfig), "HOME": str(plane.kubeconfig.parent), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
        check=False,
    )
    return finished.returncode, finished.stdout + finished.stderr


def is_served(plane: RunningPlane) -> bool:
    url, context = access(plane.kubeconfig)
    with urllib.request.urlopen(
        f"{url}/api/v1/namespaces/default", context=context, timeout=DEADLINE_SECONDS
    ) as answer:
        return bool(json.load(answer)["metadata"]["name"] == "default")


def manifest(*, name: str = "disk", size: str = "1Gi", extra: str = "") -> str:
    return f"""
apiVersion: v1
kind: PersistentVolume
metadata:
  name: {name}
spec:
  capacity:
    storage: {size}
  accessModes: [ReadWriteOnce]
  hostPath:
    path: /srv/disk
{extra}
"""


MANIFESTS = {  # what is wrong: (the manifest, what kubectl says)
    "an unknown field": (
        manifest(extra="  capacty: {}"),
        'cannot be handled as a PersistentVolume: strict decoding error: unknown field "spec.capacty"',
    ),
    "a field of the wrong type": (
        manifest(extra="  mountOptions: 7"),
        "cannot unmarshal number into Go struct field PersistentVolumeSpec.spec.mountOptions of type []string",
    ),
    "no quantity": (manifest(size="lots"), "quantities must match the regular expression"),
    "a negative quantity": (
        manifest(size="-1Gi"),
        'spec.capacity[storage]: Invalid value: "-1Gi": must be greater than zero',
    ),
    "a name that is too long": (manifest(name="d" * 254), "must be no more than 253 characters"),
    "a name that is none": (manifest(name="Disk_1"), "a lowercase RFC 1123 subdomain must consist of"),
    "a kind that isn't served": (
        "apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: w}\n",
        'no matches for kind "Widget" in version "example.com/v1"',
    ),
    "broken YAML": ("apiVersion: v1\nkind: [", "error converting YAML to JSON"),
    "a namespace that isn't there": (
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c, namespace: nowhere}\n",
        'namespaces "nowhere" not found',
    ),
}


@pytest.mark.kubectl
@pytest.mark.parametrize(("text", "said"), MANIFESTS.values(), ids=MANIFESTS.keys())
def test_a_bad_manifest(plane: RunningPlane, text: str, said: str) -> None:
    code, printed = kubectl(plane, "apply --filename -", text)

    assert code == 1
    assert said in printed
    assert is_served(plane)


@pytest.mark.kubectl
def test_the_good_part_of_a_bad_manifest_is_stored(plane: RunningPlane) -> None:
    code, printed = kubectl(plane, "apply --filename -", manifest(name="good") + "---" + manifest(name="Bad"))

    assert code == 1
    assert "persistentvolume/good created" in printed
    assert kubectl(plane, "get pv good --output name") == (0, "persistentvolume/good\n")


def refused(plane: RunningPlane, method: str, path: str, body: bytes, content_type: str = "application/json") -> Any:
    url, context = access(plane.kubeconfig)
    request = urllib.request.Request(url + path, body, {"Content-Type": content_type}, method=method)
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request, context=context, timeout=DEADLINE_SECONDS)
    with caught.value as answer:
        return answer.code, json.load(answer)


PATH = "/api/v1/namespaces/default/configmaps"


def test_a_body_of_ten_megabytes(plane: RunningPlane) -> None:
    body = json.dumps({"metadata": {"name": "big"}, "data": {"a": "x" * 10_000_000}}).encode()

    code, status = refused(plane, "POST", PATH, body)

    assert (code, status["reason"]) == (413, "RequestEntityTooLarge")
    assert is_served(plane)


@pytest.mark.parametrize(
    "body", [b"{", b"\xff\xfe", b"[" * 100_000, b'{"metadata": 7}', b""], ids=["half", "bytes", "deep", "type", "empty"]
)
def test_a_body_that_is_no_object(plane: RunningPlane, body: bytes) -> None:
    code, status = refused(plane, "POST", PATH, body)

    assert (code, status["kind"]) == (400, "Status")
    assert is_served(plane)


def raw_connection(plane: RunningPlane) -> ssl.SSLSocket:
    url, context = access(plane.kubeconfig)
    parts = urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None
    return context.wrap_socket(socket.create_connection((parts.hostname, parts.port)), server_hostname=parts.hostname)


def test_a_half_sent_request_keeps_nobody_waiting(plane: RunningPlane) -> None:
    with raw_connection(plane) as half:
        half.sendall(b"POST /api/v1/namespaces/default/configmaps HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")

        assert is_served(plane)


def test_a_client_that_hangs_up_in_the_middle(plane: RunningPlane) -> None:
    with raw_connection(plane) as half:
        half.sendall(b"POST /api/v1/namespaces/default/configmaps HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
    assert is_served(plane)


def test_what_is_no_http_at_all(plane: RunningPlane) -> None:
    with raw_connection(plane) as odd:
        odd.sendall(b"\x00\x01\x02 hello\r\n\r\n")
        odd.settimeout(DEADLINE_SECONDS)
        assert odd.recv(4096) == b"" or is_served(plane)
    assert is_served(plane)


def test_a_watch_that_is_never_read_holds_up_nobody(plane: RunningPlane, tmp_path: Path) -> None:
    with raw_connection(plane) as watch:
        watch.sendall(f"GET {PATH}?watch=true HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        url, context = access(plane.kubeconfig)
        for number in range(40):
            body = json.dumps({"metadata": {"name": f"large-{number}"}, "data": {"a": "x" * 500_000}}).encode()
            request = urllib.request.Request(url + PATH, body, {"Content-Type": "application/json"}, method="POST")
            with urllib.request.urlopen(request, context=context, timeout=DEADLINE_SECONDS) as answer:
                assert answer.status == 201

        assert is_served(plane)


@pytest.mark.kubectl
def test_kubectl_without_a_plane_is_told_so(tmp_path: Path) -> None:
    with running(tmp_path / "data") as stopped:
        kubeconfig = stopped.kubeconfig
    outcome = run("kubectl get pv", {"KUBECONFIG": str(kubeconfig), "HOME": str(tmp_path)})

    assert outcome.code == 1
    assert "refused" in outcome.printed
