"""Putting things in order at the provider: texts it need not keep, messages we do not know."""

import logging
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

from worker.domain.calendar import in_china
from worker.domain.delivery import Channel, Found
from worker.services.context import Context
from worker.store.attempts import Seen, known_provider_ids, move_redaction, redactions_due
from worker.store.receipts import add_orphan, orphans
from worker.store.tables import AttemptRow

log = logging.getLogger(__name__)

_BATCH = 100
_AGAIN = timedelta(hours=6)
_SWEEP_AT = timedelta(hours=3)
"""03:00 Beijing time: yesterday is over, and what was sent at 22:00 has its final state."""


def redact(context: Context, *, now: datetime) -> Counter[str]:
    """Have providers forget the texts of messages that are final; one that refuses is asked again
    six hours later."""
    counts: Counter[str] = Counter()
    with ThreadPoolExecutor(context.send_threads, "redact") as pool:
        while (due := _to_forget(context, now)) and not context.senders.is_stopping:
            answers = list(pool.map(lambda attempt: _forgotten(context, attempt), due))
            with context.db.transaction() as session:
                for attempt, done in zip(due, answers, strict=True):
                    move_redaction(session, attempt.id, None if done else now + _AGAIN)
                    counts["redacted" if done else "refused"] += 1
    return counts


def _to_forget(context: Context, now: datetime) -> list[AttemptRow]:
    with context.db.reading() as session:
        return list(redactions_due(session, now, _BATCH))


def _forgotten(context: Context, attempt: AttemptRow) -> bool:
    """Ask the provider to forget a text; one that is not configured now is asked again later, and
    a message without an id is none it could name."""
    channels = [one for one in context.channels.values() if one.name == attempt.channel_name]
    if not channels or attempt.provider_id is None:
        return attempt.provider_id is None
    try:
        return channels[0].redact(attempt.provider_id)
    except Exception:
        log.exception("attempt.not_redacted", extra={"attempt_id": attempt.id})
        return False


def sweep(context: Context, *, now: datetime) -> Counter[str]:
    """Once a day: compare yesterday's messages at each provider with ours.

    One that is none of ours was sent twice, or by someone else with our account: it is kept as an
    event without an attempt, counted and alerted.
    """
    until = in_china(now).replace(hour=0, minute=0, second=0, microsecond=0)
    since = until - timedelta(days=1)
    counts: Counter[str] = Counter()
    for channel in context.channels.values():
        if channel.caps.can_list:
            counts += _swept(context, channel, since, until, now)
    return counts


def _swept(
    context: Context, channel: Channel, since: datetime, until: datetime, now: datetime
) -> Counter[str]:
    found = _listed(channel, since, until)
    if not found.complete:
        log.warning("sweep.incomplete", extra={"channel": channel.name})
        return Counter({"incomplete": 1})
    counts: Counter[str] = Counter({"compared": len(found.hits)})
    with context.db.transaction() as session:
        known = known_provider_ids(session, channel.name, [hit.provider_id for hit in found.hits])
        strangers = [hit for hit in found.hits if hit.provider_id not in known]
        told = orphans(session, [hit.provider_id for hit in strangers])
        for hit in strangers:
            if hit.provider_id not in told:
                seen = Seen(hit.status, hit.provider_id, hit.code)
                add_orphan(session, "sweep", seen, now=now)
                counts["unknown"] += 1
    if counts["unknown"]:
        extra = {"channel": channel.name, "count": counts["unknown"]}
        log.error("sweep.unknown_messages", extra=extra)
    return counts


def _listed(channel: Channel, since: datetime, until: datetime) -> Found:
    """The provider's list; one that cannot be asked proves nothing, and stops nobody else's."""
    try:
        return channel.listed(since, until)
    except Exception:
        log.exception("sweep.not_listed", extra={"channel": channel.name})
        return Found(complete=False)


def is_sweep_due(last_run_at: datetime | None, now: datetime) -> bool:
    """Whether yesterday was not compared yet, and it is 03:00 or later."""
    today = in_china(now).replace(hour=0, minute=0, second=0, microsecond=0)
    return now >= today + _SWEEP_AT and (last_run_at is None or last_run_at < today + _SWEEP_AT)
