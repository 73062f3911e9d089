"""The team: the only people whom the cases of a centre's team keys may be written to.

They are listed in the centre's file, and asked about twice: when a case is handed in, and again
just before a message is claimed, since the list may have changed in between.
"""

from collections.abc import Iterable, Iterator

from worker.domain.contacts import PhonePolicy
from worker.domain.errors import Fault, Text
from worker.rosters import RosterRow, read_email, read_phone
from worker.services.context import Context

NOT_LISTED = "not_on_team_list"
"""Why a trial's message is not sent: the list changed since it was planned."""

_NOT_LISTED = Text(
    "team 密钥只能发给网点文件 team 名单中的号码和邮箱",
    "a team key writes only to the numbers and addresses that the centre's file lists as team",
)
_MEND = Text(
    "请改用名单中的联系方式，或把它写入 config/centres 中该网点的 team",
    "use one of the list, or add it to team in the centre's file under config/centres",
)


def team_of(context: Context, centre_id: str) -> frozenset[str]:
    """Their numbers and addresses, written as those of cases are."""
    policy = PhonePolicy(sandbox=context.simulated, abroad=True, landline=True)
    read = (
        read_email(one) if "@" in one else read_phone(one, policy)
        for one in context.centre(centre_id).team
    )
    return frozenset(one for one in read if isinstance(one, str))


def not_on_team_list(
    context: Context, centre_id: str, rows: Iterable[RosterRow]
) -> Iterator[Fault]:
    """A fault for every address of a trial that is not on the list; none repeats it."""
    team = team_of(context, centre_id)
    for row in rows:
        for name in ("phone", "email", "second_phone"):
            address = getattr(row, name)
            if address and address not in team:
                yield Fault(row.at(name), _NOT_LISTED, _MEND, code="contact.not_on_team_list")


def wrong_hands(row: RosterRow, *, is_trial: bool) -> Fault:
    """Why a row cannot change a case: it is a trial and the row is not of a team key, or it is a
    citizen's and the row is."""
    said = _OF_THE_TEAM if is_trial else _OF_A_CITIZEN
    return Fault(row.at("reference"), said, _ANOTHER_REFERENCE, code="case.team")


_OF_THE_TEAM = Text(
    "该编号是 team 密钥的试用案件，只能用 team 密钥更改",
    "this reference is a trial of a team key, which alone may change it",
)
_OF_A_CITIZEN = Text(
    "该编号已是正式案件，team 密钥不能更改",
    "this reference is a citizen's case, which a team key may not change",
)
_ANOTHER_REFERENCE = Text("请换一个编号", "use another reference")
