"""Delivery reports of e-mail, taken from the Maildir where they arrive."""

import logging
from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from worker.channels.bounces import bounces, file_away, forget
from worker.domain.delivery import Receipt
from worker.services.context import Context
from worker.services.receipts import take_receipt

log = logging.getLogger(__name__)

_LOOK_BACK = timedelta(days=3650)
"""Whatever lies there is read and deleted, since it names addresses; a late report does no harm."""


def take_bounces(context: Context, folder: Path | None, *, now: datetime) -> Counter[str]:
    """Apply every report in the Maildir and delete it: it names a person's address.

    Recorded first, deleted then: a crash between the two reads it once more, which changes nothing.
    """
    counts: Counter[str] = Counter()
    if folder is None:
        return counts
    for path, receipts in bounces(folder, now - _LOOK_BACK):
        try:
            for receipt in receipts:
                counts[_taken(context, receipt, now)] += 1
        except Exception:  # mail is from anyone: one must not stand before all others
            if not context.db.is_there():
                raise
            log.exception("bounce.not_taken")
            counts["not_taken"] += 1
            file_away(path)
            continue
        counts["read"] += 1
        forget(path)
    return counts


def _taken(context: Context, receipt: Receipt, now: datetime) -> str:
    return take_receipt(context, _named(receipt), source="bounce", channel_name="smtp", now=now)


def _named(receipt: Receipt) -> Receipt:
    """The receipt under our ref; one that only quotes the Message-ID names the reminder by it."""
    kind, _, reminder_id = receipt.raw.partition("message-id:")
    return receipt if receipt.ref or kind else replace(receipt, ref=reminder_id)
