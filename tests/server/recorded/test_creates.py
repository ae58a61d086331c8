"""What Kubernetes 1.36 answered to objects of every kind, each with one field changed, is what this server answers.

`creates.json` has an object a line, and below it what a dry run of it was answered: as it is, without a field (`drop`),
or with another value at a place (`at`). Recorded from kube-apiserver 1.36.2.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import msgspec
from tests.server.serving import Serving, serving

RECORDED: list[Any] = msgspec.json.decode((Path(__file__).parent / "creates.json").read_bytes())
TOLD_MAX = 20


def sent(obj: Any, answer: Any) -> Any:
    """The object with the one change."""
    changed = copy.deepcopy(obj)
    place = answer.get("drop") or answer.get("at")
    if not place:
        return changed
    inner = changed
    for key in place[:-1]:
        inner = inner[key]
    if "drop" in answer:
        del inner[place[-1]]
    else:
        inner[place[-1]] = answer["value"]
    return changed


def without_chance(body: Any) -> Any:
    """An object without what differs from run to run."""
    for name in ("uid", "creationTimestamp", "resourceVersion"):
        body["metadata"].pop(name, None)
    for entry in body["metadata"].get("managedFields", ()):
        entry.pop("time", None)
    body.get("status", {}).pop("lastPhaseTransitionTime", None)
    return body


async def differences(server: Serving, recorded: Any) -> list[str]:
    """What is answered otherwise than it was."""
    found = []
    for answer in recorded["answers"]:
        body = sent(recorded["object"], answer)
        headers = {"user-agent": "fuzz/1.0 (x) y"}
        reply = await server.send("POST", f"{recorded['path']}?dryRun=All", body, headers=headers)
        said: Any = {"status": reply.status}
        if reply.warnings:
            said["warnings"] = list(reply.warnings)
        if reply.status >= 400:
            said["message"] = reply.message
        elif "body" in answer:
            said["body"] = without_chance(reply.body)
        wanted = {name: answer[name] for name in ("status", "warnings", "message", "body") if name in answer}
        if said != wanted:
            found.append(f"{recorded['path']} {answer.get('drop') or answer.get('at')}: {wanted} but {said}")
    return found


async def test_one_change_at_a_time(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        await server.send("POST", "/api/v1/namespaces", {"metadata": {"name": "recorded"}})
        wrong = [each for recorded in RECORDED for each in await differences(server, recorded)]
    assert not wrong, "\n".join([f"{len(wrong)} answers differ", *wrong[:TOLD_MAX]])
