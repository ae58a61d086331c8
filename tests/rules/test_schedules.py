"""When a CronJob is due (SCHEDULE-1 to SCHEDULE-3, CRON-1 to CRON-3)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pvbinder.model.json import Json, encode
from pvbinder.model.workloads import Workload, parse_workload
from pvbinder.rules.cron_jobs import decide_cron_job
from pvbinder.rules.schedules import ScheduleError, latest_due, parse_schedule


def at(text: str) -> datetime:
    return datetime.fromisoformat(f"{text}:00+00:00")


NEXT = {  # schedule, zone, after: next, in UTC
    "each minute": ("* * * * *", None, "2026-03-01T12:00", "2026-03-01T12:01"),
    "steps": ("*/15 * * * *", None, "2026-03-01T12:16", "2026-03-01T12:30"),
    "a range with a step": ("10-40/10 * * * *", None, "2026-03-01T12:31", "2026-03-01T12:40"),
    "a start with a step": ("5/20 * * * *", None, "2026-03-01T12:26", "2026-03-01T12:45"),
    "a list": ("0 8,20 * * *", None, "2026-03-01T12:00", "2026-03-01T20:00"),
    "names": ("0 0 * jun mon", None, "2026-03-01T12:00", "2026-06-01T00:00"),
    "either day": ("0 0 13 * 5", None, "2026-03-01T12:00", "2026-03-06T00:00"),
    "day of the month": ("0 0 31 * *", None, "2026-04-01T00:00", "2026-05-31T00:00"),
    "a leap day": ("0 0 29 2 *", None, "2026-03-01T00:00", "2028-02-29T00:00"),
    "a question mark": ("0 0 ? * 1", None, "2026-03-01T12:00", "2026-03-02T00:00"),
    "yearly": ("@yearly", None, "2026-03-01T12:00", "2027-01-01T00:00"),
    "weekly": ("@weekly", None, "2026-03-03T12:00", "2026-03-08T00:00"),
    "hourly": ("@hourly", None, "2026-03-03T12:00", "2026-03-03T13:00"),
    "every": ("@every 1h30m", None, "2026-03-03T12:00", "2026-03-03T13:30"),
    "a zone": ("0 12 * * *", "America/New_York", "2026-01-01T12:00", "2026-01-01T17:00"),
    "a zone in the schedule": ("TZ=Asia/Tokyo 0 9 * * *", None, "2026-01-01T12:00", "2026-01-02T00:00"),
    "an hour that the clock leaps over": ("30 2 * * *", "Europe/Berlin", "2026-03-29T00:00", "2026-03-30T00:30"),
}


@pytest.mark.parametrize(("text", "zone", "after", "expected"), NEXT.values(), ids=NEXT.keys())
def test_schedule_1_the_next_time(text: str, zone: str | None, after: str, expected: str) -> None:
    assert parse_schedule(text, zone).next_after(at(after)) == at(expected)


ODD = ["", "* * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *", "* * * * 7", "5-1 * * * *", "*/0 * * * *"]
ODD += ["x * * * *", "@often", "@every soon", "@every -5m", "1,,2 * * * *", "٣ * * * *", "* * * * * *"]


@pytest.mark.parametrize("text", ODD)
def test_schedule_2_what_means_nothing_is_refused(text: str) -> None:
    with pytest.raises(ScheduleError):
        parse_schedule(text)


@pytest.mark.parametrize("zone", ["Mars/Olympus", "../etc/passwd", "a" * 5000, "\0"])
def test_schedule_2_a_zone_that_there_is_not_is_refused(zone: str) -> None:
    with pytest.raises(ScheduleError):
        parse_schedule("* * * * *", zone)


def test_schedule_3_a_date_that_never_comes_is_none() -> None:
    assert parse_schedule("0 0 31 6 *").next_after(at("2026-01-01T00:00")) is None


def test_of_missed_times_only_the_last_counts() -> None:
    schedule = parse_schedule("*/5 * * * *")

    assert latest_due(schedule, at("2026-03-01T12:00"), at("2026-03-01T12:04")) is None
    assert latest_due(schedule, at("2026-03-01T12:00"), at("2026-03-01T12:07")) == at("2026-03-01T12:05")
    assert latest_due(schedule, at("2025-03-01T12:00"), at("2026-03-01T12:07")) == at("2026-03-01T12:05")
    assert latest_due(parse_schedule("0 9 * * 1"), at("2026-01-01T00:00"), at("2026-03-01T12:00")) == at(
        "2026-02-23T09:00"
    )


# ------------------------------------------------------------------------------------------------ cron jobs

NOW = datetime(2026, 3, 1, 12, 0, 30, tzinfo=UTC)


def cron(status: Json | None = None, **spec: Any) -> Workload:
    wanted: Json = {
        "schedule": "* * * * *",
        "jobTemplate": {"metadata": {"labels": {"a": "b"}}, "spec": {"template": {}}},
        "successfulJobsHistoryLimit": 1,
        "failedJobsHistoryLimit": 0,
        **spec,
    }
    metadata = {"name": "tick", "namespace": "shop", "uid": "c", "creationTimestamp": "2026-03-01T11:59:30Z"}
    return parse_workload(encode({"metadata": metadata, "spec": wanted, "status": status or {}}))


def job(name: str, ended: str = "", started: str = "2026-03-01T11:00:00Z") -> Workload:
    status: Json = {"startTime": started}
    if ended:
        status["conditions"] = [{"type": ended, "status": "True"}]
        status["completionTime"] = started
    return parse_workload(encode({"metadata": {"name": name, "namespace": "shop", "uid": name}, "status": status}))


def test_cron_1_a_job_is_made_once_for_each_time() -> None:
    plan = decide_cron_job(cron(), [], NOW)

    assert plan.create is not None
    assert plan.create["metadata"]["name"] == f"tick-{int(NOW.timestamp()) // 60}"
    assert plan.create["metadata"]["annotations"] == {
        "batch.kubernetes.io/cronjob-scheduled-timestamp": "2026-03-01T12:00:00Z"
    }
    assert plan.look_again_at == NOW.replace(second=0) + timedelta(minutes=1)
    assert decide_cron_job(cron({"lastScheduleTime": "2026-03-01T12:00:00Z"}), [], NOW).create is None


def test_cron_1_a_time_that_is_too_long_ago_is_missed() -> None:
    plan = decide_cron_job(cron(startingDeadlineSeconds=10), [], NOW)

    assert plan.create is None


def test_cron_2_forbid_and_replace() -> None:
    runs = job("runs")
    forbidden = decide_cron_job(
        cron({"active": [{"uid": "runs", "name": "runs"}]}, concurrencyPolicy="Forbid"), [runs], NOW
    )
    replaced = decide_cron_job(cron(concurrencyPolicy="Replace"), [runs], NOW)

    assert forbidden.create is None
    assert [note[1] for note in forbidden.notes] == ["JobAlreadyActive"]
    assert replaced.replace == (runs,)
    assert replaced.create is not None


def test_cron_3_the_newest_finished_jobs_are_kept() -> None:
    jobs = [job("old", "Complete"), job("new", "Complete", "2026-03-01T11:30:00Z"), job("bad", "Failed"), job("runs")]

    plan = decide_cron_job(
        cron({"active": [{"uid": "new", "name": "new"}, {"uid": "lost", "name": "lost"}]}), jobs, NOW
    )

    assert [one.name for one in plan.history] == ["old", "bad"]
    assert plan.status["lastSuccessfulTime"] == "2026-03-01T11:30:00Z"
    assert "active" not in plan.status
    assert {(reason, message) for _, reason, message in plan.notes} == {
        ("SawCompletedJob", "Saw completed job: new, condition: Complete"),
        ("MissingJob", "Active job went missing: lost"),
    }


def test_a_schedule_that_means_nothing_is_told() -> None:
    plan = decide_cron_job(cron(schedule="61 * * * *"), [], NOW)

    assert [note[1] for note in plan.notes] == ["UnparseableSchedule"]
    assert decide_cron_job(cron(suspend=True), [], NOW).create is None
