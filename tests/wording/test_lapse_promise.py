"""A lapse message prints `act_by` and never a later instant, whatever the deadline."""

import re
from datetime import date, datetime, time, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from worker.domain.calendar import CHINA, midnight
from worker.domain.centres import Centre
from worker.domain.deadlines import Deadline
from worker.domain.rules import Procedure, Rule, RuleKind
from worker.domain.steps import NAMED_STEPS
from worker.domain.wording import Matter, variables
from worker.templating import Templates

STEPS = sorted({*NAMED_STEPS[RuleKind.LAPSE], "moved"})
MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()  # noqa: SIM905 - reads better
ZH = re.compile(r"(?:(\d{4})年)?(\d{1,2})月(\d{1,2})日(?:周([一二三四五六日]))?(?:(\d\d):(\d\d))?")
EN = re.compile(
    r"(?:(\d\d):(\d\d) )?(Mon|Tue|Wed|Thu|Fri|Sat|Sun) (\d{1,2}) (" + "|".join(MONTHS) + r")"
    r"(?: (\d{4}))?"
)
CALLED_THE_LAST_DAY = re.compile(
    "今天是最后一天|今天截止|today is the last day|last day today", re.IGNORECASE
)
ANY_TIME = re.compile(r"\d{1,2}:\d\d|\d{4}-\d\d-\d\d|\d{1,2}/\d{1,2}")


def told(text: str, now: datetime) -> list[tuple[date, time | None]]:
    """Every day a text names, with the time beside it."""
    found: list[tuple[date, time | None]] = []
    for year, month, day, weekday, hour, minute in ZH.findall(text):
        on = date(int(year or now.year), int(month), int(day))
        assert weekday == "一二三四五六日"[on.weekday()]
        found.append((on, time(int(hour), int(minute)) if hour else None))
    for hour, minute, weekday, day, month, year in EN.findall(text):
        on = date(int(year or now.year), MONTHS.index(month) + 1, int(day))
        assert weekday == f"{on:%a}"
        found.append((on, time(int(hour), int(minute)) if hour else None))
    times = [at for _, at in found if at is not None]
    assert len(ANY_TIME.findall(text)) == len(times), "a time or a date in no known form"
    return found


STARTS = st.datetimes(datetime(2026, 1, 1), datetime(2030, 12, 31)).map(  # noqa: DTZ001 - zone next
    lambda naive: naive.replace(tzinfo=CHINA)
)
SPANS = st.timedeltas(timedelta(minutes=1), timedelta(days=12))


@st.composite
def lapses(draw: st.DrawFn) -> tuple[Deadline, datetime, datetime]:
    """A deadline, the next opening, and an instant at which it may be told."""
    start = draw(STARTS)
    act_by = start + draw(SPANS)
    earliest = act_by + draw(SPANS)
    ends = earliest + draw(SPANS)
    latest = ends + draw(SPANS)
    last_date = draw(st.sampled_from([None, ends.date()]))
    stranded = draw(st.booleans())
    deadline = Deadline(
        "", start, ends, last_date, earliest, latest, draw(st.booleans()), ends.date(),
        None if stranded else act_by, None,
    )  # fmt: skip
    now = start + draw(st.floats(0, 1)) * (act_by - start)
    return deadline, latest + draw(SPANS), now


def rules_of(procedures: tuple[Procedure, ...]) -> list[tuple[Procedure, Rule]]:
    return [
        (procedure, rule)
        for procedure in procedures
        for rule in procedure.rules
        if rule.kind is RuleKind.LAPSE
    ]


@settings(max_examples=1000, deadline=None)
@given(lapses(), st.data())
def test_a_lapse_message_names_act_by_and_nothing_later(
    shipped: Templates, procedures: tuple[Procedure, ...], centre: Centre,
    lapse: tuple[Deadline, datetime, datetime], data: st.DataObject,
) -> None:  # fmt: skip
    deadline, opening, now = lapse
    procedure, rule = data.draw(st.sampled_from(rules_of(procedures)))
    step = data.draw(st.sampled_from(STEPS))
    language = data.draw(st.sampled_from(["zh", "en"]))
    matter = Matter(rule, procedure, deadline, centre, "张三", "0001", "示例银行", opening)

    rendered = [
        shipped.render(
            kind="lapse", step=step, rule_id=rule.id, channel=channel, language=language,
            variables=variables(matter, language=language, now=now),
        )
        for channel in ("sms", "email")
    ]  # fmt: skip

    named = opening if deadline.act_by is None else deadline.act_by
    exact = (named.date(), named.time().replace(second=0, microsecond=0))
    for message in rendered:
        days = told(message.text, now)
        with_time = {(on, at) for on, at in days if at is not None}
        assert with_time == (set() if step == "lapsed" else {exact})
        assert {on for on, at in days if at is None} <= {deadline.started_at.date()}
        assert told(message.subject, now) in ([], [exact])
        if CALLED_THE_LAST_DAY.search(message.subject + message.text):
            assert deadline.firm
            assert deadline.act_by is not None
            assert deadline.act_by.date() == now.date()


def test_the_reader_of_dates_sees_what_people_see() -> None:
    now = datetime(2026, 11, 20, tzinfo=CHINA)
    text = "于11月20日周五报失，最迟2027年1月4日周一17:00；by 09:30 Wed 25 Nov, Mon 4 Jan 2027"

    found = told(text, now)

    assert found == [
        (date(2026, 11, 20), None),
        (date(2027, 1, 4), time(17, 0)),
        (date(2026, 11, 25), time(9, 30)),
        (date(2027, 1, 4), None),
    ]
    assert midnight(found[0][0]) == now
