"""What the commands on rules, templates and deadlines tell people."""

import json

import pytest

from tests.cli.command import BAD_DATA, CONFIGURATION, OK, Qida

LAPSE = "national.phone-loss-report"


def test_rules_are_listed_in_words(qida: Qida) -> None:
    done = qida("rules", "list")

    lines = {line.split()[0]: line for line in done.out.splitlines()}
    assert not set("{}[]()'") & set(done.out)
    assert "10 days, no roll" in lines["hotline-96102.pre-loss-report"]
    assert "1 year, no roll" in lines["laixi.validity"]
    assert "as the bank rules" in lines["zhuhai.phone-loss-report"]
    assert "reported_in_writing, replacement_applied" in lines[LAPSE]


def test_rules_are_listed_in_chinese_where_that_is_wanted(qida: Qida) -> None:
    done = qida.where(QIDA_LANG="zh")("rules", "list")

    lines = {line.split()[0]: line for line in done.out.splitlines()}
    assert "3个工作日" in lines[LAPSE]
    assert "书面挂失、申请补卡" in lines[LAPSE]
    assert "按银行规定" in lines["zhuhai.phone-loss-report"]


def test_rules_for_programs_are_the_same_in_any_language(qida: Qida) -> None:
    rows = [qida.where(QIDA_LANG=one)("rules", "list", "--json").rows for one in ("zh", "en")]

    (of_lapse,) = [row for row in rows[0] if row["id"] == LAPSE]
    assert rows[0] == rows[1]
    assert of_lapse["period"] == {"working_days": 3}
    assert of_lapse["settled_by"] == ["reported_in_writing", "replacement_applied"]


def test_the_file_a_rule_is_written_in_is_shown_to_staff(qida: Qida) -> None:
    shown = qida("rules", "show", LAPSE).out
    explained = qida("deadlines", "--rule", LAPSE, "--starts-at", "2026-11-20T16:20:00+08:00").out

    assert "  document: 000_0618b9da897d80ec.txt" in shown.splitlines()
    assert "    zh: 网上文章《社保卡丢了怎么办？先挂失再补卡领卡》" in shown.splitlines()
    assert "000_0618b9da897d80ec.txt L14-16" in explained


@pytest.mark.parametrize(
    ("asked", "named"),
    [
        (["--rule", "nosuch"], ["nosuch", LAPSE, "shanghai.validity"]),
        (["--rule", LAPSE, "--step", "nosuch"], ["nosuch", "at_once", "last_day", "moved"]),
        (["--step", "nosuch"], ["nosuch", "ready_day", "december"]),
    ],
)
def test_a_preview_of_what_is_not_there_names_what_is(
    qida: Qida, asked: list[str], named: list[str]
) -> None:
    done = qida("templates", "preview", *asked)

    assert (done.code, done.out) == (BAD_DATA, "")
    assert [name for name in named if name not in done.err] == []
    assert done.is_clear


def test_a_preview_of_one_step_shows_that_step(qida: Qida) -> None:
    done = qida("templates", "preview", "--rule", LAPSE, "--step", "last_day", "--lang", "zh")

    heads = [line for line in done.out.splitlines() if line.startswith(LAPSE)]
    assert heads == [f"{LAPSE}  last_day  {form}  zh" for form in ("today", "today_provisional")]
    assert "  56 字 / 1 条  【示例社保】今天是最后一天，请12月30日周三17:00前" in done.out


def test_a_preview_of_an_email_begins_with_its_subject(qida: Qida) -> None:
    asked = ["templates", "preview", "--channel", "email", "--rule", LAPSE, "--step", "last_day"]

    told, rows = qida(*asked), qida(*asked, "--json").rows

    assert "  主题：社保卡提醒：今天是最后一天，请12月30日周三17:00前书面挂失\n\n  欧阳" in told.out
    assert "  Subject: Card reminder: today is the last day, please report" in told.out
    assert {row["subject"] for row in rows if row["form"] == "today"} == {
        "社保卡提醒：今天是最后一天，请12月30日周三17:00前书面挂失",
        "Card reminder: today is the last day, please report the loss in writing "
        "by 17:00 Wed 30 Dec",
    }


@pytest.mark.parametrize(("language", "heads"), [("zh", "第 {} 行"), ("en", "line {}")])
def test_an_answer_without_id_is_named_by_its_line(qida: Qida, language: str, heads: str) -> None:
    asked = {"starts_at": "2026-11-20T16:20:00+08:00", "period": {"hours": 3}}
    given = [asked, asked | {"id": 0}, asked | {"id": None}]
    lines = "\n\n".join(map(json.dumps, given))

    done = qida("deadlines", "--batch", "-", "--explain", "--lang", language, given=lines)

    assert done.code == OK
    found = [line[2:] for line in done.out.splitlines() if line.startswith("# ")]
    assert found == [heads.format(1), "0", heads.format(5)]


def test_a_late_moment_is_told_as_the_latest_alone(qida: Qida) -> None:
    starts = ("--starts-at", "2026-12-23T16:00:00+08:00")

    done = qida("deadlines", "--rule", "chengdu.online-loss-report", *starts)

    (act_by,) = [line for line in done.out.splitlines() if line.startswith("办理")]
    assert act_by == "办理  最迟 2026-12-25 周五 17:00（此前网点最后一次有人受理）"
    assert "另一种读法  72小时，不顺延" in done.out


@pytest.mark.parametrize("group", ["rules", "templates"])
def test_one_fault_is_counted_as_one(qida: Qida, group: str) -> None:
    rule = qida.own_config() / "rules" / "shanghai.yaml"
    rule.write_text(rule.read_text("utf-8") + "colour: red\n", "utf-8")

    done = qida(group, "check")

    assert done.code == CONFIGURATION
    assert "faults: 1\n" in done.err
