"""Opting out: an address that refuses messages gets none; its case goes on by the next means.

An SMS to the mainland cannot be answered (https://www.twilio.com/en-us/guidelines/cn/sms), so
people refuse by a link in an e-mail, at a counter, or through the provider's own register. What is
kept is a keyed hash of the address, which outlives the case.
"""

from datetime import datetime
from typing import Literal

from worker.domain.errors import BadData
from worker.services.context import Context
from worker.store.audit import Entry, append_audit
from worker.store.cases import case_files, contact
from worker.store.receipts import add_opt_out, attempt_by_ref, remove_opt_out

Kind = Literal["sms", "email"]


def opt_out_by_link(context: Context, ref: str, *, now: datetime) -> bool:
    """Whoever got the message with this `ref` wants no more from that centre at that address.

    False where no message carries the ref, or the person's data was erased since.
    """
    with context.db.transaction() as session:
        attempt = attempt_by_ref(session, ref)
        if attempt is None or not attempt.address_index:  # erased: nobody knows whose it was
            return False
        add_opt_out(session, attempt.address_index, attempt.centre_id, "link", now)
        return True


def opt_out_at_counter(
    context: Context, case_id: str, kind: Kind, *, undo: bool, actor: str, now: datetime
) -> None:
    """A citizen said at the counter, or by telephone, that this centre is to send no more to the
    case's number or address; with `undo` that it may again. Audited.

    Raises BadData where the case has no such address.
    """
    with context.db.transaction() as session:
        case = case_files(session, [case_id])[case_id].case
        address = contact(context.keys, case, "citizen", kind)
        if not address:
            raise BadData(
                f"案件没有登记{'手机' if kind == 'sms' else '邮箱'}",
                f"the case has no {'phone number' if kind == 'sms' else 'e-mail address'}",
            )
        index = context.keys.index(address, centre_id="")
        if undo:
            remove_opt_out(session, index, case.centre_id)
        else:
            add_opt_out(session, index, case.centre_id, "counter", now)
        action = "opt_out.taken_back" if undo else "opt_out.recorded"
        append_audit(session, Entry(case.centre_id, now, actor, action, case.id, {"channel": kind}))
