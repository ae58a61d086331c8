"""Jobs and cron jobs: the refusals, in the words of the reference."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
import pytest_asyncio
from tests.server.serving import Serving, serving

from pvbinder.server.objects.kind import Json

JOBS = "/apis/batch/v1/namespaces/shop/jobs"
CRON_JOBS = "/apis/batch/v1/namespaces/shop/cronjobs"
POD: Json = {"containers": [{"name": "c", "image": "i"}]}
JOB: Json = {"template": {"spec": {**POD, "restartPolicy": "Never"}}}
CRON_JOB: Json = {"schedule": "* * * * *", "jobTemplate": {"spec": JOB}}
LESS = "Invalid value: -1: must be greater than or equal to 0"
NO_ZONE = "cannot use TZ or CRON_TZ in schedule, use timeZone field instead"
INDEXED = "requires indexed completion mode"


@pytest_asyncio.fixture
async def server(tmp_path: Path) -> AsyncGenerator[Serving]:
    async with serving(tmp_path) as server:
        yield server


async def refused(server: Serving, path: str, spec: Json, name: str = "a") -> list[str]:
    reply = await server.send("POST", path, {"metadata": {"name": name}, "spec": spec})
    causes = (reply.body.get("details") or {}).get("causes") or ()
    return [f"{cause['field']}: {cause['message']}" for cause in causes]


async def test_a_changed_job_is_checked_like_a_new_one_and_keeps_its_pods(server: Serving) -> None:
    await server.send("POST", JOBS, {"metadata": {"name": "a"}, "spec": JOB})
    answer = await server.send("PUT", f"{JOBS}/a", {"metadata": {"name": "a"}, "spec": JOB})
    assert [cause["field"] for cause in answer.body["details"]["causes"]] == [
        "spec.selector", "spec.template.metadata.labels", "spec.selector", "spec.template"
    ]  # fmt: skip
    answer = await server.send("PATCH", f"{JOBS}/a", {"metadata": {"uid": "other"}})
    assert "spec.template.metadata.labels[controller-uid]" in answer.message


JOB_CASES: list[tuple[Json, list[str]]] = [
    ({}, []),
    ({"template": {"spec": POD}}, [
        'template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"',
    ]),
    ({"parallelism": -1, "backoffLimit": -1}, [f"parallelism: {LESS}", f"backoffLimit: {LESS}"]),
    ({"completionMode": "Other"}, [
        'completionMode: Unsupported value: "Other": supported values: "NonIndexed", "Indexed"',
    ]),
    ({"completionMode": "Indexed", "parallelism": 1}, ["completions: Required value: when completion mode is Indexed"]),
    ({"backoffLimitPerIndex": 1}, [f"backoffLimitPerIndex: Invalid value: 1: {INDEXED}"]),
    ({"maxFailedIndexes": 1}, [
        "backoffLimitPerIndex: Required value: when maxFailedIndexes is specified",
        f"maxFailedIndexes: Invalid value: 1: {INDEXED}",
    ]),
]  # fmt: skip


@pytest.mark.parametrize(("change", "errors"), JOB_CASES)
async def test_jobs_and_their_templates_are_refused_alike(server: Serving, change: Json, errors: list[str]) -> None:
    assert await refused(server, JOBS, {**JOB, **change}) == [f"spec.{error}" for error in errors]
    template = {**JOB, **change}
    if "parallelism" not in change and "completions" not in change:
        template["completions"] = 1
    spec = {**CRON_JOB, "jobTemplate": {"spec": template}}
    assert await refused(server, CRON_JOBS, spec) == [f"spec.jobTemplate.spec.{error}" for error in errors]


@pytest.mark.parametrize(
    ("change", "errors"),
    [
        ({"schedule": ""}, ["spec.schedule: Required value"]),
        ({"schedule": "* *"}, ['spec.schedule: Invalid value: "* *": expected exactly 5 fields, found 2: [* *]']),
        ({"schedule": "TZ=UTC * * * * *"}, [
            ('spec.schedule: Invalid value: "TZ=UTC * * * * *": '
            "cannot use TZ or CRON_TZ in schedule, use timeZone field instead"),
        ]),
        ({"timeZone": ""}, ['spec.timeZone: Invalid value: "": timeZone must be nil or non-empty string']),
        ({"timeZone": "Europe/../UTC"}, [
            'spec.timeZone: Invalid value: "Europe/../UTC": unknown time zone Europe/../UTC',
        ]),
        ({"timeZone": "Local"}, [
            ('spec.timeZone: Invalid value: "Local": '
            "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones"),
        ]),
        ({"timeZone": "Etc/UTC"}, []),
        ({"startingDeadlineSeconds": -1, "failedJobsHistoryLimit": -1}, [
            f"spec.startingDeadlineSeconds: {LESS}",
            f"spec.failedJobsHistoryLimit: {LESS}",
        ]),
        ({"concurrencyPolicy": "Some"}, [
            'spec.concurrencyPolicy: Unsupported value: "Some": supported values: "Allow", "Forbid", "Replace"',
        ]),
    ],
)  # fmt: skip
async def test_cron_jobs_are_refused_in_the_words_of_the_reference(
    server: Serving, change: Json, errors: list[str]
) -> None:
    assert await refused(server, CRON_JOBS, {**CRON_JOB, **change}) == errors


async def test_jobs_of_a_cron_job_have_room_for_their_names(server: Serving) -> None:
    name = "a" * 53
    why = f'metadata.name: Invalid value: "{name}": must be no more than 52 characters'
    assert await refused(server, CRON_JOBS, CRON_JOB, name) == [why]
    assert await refused(server, CRON_JOBS, CRON_JOB, name[1:]) == []


SCHEDULES = {  # what is refused on creation; the words of each fault are those of tests/rules/test_schedules.py
    "@hourly": [],
    "@every 90s": [],
    "*/5 8-18 * jan-jun mon,fri": [],
    "61 * * * *": ['Invalid value: "61 * * * *": end of range (61) above maximum (59): 61'],
    "@often": ['Invalid value: "@often": unrecognized descriptor: @often'],
    "TZ=UTC * * * * *": [f'Invalid value: "TZ=UTC * * * * *": {NO_ZONE}'],
    "TZ=Mars * * * * *": [
        'Invalid value: "TZ=Mars * * * * *": provided bad location Mars: unknown time zone Mars',
        f'Invalid value: "TZ=Mars * * * * *": {NO_ZONE}',
    ],
}


@pytest.mark.parametrize("schedule", SCHEDULES)
async def test_a_schedule_is_parsed(server: Serving, schedule: str) -> None:
    expected = [f"spec.schedule: {error}" for error in SCHEDULES[schedule]]
    assert await refused(server, CRON_JOBS, {**CRON_JOB, "schedule": schedule}) == expected


async def test_the_jobs_of_a_cron_job_choose_no_pods_themselves(server: Serving) -> None:
    template = {**JOB, "selector": {"matchLabels": {"a": "b"}}, "manualSelector": True}
    assert await refused(server, CRON_JOBS, {**CRON_JOB, "jobTemplate": {"spec": template}}) == [
        'spec.jobTemplate.spec.selector: Invalid value: {"matchLabels":{"a":"b"}}: `selector` will be auto-generated',
        'spec.jobTemplate.spec.manualSelector: Unsupported value: true: supported values: "nil", "false"',
    ]
