"""The text that Prometheus reads, and sources that fail or have much to look at."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator

import pytest
from prometheus_client import REGISTRY, Counter
from prometheus_client.parser import text_string_to_metric_families

from pvbinder import __version__, logs
from pvbinder.metrics.families import (
    DECISIONS,
    LATENCY,
    OPERATION_ERRORS_TWIN,
    QUEUE_DEPTH,
    Sample,
)
from pvbinder.metrics.metrics import Metrics
from pvbinder.model.histogram import Histogram


class Fixed:
    """A source that always gives the same."""

    def __init__(self, *samples: Sample) -> None:
        self._samples = samples

    async def samples(self) -> AsyncIterator[Sample]:
        for sample in self._samples:
            yield sample


class Broken:
    """A source that fails half-way."""

    async def samples(self) -> AsyncIterator[Sample]:
        yield QUEUE_DEPTH(1, "claims")
        raise RuntimeError("out of order")


async def lines_of(metrics: Metrics) -> list[str]:
    text = (await metrics.text()).decode()
    return text[: text.index("# HELP process_")].splitlines() if "# HELP process_" in text else text.splitlines()


async def test_metrics_4_families_and_samples_are_in_order() -> None:
    metrics = Metrics(
        [Fixed(QUEUE_DEPTH(2, "volumes"), DECISIONS(7, "claim", "Bind", "SC-U3"), QUEUE_DEPTH(0, "claims"))]
    )

    assert await lines_of(metrics) == [
        "# HELP pvbinder_build_info Always 1; the label says which version runs",
        "# TYPE pvbinder_build_info gauge",
        f'pvbinder_build_info{{version="{__version__}"}} 1',
        f"# HELP pvbinder_decisions_total {DECISIONS.meaning}",
        "# TYPE pvbinder_decisions_total counter",
        'pvbinder_decisions_total{object="claim",outcome="Bind",rule="SC-U3"} 7',
        "# HELP workqueue_depth [ALPHA] Keys that wait for their turn",
        "# TYPE workqueue_depth gauge",
        'workqueue_depth{name="claims"} 0',
        'workqueue_depth{name="volumes"} 2',
    ]


async def test_metrics_4_a_histogram_is_cumulative_and_ends_with_all() -> None:
    histogram = Histogram((0.001, 1.0, 10.0))
    for seconds in (0.0005, 0.5, 0.75, 20.0):
        histogram.observe(seconds)

    assert [line for line in await lines_of(Metrics([Fixed(LATENCY(histogram.value(), "get"))])) if "duration" in line][
        2:
    ] == [
        'pvbinder_api_request_duration_seconds_bucket{verb="get",le="0.001"} 1',
        'pvbinder_api_request_duration_seconds_bucket{verb="get",le="1"} 3',
        'pvbinder_api_request_duration_seconds_bucket{verb="get",le="10"} 3',
        'pvbinder_api_request_duration_seconds_bucket{verb="get",le="+Inf"} 4',
        'pvbinder_api_request_duration_seconds_sum{verb="get"} 21.2505',
        'pvbinder_api_request_duration_seconds_count{verb="get"} 4',
    ]


async def test_metrics_4_a_label_may_hold_anything() -> None:
    name = 'a"b\\c\nd'
    text = (await Metrics([Fixed(QUEUE_DEPTH(1, name))]).text()).decode()

    assert 'workqueue_depth{name="a\\"b\\\\c\\nd"} 1\n' in text
    families = {family.name: family for family in text_string_to_metric_families(text)}
    assert families["workqueue_depth"].samples[0].labels == {"name": name}


async def test_metrics_4_a_counter_keeps_a_name_that_does_not_end_like_one() -> None:
    """MT-5: the deprecated twin."""
    lines = await lines_of(Metrics([Fixed(OPERATION_ERRORS_TWIN(3, "kubernetes.io/host-path", "delete"))]))

    assert "# TYPE volume_operation_total_errors counter" in lines
    assert 'volume_operation_total_errors{plugin_name="kubernetes.io/host-path",operation_name="delete"} 3' in lines


async def test_metrics_1_nothing_is_registered_globally() -> None:
    before = list(REGISTRY.collect())
    first, second = Metrics([Fixed(QUEUE_DEPTH(1, "a"))]), Metrics([Fixed(QUEUE_DEPTH(2, "b"))])

    assert 'workqueue_depth{name="a"} 1' in await lines_of(first)
    assert 'workqueue_depth{name="a"} 1' not in await lines_of(second)
    assert [family.name for family in REGISTRY.collect()] == [family.name for family in before]


async def test_metrics_3_a_source_that_fails_costs_only_its_own(caplog: pytest.LogCaptureFixture) -> None:
    metrics = Metrics([Broken(), Fixed(QUEUE_DEPTH(2, "volumes"))])
    with caplog.at_level(logging.ERROR):
        lines = await lines_of(metrics)

    assert 'workqueue_depth{name="volumes"} 2' in lines
    assert 'workqueue_depth{name="claims"} 1' not in lines
    assert [(record.message, logs.fields_of(record)) for record in caplog.records] == [
        ("source of metrics failed", {"source": "Broken", "err": "RuntimeError('out of order')"})
    ]


async def test_the_process_is_measured_and_others_may_register() -> None:
    metrics = Metrics()
    Counter("example_archived", "Archives made", registry=metrics.registry).inc()
    text = (await metrics.text()).decode()

    families = {family.name: family.type for family in text_string_to_metric_families(text)}
    assert families["process_resident_memory_bytes"] == "gauge"
    assert families["process_cpu_seconds"] == "counter"
    assert "# TYPE example_archived_total counter\nexample_archived_total 1\n" in text
    assert "_created" not in text
