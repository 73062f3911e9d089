"""Delivery reports (RFC 3464) and refusals by mail as receipts, and the Maildir they arrive in.

A report is mail from anyone: it is read for one ref, one action and one status, and whatever else
it holds is neither kept nor believed.
"""

import re
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from email.message import Message
from email.parser import BytesParser, Parser
from email.policy import compat32
from pathlib import Path

from worker.domain.delivery import AttemptState, Receipt
from worker.domain.errors import Unavailable

MAX_BYTES = 2**20
"""Reports about our mail are a few kB: RET=HDRS asks for the headers only."""

_STATES = {
    "failed": AttemptState.UNDELIVERED,
    "delivered": AttemptState.DELIVERED,
    "relayed": AttemptState.SENT,  # to a server that sends no reports: RFC 3464, 2.3.3
    "expanded": AttemptState.SENT,
    "delayed": None,
}
_RETURN_PATH = re.compile(r"\bbounce\+([A-Za-z0-9._-]+)@", re.IGNORECASE)
_MESSAGE_ID = re.compile(r"^\s*<?([A-Za-z0-9._-]+)@", re.ASCII)
_REF = re.compile(r"[A-Za-z0-9._-]{1,100}")
_STATUS = re.compile(r"\b([245]\.\d{1,3}\.\d{1,3})\b")
_UNSUBSCRIBE = re.compile(r"unsubscribe ([0-9a-f]{32})", re.IGNORECASE)
_XTEXT = re.compile(r"\+([0-9A-F]{2})")
# Reports on SMTPUTF8 mail (RFC 6533). The parser knows only the older type as a list of fields.
_GLOBAL = re.compile(rb"message/global-(delivery-status|headers)", re.IGNORECASE)
_OLDER = {b"delivery-status": b"message/delivery-status", b"headers": b"text/rfc822-headers"}
_SENT_TO = ("Delivered-To", "X-Original-To", "Envelope-To", "To")
_FULL = "5.2.2"  # permanent by its number; people empty their mailboxes all the same


def read_bounce(raw: bytes) -> list[Receipt]:
    """What a delivery report says, a receipt for each recipient block; [] for ordinary mail.

    `ref` is the attempt's, from ENVID or the return path; failing both it is empty and `raw` is
    `message-id:LOCAL`, the left side of the Message-ID, which names the reminder. That one can be
    guessed, so a report which has no more to show never says `delivered`.

    A mail with the subject that List-Unsubscribe offers, `unsubscribe REF`, is a receipt with
    `opted_out`: the person refused messages. Never raises.
    """
    if len(raw) > MAX_BYTES:
        return []
    try:
        return list(_receipts(_parsed(raw)))
    except Exception:  # noqa: BLE001 - mail of strangers: what cannot be read is no report
        return []


def bounces(folder: Path, since: datetime) -> Iterator[tuple[Path, list[Receipt]]]:
    """Each mail in `new/` of a Maildir, oldest first, with what it reports.

    Mail that arrived before `since` is passed over. Record the receipts, then `file_away` or
    `forget` the path: a crash in between yields the mail once more, none is lost. Raises
    Unavailable where the folder cannot be listed, and at the end where a mail could not be read.
    """
    unread = 0
    for path in _arrivals(folder, since):
        try:
            raw = path.read_bytes() if path.stat().st_size <= MAX_BYTES else b""
        except FileNotFoundError:
            continue  # another worker was first
        except OSError:
            unread += 1
            continue
        yield path, read_bounce(raw)
    if unread:
        raise Unavailable(
            f"{folder}/new 中有 {unread} 封退信无法读取；请检查文件权限",
            f"{unread} reports in {folder}/new cannot be read; check the permissions",
        )


def file_away(path: Path) -> None:
    """Move a recorded mail from `new/` to `cur/`, marked as seen; nothing if it is gone."""
    with suppress(FileNotFoundError):
        path.rename(path.parent.parent / "cur" / f"{path.name}:2,S")


def forget(path: Path) -> None:
    """Delete a recorded mail; nothing if it is gone."""
    path.unlink(missing_ok=True)


