"""Every figure that a service tells of itself: its name, its labels and what it means, and how it is counted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:  # its import takes longer than all the rest of some services, and most count nothing
    from prometheus_client import Counter, Gauge, Histogram

COUNTER: Final = "counter"
GAUGE: Final = "gauge"
HISTOGRAM: Final = "histogram"
_WEB: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


@dataclass(frozen=True, slots=True)
class Figure:
    """One metric. Its labels take words of ours only, of which there are so many and no more."""

    name: str
    kind: str
    labels: tuple[str, ...]
    meaning: str
    told_by: str = "all"


def _figure(name: str, kind: str, labels: str, meaning: str, told_by: str = "all") -> Figure:
    return Figure(f"trunkline_{name}", kind, tuple(labels.split()), meaning, told_by)


FIGURES: Final = (
    _figure("build_info", GAUGE, "service version", "Always 1; says which version runs."),
    _figure("ready", GAUGE, "", "1 while it does its work: the bus is reached, everything is heard, it does not stop."),
    _figure("bus_connected", GAUGE, "", "1 while nats-server is reached."),
    _figure("bus_reconnects_total", COUNTER, "", "How often the connection to nats-server was made anew."),
    _figure("commands_total", COUNTER, "verb outcome", "Commands answered; `accepted`, or the kind of the refusal."),
    _figure("command_seconds", HISTOGRAM, "verb", "From the arrival of a command to its answer."),
    _figure("deliveries_total", COUNTER, "consumer outcome", "Facts, timers and work taken up; `done`, `failed` or `left`."),
    _figure("redeliveries_total", COUNTER, "consumer", "Those of them that had been handed out before."),
    _figure("dead_letters_total", COUNTER, "consumer", "What was given up on and lies on the desk of dead letters."),
    _figure("appends_refused_total", COUNTER, "why", "Facts not stored: `raced` by another writer, or the bus was `away`."),
    _figure("consumer_pending", GAUGE, "consumer", "Messages that wait to be handed out for the first time: the lag."),
    _figure("consumer_unacknowledged", GAUGE, "consumer", "Messages handed out to some replica and not done."),
    _figure("lines_unanswered_total", COUNTER, "pool lane", "Questions for released tasks that nats-server did not answer in time."),
    _figure("spans_dropped_total", COUNTER, "", "Spans that were kept for nobody, for want of room or of a bus."),
    _figure("http_requests_total", COUNTER, "method route status", "Requests answered.", "gateway"),
    _figure("http_request_seconds", HISTOGRAM, "route", "From the request to its answer; streams are left out.", "gateway"),
    _figure("streams_open", GAUGE, "", "Readers that follow something now.", "gateway"),
    _figure("work", GAUGE, "pool lane", "Released tasks that wait for an agent or are carried out: scale on it.", "router"),
    _figure("log_whole", GAUGE, "", "0 once this relay found the log changed, or cannot sign for it now; else 1.", "relay"),
    _figure("runs", GAUGE, "", "Runs that this replica carries out now.", "sandbox"),
)


class Meters(Protocol):
    """Where a service counts."""

    def count(self, figure: str, *labels: str, by: int = 1) -> None: ...

    def took(self, figure: str, seconds: float, *labels: str) -> None: ...

    def show(self, figure: str, value: float, *labels: str) -> None:
        """What a gauge stands at."""
        ...

    def forget(self, figure: str) -> None:
        """Of a gauge what was shown before."""
        ...

    def ask(self, figure: str, value: Callable[[], float]) -> None:
        """What a gauge stands at is asked for whenever somebody looks."""
        ...


class Uncounted:
    """Where nobody looks."""

    def count(self, figure: str, *labels: str, by: int = 1) -> None: ...

    def took(self, figure: str, seconds: float, *labels: str) -> None: ...

    def show(self, figure: str, value: float, *labels: str) -> None: ...

    def forget(self, figure: str) -> None: ...

    def ask(self, figure: str, value: Callable[[], float]) -> None: ...


class Counted:
    """Counts with prometheus_client, which is imported with the first of these."""

    def __init__(self, service: str, version: str) -> None:
        import prometheus_client as prometheus

        self._registry = prometheus.CollectorRegistry()
        prometheus.ProcessCollector(registry=self._registry)
        self._write = prometheus.generate_latest
        self.type = prometheus.CONTENT_TYPE_PLAIN_0_0_4
        kinds: dict[str, Callable[[Figure], Counter | Gauge | Histogram]] = {
            COUNTER: lambda one: prometheus.Counter(one.name, one.meaning, one.labels, registry=self._registry),
            GAUGE: lambda one: prometheus.Gauge(one.name, one.meaning, one.labels, registry=self._registry),
            HISTOGRAM: lambda one: prometheus.Histogram(one.name, one.meaning, one.labels, registry=self._registry, buckets=_WEB),
        }
        told = (one for one in FIGURES if one.told_by in ("all", service))
        self._figures = {one.name.removeprefix("trunkline_"): kinds[one.kind](one) for one in told}
        self._bound: dict[tuple[str, ...], Counter | Gauge | Histogram] = {}
        self.show("build_info", 1, service, version)

    def count(self, figure: str, *labels: str, by: int = 1) -> None:
        self._child(figure, labels).inc(by)  # type: ignore[union-attr]  # a counter, by its name

    def took(self, figure: str, seconds: float, *labels: str) -> None:
        self._child(figure, labels).observe(seconds)  # type: ignore[union-attr]  # a histogram

    def show(self, figure: str, value: float, *labels: str) -> None:
        self._child(figure, labels).set(value)  # type: ignore[union-attr]  # a gauge

    def forget(self, figure: str) -> None:
        self._figures[figure].clear()
        for name in [name for name in self._bound if name[0] == figure]:
            del self._bound[name]

    def ask(self, figure: str, value: Callable[[], float]) -> None:
        self._figures[figure].set_function(value)  # type: ignore[union-attr]  # a gauge

    def text(self) -> bytes:
        """As Prometheus reads it."""
        return self._write(self._registry)

    def _child(self, figure: str, labels: tuple[str, ...]) -> Counter | Gauge | Histogram:
        """Remembered: to find it by its labels takes three times as long as to count."""
        name = (figure, *labels)
        child = self._bound.get(name)
        if child is None:
            whole = self._figures[figure]
            child = self._bound[name] = whole.labels(*labels) if labels else whole
        return child
