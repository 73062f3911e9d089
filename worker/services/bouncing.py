"""Delivery reports of e-mail, taken from the Maildir where they arrive."""

import logging
from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from worker.channels.bounces import bounces, forget
from worker.domain.delivery import Receipt
from worker.services.context import Context
from worker.services.receipts import take_receipt

log = logging.getLogger(__name__)

_LOOK_BACK = timedelta(days=7)
"""Mail servers give up after five days (RFC 5321 §4.5.4.1); what is older tells us nothing."""


def take_bounces(context: Context, folder: Path | None, *, now: datetime) -> Counter[str]:
    """Apply every report in the Maildir and delete it: it names a person's address.

    Recorded first, deleted then: a crash between the two reads it once more, which changes nothing.
    """
    counts: Counter[str] = Counter()
    if folder is None:
        return counts
    for path, receipts in bounces(folder, now - _LOOK_BACK):
        for receipt in receipts:
            said = take_receipt(
                context, _named(receipt), source="bounce", channel_name="smtp", now=now
            )
            counts[said] += 1
        counts["read"] += 1
        forget(path)
    return counts


def _named(receipt: Receipt) -> Receipt:
    """The receipt under our ref; one that only quotes the Message-ID names the reminder by it."""
    kind, _, reminder_id = receipt.raw.partition("message-id:")
    return receipt if receipt.ref or kind else replace(receipt, ref=reminder_id)
