"""What `/metrics` tells: figures counted by the database at that moment, whichever process did the
work. No case, name, number or text is in them."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from worker import __version__
from worker.domain.calendar import in_china
from worker.domain.reminders import Hours, hours_at
from worker.services.context import Context
from worker.services.operations import EVERY
from worker.store import measuring as counted
from worker.store.database import Session
from worker.store.sms_days import parts_of_day

RUN_BOUNDS = (0.01, 0.1, 1.0, 10.0, 60.0, 300.0)
LATE_BOUNDS = (5.0, 30.0, 60.0, 300.0, 900.0, 3600.0, 21_600.0)

_KINDS = ("lapse", "dated", "step")
"""What a reminder is about, by its priority."""

_SILENCE = timedelta(hours=1)
_SOON = timedelta(hours=24)
_CODE = re.compile(r"[A-Za-z0-9_.-]{1,40}")


@dataclass(frozen=True, slots=True)
class Histogram:
    """How many were within each bound, all of them, and their sum."""

    within: Sequence[int]
    count: int
    total: float


Labels = tuple[str, ...]
Samples = Mapping[Labels, float | Histogram]


@dataclass(frozen=True, slots=True)
class Metric:
    """One family: its samples by label values."""

    name: str
    kind: Literal["gauge", "counter", "histogram"]
    about: str
    labels: tuple[str, ...]
    samples: Samples
    bounds: Sequence[float] = ()


def measure(context: Context, *, now: datetime) -> list[Metric]:
    """Every metric as of `now`. Raises Unavailable."""
    with context.db.reading() as session:
        return [
            *_of_this_installation(context, now),
            *_of_duties(session),
            *_of_reminders(session, now),
            *_of_providers(session, now),
            *_of_centres(session, context, now),
        ]


def _of_this_installation(context: Context, now: datetime) -> Iterator[Metric]:
    national = context.calendars[""]
    yield Metric("qida_build_info", "gauge", "Always 1; which version of what is in force.",
                 ("version", "calendar_version"), {(__version__, national.version): 1})  # fmt: skip
    left = (national.covered_to - in_china(now).date()).days
    yield _one("qida_calendar_horizon_days", "Days to the last one with a holiday notice.", left)


def _of_duties(session: Session) -> Iterator[Metric]:
    rows = counted.runs_of_duties(session)
    yield Metric("qida_job_runs_total", "counter", "Runs of a duty.", ("job", "outcome"),
                 {(duty, state): runs for duty, state, runs, _ in rows})  # fmt: skip
    succeeded: dict[Labels, float] = {
        (duty,): at.timestamp() for duty, state, _, at in rows if state == "ok"
    }
    ran: dict[Labels, float] = {}
    for duty, _, _, at in rows:
        ran[duty,] = max(ran.get((duty,), 0.0), at.timestamp())
    every: dict[Labels, float] = {(duty,): span.total_seconds() for duty, span in EVERY.items()}
    yield _by_job("last_success_timestamp", "When a duty last ended well.", succeeded)
    yield _by_job("interval", "How often a duty runs.", every)
    following: dict[Labels, float] = {
        job: at + every[job] for job, at in ran.items() if job in every
    }
    yield _by_job("next_run_timestamp", "When a duty is expected again.", following)
    took = counted.seconds_of_duties(session, RUN_BOUNDS)
    yield Metric("qida_job_duration_seconds", "histogram", "Runs that found work.", ("job",),
                 {(duty,): _histogram(figures) for duty, *figures in took}, RUN_BOUNDS)  # fmt: skip


def _of_reminders(session: Session, now: datetime) -> Iterator[Metric]:
    ended = counted.reminders_ended(session)
    yield Metric("qida_reminders_total", "counter", "Reminders that came to an end, by which.",
                 ("channel", "kind", "outcome"),
                 {(channel, _KINDS[about], state): count
                  for channel, about, state, count in ended})  # fmt: skip
    # Outside the allowed hours nothing waits for us: it waits for the morning
    due = counted.reminders_due(session, now) if hours_at(now) is Hours.ALLOWED else []
    waiting = dict.fromkeys(_KINDS, 0) | {_KINDS[about]: count for about, count, _ in due}
    yield Metric("qida_reminders_due", "gauge", "Reminders that should have left by now.",
                 ("kind",), {(kind,): count for kind, count in waiting.items()})  # fmt: skip
    oldest = max(((now - at).total_seconds() for *_, at in due), default=0.0)
    yield _one("qida_oldest_due_reminder_age_seconds", "How long the oldest of them waits.", oldest)
    late = counted.lateness(session, LATE_BOUNDS)
    yield Metric("qida_reminder_lateness_seconds", "histogram", "First attempt after due instant.",
                 ("kind",), {(_KINDS[about],): _histogram(figures) for about, *figures in late},
                 LATE_BOUNDS)  # fmt: skip
    nobody = counted.lapses_nobody_knows(session, now, now + _SOON)
    yield Metric("qida_deadlines_at_risk", "gauge",
                 "Lapses within 24 hours that nobody was told of, by message or telephone.",
                 ("kind",), {("lapse",): nobody})  # fmt: skip


def _of_providers(session: Session, now: datetime) -> Iterator[Metric]:
    answers: dict[Labels, float] = {}
    for provider, state, code, count in counted.provider_answers(session):
        labels = provider, _code(state, code)
        answers[labels] = answers.get(labels, 0) + count
    yield Metric("qida_provider_requests_total", "counter", "Attempts by what became of them.",
                 ("provider", "code"), answers)  # fmt: skip
    missing = counted.receipts_missing(session, now - _SILENCE)
    yield Metric("qida_receipts_missing", "gauge",
                 "Messages taken over an hour ago of which nothing final was heard.", ("channel",),
                 dict.fromkeys((("sms",), ("email",)), 0)
                 | {(channel,): count for channel, count in missing})  # fmt: skip


def _of_centres(session: Session, context: Context, now: datetime) -> Iterator[Metric]:
    centres = context.centres
    tasks = {(one,): 0 for one in centres} | {(one,): n for one, n in counted.calls_open(session)}
    yield Metric("qida_call_tasks_open", "gauge", "People to be telephoned.", ("centre",), tasks)
    used = parts_of_day(session, [*centres], in_china(now).date())
    yield Metric("qida_sms_parts_today", "gauge", "SMS parts sent since midnight, in China.",
                 ("centre",), {(one,): parts for one, parts in used.items()})  # fmt: skip
    yield Metric("qida_sms_parts_cap", "gauge", "SMS parts a centre may send in a day.",
                 ("centre",),
                 {(one.id,): one.sms_parts_per_day for one in centres.values()})  # fmt: skip


def _code(state: str, code: str) -> str:
    """A provider's code as it is; of sentences and of success the state, for labels stay few."""
    return code if code and _CODE.fullmatch(code) else state


def _histogram(figures: Iterable[float | None]) -> Histogram:
    *within, count, total = (figure or 0 for figure in figures)
    return Histogram([int(one) for one in within], int(count), max(float(total), 0.0))


def _by_job(name: str, about: str, samples: Mapping[Labels, float]) -> Metric:
    return Metric(f"qida_job_{name}_seconds", "gauge", about, ("job",), samples)


def _one(name: str, about: str, value: float) -> Metric:
    return Metric(name, "gauge", about, (), {(): value})
