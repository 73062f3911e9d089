"""Which rows of a case cannot be taken, told before any is written: its cell, why, the mend."""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import NamedTuple

from worker.domain.centres import Centre
from worker.domain.contacts import PhonePolicy
from worker.domain.errors import Fault, Text, worded_place
from worker.domain.rules import Procedure
from worker.rosters import RosterRow, not_allowed
from worker.services.context import Context


class Sifted(NamedTuple):
    """The rows that can be taken, the case's procedure if there is any, and all else's faults."""

    taken: list[RosterRow]
    procedure: Procedure | None
    faults: list[Fault]


def sift(context: Context, centre_id: str, rows: Sequence[RosterRow], stored: str = "") -> Sifted:
    """Tell rows that fit their case from those that do not.

    `stored` is the procedure a case on file runs under. A new case runs under the first one its
    rows name that the centre offers; what it needs besides must be in the rows that remain.
    Raises BadData where the procedure of a case on file is no longer there.
    """
    centre = context.centre(centre_id)
    offered = context.rulebook.procedures.keys() & set(centre.procedures)
    first = None if stored else next((row for row in rows if row.procedure in offered), None)
    named = (first.procedure if first else stored) or ""
    procedure = context.procedure(named) if named else None
    taken: list[RosterRow] = []
    faults: list[Fault] = []
    for row in rows:
        fault = _wrong_procedure(context, centre, row, named, first)
        fault = fault or _wrong_bank(centre, row, procedure) or _wrong_phone(context, centre, row)
        if fault:
            faults.append(fault)
        else:
            taken.append(row)
    if taken and not stored and (lacking := _lacking(taken, procedure, centre)):
        rest = taken if faults else taken[1:]
        faults = faults or [lacking]
        return Sifted([], procedure, faults + left_with(rest, faults[0].place))
    return Sifted(taken, procedure, faults)


def phones_of(context: Context, centre_id: str) -> PhonePolicy:
    """Which numbers a centre takes. Raises BadData where there is no such centre."""
    centre = context.centre(centre_id)
    return PhonePolicy(context.simulated, centre.abroad_numbers, centre.landline_numbers)


def any_centres_phones(context: Context) -> PhonePolicy:
    """Which numbers some centre takes: whose row it is shows only once it is read."""
    each = [phones_of(context, centre_id) for centre_id in context.centres]
    abroad, landline = any(one.abroad for one in each), any(one.landline for one in each)
    return PhonePolicy(context.simulated, abroad, landline)


def _wrong_phone(context: Context, centre: Centre, row: RosterRow) -> Fault | None:
    """A kind of number that this centre does not take, though another one may."""
    policy = phones_of(context, centre.id)
    for name in ("phone", "second_phone"):
        phone = getattr(row, name)
        if phone and (refusal := not_allowed(phone, policy)):
            return refusal.at(row.at(name))
    return None


def left_with(rows: Iterable[RosterRow], place: str) -> list[Fault]:
    """Faults of rows that have none of their own, but whose case cannot be opened."""
    said = Text("该案件没有登记，这一行也没有", "its case was not enrolled, nor was this row")
    there = worded_place(place)
    mend = Text(f"请先改好 {there.zh}", f"mend {there.en} first")
    return [Fault(row.place, said, mend, code="case.not_opened") for row in rows]


def first_filled(rows: Iterable[RosterRow], name: str) -> str:
    """The first value a column holds, empty if none."""
    return next((value for row in rows if (value := getattr(row, name))), "")


def wrong_centre(context: Context, row: RosterRow, centre_id: str) -> Fault | None:
    """Why a row belongs to no centre."""
    if centre_id in context.centres:
        return None
    known = sorted(context.centres)
    said = Text("没有写明网点，而网点不止一个", "which centre? there are several")
    if centre_id:
        said = Text(f"没有网点「{centre_id}」", f"no centre {centre_id!r}")
    listed = Text(f"网点列可填：{'、'.join(known)}", f"centre is one of: {', '.join(known)}")
    return Fault(row.at("centre"), said, listed, code="centre.unknown")


def _wrong_procedure(
    context: Context, centre: Centre, row: RosterRow, named: str, first: RosterRow | None
) -> Fault | None:
    """Why a row's procedure cannot be its case's: none, not here, or not that of the case.

    `first` is the row of this file that names the case's; None where the case is on file.
    """
    own = row.procedure
    if not own or own == named:
        return None
    if own not in context.rulebook.procedures:
        return _without_rules(context, centre, row, own)
    if own not in centre.procedures:
        said = Text(f"网点 {centre.id} 不办理业务{_title(context, own)}",
                    f"centre {centre.id} has no {own}")  # fmt: skip
        return Fault(row.at("procedure"), said, _offered(context, centre), own, "procedure.other")
    of_case, mine = _title(context, named), _title(context, own)
    said = Text(
        f"该案件已按业务{of_case}登记，这一行写的是{mine}",
        f"the case is under {named}, and this row names {own}",
    )
    if first is not None:
        there = worded_place(first.place)
        said = Text(
            f"{there.zh} 为同一编号写的业务是{of_case}，这一行却是{mine}",
            f"{there.en} puts this reference under {named}, and this row names {own}",
        )
    mend = Text(
        f"请把业务改为 {named} 或留空；如确是另一项业务，请另用一个编号",
        f"write {named} or leave it empty; another matter needs a reference of its own",
    )
    return Fault(row.at("procedure"), said, mend, code="procedure.changed")


