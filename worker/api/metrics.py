"""`/metrics`: the figures of `worker.services.measuring` for Prometheus, to an operator's key."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter
from fastapi.responses import Response

from worker.api.answers import problems
from worker.api.callers import MetricsVisit
from worker.clock import monotonic
from worker.services.measuring import Histogram, Metric, measure

if TYPE_CHECKING:
    from prometheus_client.core import Metric as Family

_KEPT = 10.0  # seconds
_SHARE = 20
"""Counting may take a twentieth of one core: what took long to count is kept for long."""

_TEXT: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The exposition format of Prometheus.",
        "content": {"text/plain": {"schema": {"type": "string"}}},
    }
}


def metering() -> APIRouter:
    """The route, with the figures it counted last."""
    router, scrape = APIRouter(tags=["operators"]), Scrape()

    @router.get(
        "/metrics",
        summary="监控指标 · Figures for Prometheus",
        response_class=Response,
        responses=_TEXT | problems(),
    )
    def show_metrics(visit: MetricsVisit) -> Response:
        """Counted by the database at most ten seconds ago, whichever process did the work."""
        return Response(scrape.text(visit), media_type=_CONTENT_TYPE)

    return router


_CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(slots=True)
class Scrape:
    """What was counted last. Many who ask count once; and counters never fall, though rows behind
    them are dropped when their time is over."""

    _text: bytes = b""
    _good_until: float = 0.0
    _counters: dict[str, Mapping[tuple[str, ...], float]] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def text(self, visit: MetricsVisit) -> bytes:
        """The exposition. Raises Unavailable."""
        with self._lock:
            begun = monotonic()
            if begun >= self._good_until:
                found = measure(visit.context, now=visit.now)
                self._text = _exposition([self._never_falling(one) for one in found])
                took = monotonic() - begun
                self._good_until = begun + max(_KEPT, took * _SHARE)
            return self._text

    def _never_falling(self, metric: Metric) -> Metric:
        if metric.kind != "counter":
            return metric
        told = self._counters.get(metric.name, {})
        now = {labels: value for labels, value in metric.samples.items()
               if not isinstance(value, Histogram)}  # fmt: skip
        highest = {one: max(told.get(one, 0.0), now.get(one, 0.0)) for one in {**told, **now}}
        self._counters[metric.name] = highest
        return replace(metric, samples=highest)


def _exposition(metrics: Iterable[Metric]) -> bytes:
    # Heavy, and no other route needs it
    from prometheus_client import (
        CollectorRegistry,
        ProcessCollector,
        disable_created_metrics,
        generate_latest,
    )

    disable_created_metrics()  # type: ignore[no-untyped-call]  # a series of its own for each counter, of no use here
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Counted([_family(one) for one in metrics]))
    ProcessCollector(registry=registry)
    return generate_latest(registry)


class _Counted:
    """Families as a collector of the library gives them."""

    def __init__(self, families: Iterable["Family"]) -> None:
        self._families = list(families)

    def collect(self) -> Iterator["Family"]:
        """All of them."""
        return iter(self._families)


def _family(metric: Metric) -> "Family":
    from prometheus_client.core import (
        CounterMetricFamily,
        GaugeMetricFamily,
        HistogramMetricFamily,
    )

    if metric.kind == "histogram":
        histogram = HistogramMetricFamily(metric.name, metric.about, labels=metric.labels)
        for labels, value in metric.samples.items():
            if isinstance(value, Histogram):
                histogram.add_metric(labels, _buckets(metric, value), value.total)
        return histogram
    kind = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
    family = kind(metric.name, metric.about, labels=metric.labels)
    for labels, value in metric.samples.items():
        if not isinstance(value, Histogram):
            family.add_metric(labels, value)
    return family


def _buckets(metric: Metric, value: Histogram) -> list[tuple[str, float]]:
    bounds = [(str(bound), float(count))
              for bound, count in zip(metric.bounds, value.within, strict=True)]  # fmt: skip
    return [*bounds, ("+Inf", float(value.count))]
