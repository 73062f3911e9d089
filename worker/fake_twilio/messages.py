"""The messages the stand-in holds, the way each of them goes, and how they are found again."""

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

FINAL = frozenset({"delivered", "undelivered", "failed", "canceled", "read"})
"""Nothing follows one of these of itself."""

SENT = frozenset({"sent", "delivered", "undelivered", "read", "partially_delivered"})
"""It left for the network: `date_sent` and `price` are known from here on."""

_WAY = ("scheduled", "accepted", "queued", "sending", "sent")

_GSM_7 = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_GSM_7_TWICE = frozenset("\f^{}\\[~]|€")


@dataclass(slots=True)
class Message:
    """One message as Twilio keeps it; `number` counts them in order of arrival."""

    sid: str
    account: str
    to: str
    sender: str | None
    service: str | None
    body: str
    callback: str
    status: str
    created_at: datetime
    updated_at: datetime
    listed_at: datetime
    sent_at: datetime | None = None
    error_code: int | None = None
    number: int = 0

    @property
    def is_final(self) -> bool:
        """Whether nothing follows of itself."""
        return self.status in FINAL

    def move(self, status: str, code: int | None, at: datetime) -> None:
        """Give it a status. A code is never taken back."""
        self.status, self.updated_at = status, at
        self.error_code = code or self.error_code
        if status in SENT and self.sent_at is None:
            self.sent_at = at


def way_to(end: str, after: str) -> tuple[str, ...]:
    """The statuses that follow `after` until `end`, which may be any word.

    A message that failed was never sent; one that was read was delivered before.
    """
    rest = _WAY[_WAY.index(after) + 1 :]
    if end == after:
        return ()
    if end in rest:
        return rest[: rest.index(end) + 1]
    if end == "failed":
        return (*rest[:-1], end)
    return (*rest, "delivered", end) if end == "read" else (*rest, end)


def segments_of(body: str) -> int:
    """How many parts a text makes: GSM 7-bit if every character is of it, else UCS-2."""
    if all(character in _GSM_7 or character in _GSM_7_TWICE for character in body):
        units, alone, joined = len(body) + sum(c in _GSM_7_TWICE for c in body), 160, 153
    else:
        units, alone, joined = len(body.encode("utf-16-le")) // 2, 70, 67
    return 1 if units <= alone else -(-units // joined)


class Book:
    """Every message by sid, in order of arrival, and by recipient."""

    def __init__(self) -> None:
        self._by_sid: dict[str, Message] = {}
        self._in_order: list[Message] = []
        self._by_recipient: dict[str, list[Message]] = {}
        self._taken = 0

    def __len__(self) -> int:
        return len(self._by_sid)

    def add(self, message: Message) -> None:
        """Take it in as the newest."""
        self._taken += 1
        message.number = self._taken
        self._by_sid[message.sid] = message
        self._in_order.append(message)
        self._by_recipient.setdefault(message.to, []).append(message)

    def get(self, sid: str) -> Message | None:
        """The message of a sid."""
        return self._by_sid.get(sid)

    def remove(self, message: Message) -> None:
        """Forget it."""
        del self._by_sid[message.sid]
        self._in_order.remove(message)
        self._by_recipient[message.to].remove(message)

    def newest_first(
        self, to: str | None = None, before: Message | None = None
    ) -> Iterator[Message]:
        """All of them, or one recipient's, from the newest on or from just before another one."""
        messages = self._in_order if to is None else self._by_recipient.get(to, [])
        end = len(messages)
        if before is not None:
            end = bisect_left(messages, before.number, key=lambda message: message.number)
        return (messages[at] for at in range(end - 1, -1, -1))