def _without_rules(context: Context, centre: Centre, row: RosterRow, own: str) -> Fault:
    """The cell is repeated only where it is close to a known word, so nothing personal."""
    if own in centre.procedures:
        said = Text(f"业务 {own} 没有生效的规则", f"no rules of {own} are in force")
        mend = Text("请用 qida rules check 检查规则文件", "qida rules check tells what is wrong")
        return Fault(row.at("procedure"), said, mend, code="procedure.without_rules")
    near = _nearest(context, centre, own)
    if not near:
        said = Text("没有这种业务", "there is no such procedure")
        return Fault(row.at("procedure"), said, _offered(context, centre), code="procedure.unknown")
    said = Text(f"没有业务 {own}", f"no procedure {own}")
    mend = Text(f"是否想写 {near}{_title(context, near, '')}？", f"did you mean {near}?")
    return Fault(row.at("procedure"), said, mend, code="procedure.unknown")


def _nearest(context: Context, centre: Centre, written: str) -> str:
    """The procedure somebody may have meant by its id, its title or its region; else empty."""
    words: dict[str, str] = {}
    for name in reversed(centre.procedures):
        procedure = context.rulebook.procedures.get(name)
        if procedure is not None:
            words |= {procedure.title.zh: name, procedure.region.zh: name, name: name}
    near = get_close_matches(written.casefold(), words, n=1)
    return words[near[0]] if near else ""


def _offered(context: Context, centre: Centre) -> Text:
    known = [name for name in centre.procedures if name in context.rulebook.procedures]
    return Text(
        f"可填：{'、'.join(name + _title(context, name, '') for name in known)}",
        f"it offers: {', '.join(known)}",
    )


def _title(context: Context, name: str, between: str = "「{title}」（{name}）") -> str:
    """A procedure in a Chinese sentence: 「成都社保卡挂失补办」（chengdu）."""
    procedure = context.rulebook.procedures.get(name)
    title = procedure.title.zh if procedure else name
    return between.format(title=title, name=name) if between else f"（{title}）"


def _wrong_bank(centre: Centre, row: RosterRow, procedure: Procedure | None) -> Fault | None:
    """The bank sets a period and is none of the centre's. Its cell is never repeated."""
    if not row.bank or row.bank in centre.banks or not _needs_bank(procedure):
        return None
    said = Text("本网点没有登记这家银行", "this centre's file does not hold that bank")
    return Fault(row.at("bank"), said, _banks(centre, row.bank), code="bank.unknown")


def _needs_bank(procedure: Procedure | None) -> bool:
    return procedure is not None and any(rule.period_of_bank for rule in procedure.rules)


def _banks(centre: Centre, written: str = "") -> Text:
    near = get_close_matches(written, centre.banks, n=1)
    if near:
        return Text(f"是否想写「{near[0]}」？", f"did you mean {near[0]}?")
    if centre.banks:
        known = centre.banks
        return Text(f"银行列可填：{'、'.join(known)}", f"bank is one of: {', '.join(known)}")
    file = f"config/centres/{centre.id}.yaml"
    return Text(
        f"请先在 {file} 的 banks 中写明银行及其期限", f"first list it with its period in {file}"
    )


def _lacking(
    rows: Sequence[RosterRow], procedure: Procedure | None, centre: Centre
) -> Fault | None:
    """What a new case needs and none of its rows holds."""
    first = rows[0]
    if procedure is None:
        said = Text("新案件没有写明业务", "a new case names no procedure")
        mend = Text(
            "请在该案件的第一行填写「业务」列；如果那一行另有错误，请先改好它",
            "fill in procedure on the case's first row; if that one is refused, mend it first",
        )
        return Fault(first.at("procedure"), said, mend, code="procedure.missing")
    if not any(row.phone or row.email for row in rows):
        said = Text("新案件没有手机也没有邮箱", "a new case has neither phone nor e-mail")
        mend = Text("请至少填写手机或邮箱", "give a phone number or an e-mail address")
        return Fault(first.at("phone"), said, mend, code="contact.missing")
    if _needs_bank(procedure) and not first_filled(rows, "bank"):
        said = Text(
            f"业务「{procedure.title.zh}」（{procedure.id}）的期限由银行规定，没有写明银行",
            f"the bank sets the periods of {procedure.id}: name a bank of this centre",
        )
        return Fault(first.at("bank"), said, _banks(centre), code="bank.missing")
    return None
