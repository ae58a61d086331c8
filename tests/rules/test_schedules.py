"""When a CronJob is due (SCHEDULE-1 to SCHEDULE-3, CRON-1 to CRON-3)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pvbinder.model.json import Json, encode
from pvbinder.model.workloads import Workload, parse_workload
from pvbinder.rules.cron_jobs import decide_cron_job
from pvbinder.rules.schedule_fields import FIELDS, FieldValues, ScheduleError, parse_field, parse_period
from pvbinder.rules.schedules import latest_due, parse_schedule


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


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
    "every second day of the month is a restriction": ("0 0 */2 * mon", None, "2026-03-01T12:00", "2026-03-02T00:00"),
    "every day of the month, said as a step": ("0 0 */1 * tue", None, "2026-03-01T12:00", "2026-03-03T00:00"),
    "a period below a second": ("@every 1ms", None, "2026-03-01T12:00", "2026-03-01T12:00:01"),
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


ATOI = "failed to parse int from {0}: strconv.Atoi: parsing "
EVERY = "failed to parse duration @every {0}: time: "
LONG = "9" * 20
REFUSED = {  # each with the words of robfig/cron
    "": "empty spec string",
    "* * * *": "expected exactly 5 fields, found 4: [* * * *]",
    "  0  0 * *  ": "expected exactly 5 fields, found 4: [0 0 * *]",
    " \t ": "expected exactly 5 fields, found 0: []",
    "* * * * * *": "expected exactly 5 fields, found 6: [* * * * * *]",
    " @daily": "expected exactly 5 fields, found 1: [@daily]",
    "60 * * * *": "end of range (60) above maximum (59): 60",
    "* 24 * * *": "end of range (24) above maximum (23): 24",
    "* * 0 * *": "beginning of range (0) below minimum (1): 0",
    "* * * 13 *": "end of range (13) above maximum (12): 13",
    "* * * 0-3 *": "beginning of range (0) below minimum (1): 0-3",
    "* * * * 7": "end of range (7) above maximum (6): 7",
    "* * * * 5-7": "end of range (7) above maximum (6): 5-7",
    "1,5-1 * * * *": "beginning of range (5) beyond end of range (1): 5-1",
    "*/0 * * * *": "step of range should be a positive number: */0",
    "*/2/3 * * * *": "too many slashes: */2/3",
    "1-2-3 * * * *": "too many hyphens: 1-2-3",
    "*/-5 * * * *": "negative number (-5) not allowed: -5",
    "*/x * * * *": ATOI.format("x") + '"x": invalid syntax',
    "x * * * *": ATOI.format("x") + '"x": invalid syntax',
    "-5 * * * *": ATOI.format("") + '"": invalid syntax',
    "1.5 * * * *": ATOI.format("1.5") + '"1.5": invalid syntax',
    "\u0663 * * * *": ATOI.format("\u0663") + '"\u0663": invalid syntax',
    f"{LONG} * * * *": ATOI.format(LONG) + f'"{LONG}": value out of range',
    "* * * * funday": ATOI.format("funday") + '"funday": invalid syntax',
    "jan * * * *": ATOI.format("jan") + '"jan": invalid syntax',
    "@often": "unrecognized descriptor: @often",
    "@Daily": "unrecognized descriptor: @Daily",
    "@every": "unrecognized descriptor: @every",
    "@every soon": EVERY.format("soon") + 'invalid duration "soon"',
    "@every ": EVERY.format("") + 'invalid duration ""',
    "@every 5": EVERY.format("5") + 'missing unit in duration "5"',
    "@every 1h5": EVERY.format("1h5") + 'missing unit in duration "1h5"',
    "@every 1d": EVERY.format("1d") + 'unknown unit "d" in duration "1d"',
    "@every 1\xb5": EVERY.format("1\xb5") + 'unknown unit "\\xc2\\xb5" in duration "1\\xc2\\xb5"',
    "@every .h": EVERY.format(".h") + 'invalid duration ".h"',
    f"@every {LONG}h": EVERY.format(LONG + "h") + f'invalid duration "{LONG}h"',
    "TZ=UTC": "invalid schedule format: runtime error: slice bounds out of range [:-1]",
    "CRON_TZ=Mars/Olympus * * * * *": "provided bad location Mars/Olympus: unknown time zone Mars/Olympus",
    "TZ=../x * * * * *": "provided bad location ../x: time: invalid location name",
    "TZ=UTC * * *": "expected exactly 5 fields, found 3: [* * *]",
}  # fmt: skip


@pytest.mark.parametrize(("text", "why"), REFUSED.items())
def test_schedule_2_what_means_nothing_is_refused(text: str, why: str) -> None:
    with pytest.raises(ScheduleError) as refused:
        parse_schedule(text)
    assert refused.value.message == why


MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
DAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]
FIELD: dict[str, tuple[str, int, set[int], bool]] = {  # a field by its place: its numbers, and whether it is a star
    "all minutes": ("*", 0, set(range(60)), True),
    "all hours": ("*", 1, set(range(24)), True),
    "all days": ("?", 2, set(range(1, 32)), True),
    "the edges": ("0,59", 0, {0, 59}, False),
    "a range": ("2-4", 0, {2, 3, 4}, False),
    "a range of one": ("4-4", 0, {4}, False),
    "a step from a number on": ("50/4", 0, {50, 54, 58}, False),
    "a step in a range": ("1-8/3", 0, {1, 4, 7}, False),
    "a step of everything": ("*/30", 0, {0, 30}, False),
    "a step of one": ("*/1", 1, set(range(24)), True),
    "a star in a list": ("5,*", 1, set(range(24)), True),
    "months": (",".join(MONTHS), 3, set(range(1, 13)), False),
    "days": (",".join(DAYS), 4, set(range(7)), False),
    "from month to month": ("FEB-apr", 3, {2, 3, 4}, False),
    "nothing": (",", 0, set(), False),
}


@pytest.mark.parametrize(("text", "place", "numbers", "is_any"), FIELD.values(), ids=FIELD.keys())
def test_schedule_1_the_numbers_of_a_field(text: str, place: int, numbers: set[int], is_any: bool) -> None:
    assert parse_field(text, FIELDS[place]) == FieldValues(frozenset(numbers), is_any)


@pytest.mark.parametrize("place", [3, 4])
def test_schedule_1_each_name_has_its_number(place: int) -> None:
    names = MONTHS if place == 3 else DAYS
    assert [parse_field(name, FIELDS[place]).values for name in names] == [
        {number} for number in range(place == 3, len(names) + (place == 3))
    ]


PERIODS = {
    "1h30m": 5400,
    "90s": 90,
    "1.5h": 5400,
    ".5m": 30,
    "1m.5s": 60,
    "1999ms": 1,
    "2000ms": 2,
    "3000000us": 3,
    "3000000\u00b5s": 3,
    "3000000\u03bcs": 3,
    "4000000000ns": 4,
    "1ms": 1,
    "0": 1,
    "+0": 1,
    "-0": 1,
    "-5m": 1,
    "+5m": 300,
    "0.1234567890123456789012345h": 444,
    "2562047h": 2562047 * 3600,
}


@pytest.mark.parametrize(("text", "seconds"), PERIODS.items())
def test_schedule_1_a_period_is_in_whole_seconds(text: str, seconds: int) -> None:
    assert parse_period(f"@every {text}") == seconds


@pytest.mark.parametrize("text", ["2562048h", "9223372036854775808ns"])
def test_schedule_2_a_period_longer_than_go_counts_is_refused(text: str) -> None:
    with pytest.raises(ScheduleError, match="invalid duration"):
        parse_period(f"@every {text}")
    assert parse_period("@every -9223372036854775808ns") == 1


TAKEN = ["1,,2 * * * *", "+5 * * * *", "007 * * * *", "*-3 * * * *", "*/99 * * * *", "? ? ? ? ?", "* * * JAN-Mar SuN"]
TAKEN += [
    "@every -5m",
    "@every 0",
    "@every 1.5h.5s",
    "@every 1\u03bcs",
    "TZ= * * * * *",
    "TZ=UTC   @hourly",
    "*\t* * * *",
]


@pytest.mark.parametrize("text", TAKEN)
def test_schedule_1_what_looks_odd_and_is_taken(text: str) -> None:
    assert parse_schedule(text).next_after(at("2026-03-01T12:00")) is not None


def test_schedule_1_an_empty_list_never_fits() -> None:
    assert parse_schedule(", * * * *").next_after(at("2026-03-01T12:00")) is None


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
    assert set(plan.notes) == {
        ("Normal", "SawCompletedJob", "Saw completed job: new, condition: Complete"),
        ("Normal", "MissingJob", "Active job went missing: lost"),
    }


def test_a_schedule_that_means_nothing_is_told() -> None:
    plan = decide_cron_job(cron(schedule="61 * * * *"), [], NOW)

    assert plan.notes == (
        (
            "Warning",
            "UnparseableSchedule",
            'unparseable schedule: "61 * * * *" : end of range (61) above maximum (59): 61',
        ),
    )
    unknown = decide_cron_job(cron(timeZone="Mars/Olympus"), [], NOW)
    why = 'invalid timeZone: "Mars/Olympus": unknown time zone Mars/Olympus'
    assert unknown.notes == (("Warning", "UnknownTimeZone", why),)
    assert decide_cron_job(cron(suspend=True), [], NOW).create is None