def _arrivals(folder: Path, since: datetime) -> list[Path]:
    found = []
    try:
        for path in list((folder / "new").iterdir()):
            with suppress(FileNotFoundError):  # another worker was first
                found.append((path.stat().st_mtime, path))
    except OSError as error:
        raise Unavailable(
            f"退信目录 {folder} 无法读取（{error.strerror}）；它须是 Maildir，内有 new/ 和 cur/",
            f"the report folder {folder} cannot be read ({error.strerror}); it must be a Maildir "
            "with new/ and cur/",
        ) from error
    return [path for at, path in sorted(found) if at >= since.timestamp()]


def _parsed(raw: bytes) -> Message:
    older = _GLOBAL.sub(lambda found: _OLDER[found[1].lower()], raw)
    return BytesParser(policy=compat32).parsebytes(older)


def _receipts(message: Message) -> Iterator[Receipt]:
    if message.get_content_type() != "multipart/report":
        yield from _refusals(message)
        return
    blocks = _blocks(message)
    if not blocks:
        return
    ref = _envelope_id(blocks[0]) or _return_path(message, blocks)
    message_id = "" if ref else _message_id(message)
    for block in blocks[1:]:
        if ref or message_id:
            yield _receipt(block, ref, message_id)


def _refusals(message: Message) -> Iterator[Receipt]:
    """The other way to unsubscribe: by mail, to the sender's address (RFC 2369, 3.2)."""
    found = _UNSUBSCRIBE.fullmatch(_field(message, "Subject"))
    if found:
        yield Receipt("", "unsubscribed", None, ref=found[1].lower(), opted_out=True)


def _blocks(message: Message) -> list[Message]:
    """Fields on the message, then fields on each recipient; only what stands directly in it."""
    for part in _parts(message):
        if part.get_content_type() == "message/delivery-status" and part.is_multipart():
            return [block for block in _parts(part) if block.keys()]
    return []


def _parts(message: Message) -> list[Message]:
    payload = message.get_payload()
    return [one for one in payload if isinstance(one, Message)] if isinstance(payload, list) else []


def _receipt(block: Message, ref: str, message_id: str) -> Receipt:
    action = _field(block, "Action").lower().partition(" ")[0]
    state = _STATES.get(action)
    if message_id and state is AttemptState.DELIVERED:
        state = AttemptState.SENT
    status = _STATUS.search(_field(block, "Status")) or _STATUS.search(
        _field(block, "Diagnostic-Code")
    )
    code = status[1] if status else ""
    return Receipt(
        provider_id="",
        ref=ref,
        status=action if action in _STATES else "unknown",
        state=state,
        code=code,
        raw=f"message-id:{message_id}" if message_id else "",
        is_transient=code.startswith("4.") or code == _FULL,
    )


def _envelope_id(block: Message) -> str:
    """ENVID comes back as xtext (RFC 3461, 4)."""
    written = _field(block, "Original-Envelope-Id")
    ref = _XTEXT.sub(lambda found: chr(int(found[1], 16)), written)
    return ref if _REF.fullmatch(ref) else ""


def _return_path(message: Message, blocks: list[Message]) -> str:
    """The ref in the address that the report was sent to (VERP)."""
    lines = [str(line) for name in _SENT_TO for line in message.get_all(name, [])]
    lines += [_field(block, "Original-Recipient") for block in blocks]
    found = next(filter(None, map(_RETURN_PATH.search, lines)), None)
    return found[1] if found else ""


def _message_id(message: Message) -> str:
    """The left side of the returned message's Message-ID."""
    for part in _parts(message):
        if part.get_content_type() == "text/rfc822-headers":
            headers = Parser(policy=compat32).parsestr(str(part.get_payload()), headersonly=True)
        elif part.get_content_type() == "message/rfc822":
            headers = next(iter(_parts(part)), Message())
        else:
            continue
        found = _MESSAGE_ID.match(_field(headers, "Message-ID"))
        return found[1] if found else ""
    return ""


def _field(block: Message, name: str) -> str:
    """One field on one line: servers fold with runs of blanks."""
    return " ".join(str(block.get(name, "")).split())
