"""The metrics of one process: its sources, and the text that Prometheus reads.

METRICS-1  Each `Metrics` is its own: nothing is registered globally, so that many can be in one process.
METRICS-2  A scrape never holds up the loop: sources that look at many objects take turns with everybody else.
METRICS-3  A source that fails costs its own samples and a log line, not the scrape.
METRICS-4  The text is format 0.0.4, families and samples in a fixed order; a family without samples is left out.

Besides our own sources there is a `registry` of the metrics library with what it knows about the process; other
packages may register collectors there.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import TYPE_CHECKING, Final, Protocol

from pvbinder import __version__, logs
from pvbinder.metrics.families import BUILD, Family, Sample
from pvbinder.model.histogram import Durations

if TYPE_CHECKING:  # loaded when somebody asks for metrics, not when a command starts
    from prometheus_client import CollectorRegistry

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

log = logs.get(__name__)


class SampleSource(Protocol):
    """Something that has been measuring."""

    def samples(self) -> AsyncIterator[Sample]:
        """Give what was measured; wait now and then if there is much to look at (METRICS-2)."""
        ...


class Metrics:
    """The sources of one process."""

    def __init__(self, sources: Iterable[SampleSource] = ()) -> None:
        self._sources = list(sources)
        self._registry: CollectorRegistry | None = None

    def add(self, source: SampleSource) -> None:
        """Have `source` asked at every scrape."""
        self._sources.append(source)

    @property
    def registry(self) -> CollectorRegistry:
        """The library's registry, with what it knows about this process; made when it's first asked for."""
        if self._registry is None:
            self._registry = _make_registry()
        return self._registry

    async def text(self) -> bytes:
        """Return all metrics as Prometheus reads them (METRICS-4)."""
        found: dict[Family, list[Sample]] = {BUILD: [BUILD(1, __version__)]}
        for source in self._sources:
            try:
                samples = [sample async for sample in source.samples()]
            except Exception as error:  # noqa: BLE001  (METRICS-3)
                log.error("source of metrics failed", source=type(source).__name__, err=repr(error))
                continue
            for sample in samples:
                found.setdefault(sample.family, []).append(sample)
        lines: list[str] = []
        for family in sorted(found, key=lambda family: family.name):
            lines += _heading(family.name, family.help, family.type)
            for sample in sorted(found[family], key=lambda sample: sample.labels):
                lines += _lines(sample)
        if self._registry is None:
            self._registry = await asyncio.to_thread(_make_registry)  # importing the library takes a while
        lines += _library_lines(self._registry)
        return "".join(f"{line}\n" for line in lines).encode()


def _make_registry() -> CollectorRegistry:
    from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector

    registry = CollectorRegistry(auto_describe=False)
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    return registry


def _library_lines(registry: CollectorRegistry) -> Iterator[str]:
    for metric in registry.collect():
        name = f"{metric.name}_total" if metric.type == "counter" else metric.name
        shown = [sample for sample in metric.samples if not sample.name.endswith("_created")]
        if not shown:
            continue
        yield from _heading(name, metric.documentation, "untyped" if metric.type == "unknown" else metric.type)
        for sample in shown:
            yield f"{sample.name}{_braces(sample.labels.items())} {_number(sample.value)}"


def _heading(name: str, meaning: str, kind: str) -> tuple[str, str]:
    escaped = meaning.replace("\\", r"\\").replace("\n", r"\n")
    return f"# HELP {name} {escaped}", f"# TYPE {name} {kind}"


def _lines(sample: Sample) -> Iterator[str]:
    family, value = sample.family, sample.value
    labels = tuple(zip(family.labels, sample.labels, strict=True))
    if not isinstance(value, Durations):
        yield f"{family.name}{_braces(labels)} {_number(value)}"
        return
    so_far = 0
    for bound, count in zip(value.bounds, value.buckets, strict=True):
        so_far += count
        yield f"{family.name}_bucket{_braces((*labels, ('le', _number(bound))))} {so_far}"
    yield f"{family.name}_bucket{_braces((*labels, ('le', '+Inf')))} {value.count}"
    yield f"{family.name}_sum{_braces(labels)} {_number(value.seconds)}"
    yield f"{family.name}_count{_braces(labels)} {value.count}"


def _braces(labels: Iterable[tuple[str, str]]) -> str:
    shown = ",".join(f'{name}="{_escaped(value)}"' for name, value in labels)
    return f"{{{shown}}}" if shown else ""


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def _number(value: float) -> str:
    """`value` as the reference prints it: no fraction where there is none."""
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    if math.isnan(value):
        return "NaN"
    return str(int(value)) if value == int(value) and abs(value) < 1e21 else repr(float(value))
