"""What every use case works with: the store, the channels, and the configuration in force."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Protocol

from worker.domain.calendar import WorkingCalendar
from worker.domain.centres import Centre, Office
from worker.domain.deadlines import Terms, terms_of
from worker.domain.delivery import Channel, ChannelKind
from worker.domain.errors import BadData
from worker.domain.pace import Rest
from worker.domain.rules import Procedure, ReminderStep, Rule
from worker.domain.steps import steps_of
from worker.rulebook import Rulebook
from worker.store.database import Database
from worker.store.keys import KeyRing
from worker.templating import Templates

if TYPE_CHECKING:
    from worker.services.recording import Said


class Records(Protocol):
    """What looking things up needs: the database, whatever state the configuration is in."""

    @property
    def db(self) -> Database:
        """Where it is all kept."""


@dataclass(slots=True)
class Senders:
    """What is remembered of the senders while the worker runs, across reloads: the SMS sender's
    pace, until when a channel rests whose provider refuses our account, and answers of providers
    that no database was there to take, each batch with the owner of its attempts."""

    parts_per_second: float = 0.0
    rests: dict[str, Rest] = field(default_factory=dict)
    unwritten: "list[tuple[str, Sequence[Said]]]" = field(default_factory=list)
    is_stopping: bool = False
    _one_at_a_time: Lock = field(default_factory=Lock, repr=False, compare=False)

    def refused(self, kind: str, code: str, began_at: datetime, now: datetime) -> bool:
        """Let a channel rest whose provider refused us at `now`, asked at `began_at`: whether that
        is news. Of several that were asked together the first one counts."""
        with self._one_at_a_time:
            rest = self.rests.get(kind)
            if rest is not None and rest.until_at > began_at:
                return False
            self.rests[kind] = Rest.after(rest, code, now)
            return True

    def resting(self, kind: str, now: datetime) -> Rest | None:
        """The rest of a channel, if it has not ended."""
        rest = self.rests.get(kind)
        return rest if rest is not None and rest.until_at > now else None


@dataclass(frozen=True, slots=True)
class Context:
    """One consistent set of collaborators; a reload of the configuration makes a new one."""

    db: Database
    keys: KeyRing
    rulebook: Rulebook
    centres: Mapping[str, Centre]
    calendars: Mapping[str, WorkingCalendar]
    templates: Templates
    channels: Mapping[ChannelKind, Channel]
    home: Path
    simulated: bool
    send_threads: int = 16
    send_batch: int = 50
    senders: Senders = field(default_factory=Senders)
    _offices: dict[str, Office] = field(default_factory=dict)
    _terms: dict[tuple[str, str, str], Terms] = field(default_factory=dict)

    def centre(self, centre_id: str) -> Centre:
        """The centre, from its file. Raises BadData where there is none."""
        if centre_id not in self.centres:
            known = sorted(self.centres)
            raise BadData(
                f"没有网点 {centre_id}；已配置：{'、'.join(known)}",
                f"no centre {centre_id}; configured: {', '.join(known)}",
            )
        return self.centres[centre_id]

    def procedure(self, procedure_id: str) -> Procedure:
        """The procedure. Raises BadData where there is none."""
        if procedure_id not in self.rulebook.procedures:
            known = sorted(self.rulebook.procedures)
            raise BadData(
                f"没有业务 {procedure_id}；可用：{'、'.join(known)}",
                f"no procedure {procedure_id}; there are: {', '.join(known)}",
            )
        return self.rulebook.procedures[procedure_id]

    def rule(self, rule_id: str) -> Rule:
        """The rule. Raises BadData where the catalogue does not hold it."""
        if rule_id not in self.rulebook.rules:
            raise BadData(f"没有规则 {rule_id}", f"no rule {rule_id}")
        return self.rulebook.rules[rule_id]

    def channel(self, kind: str) -> Channel:
        """The channel that carries `sms` or `email`. Raises BadData where none is configured."""
        for channel in self.channels.values():
            if channel.kind == kind:
                return channel
        raise BadData(f"没有配置 {kind} 渠道", f"no {kind} channel is configured")

    def calendar(self, centre_id: str) -> WorkingCalendar:
        """The calendar of the centre's region. Raises BadData where it is not in force."""
        region = self.centre(centre_id).region
        if region not in self.calendars:
            raise BadData(
                f"地区 {region} 的日历尚未生效；请先更正 config/calendar 中的错误",
                f"no calendar of {region} is in force; mend the faults in config/calendar first",
            )
        return self.calendars[region]

    def office(self, centre_id: str) -> Office:
        """The centre's counter, by its calendar."""
        if centre_id not in self._offices:
            self._offices[centre_id] = Office(self.centre(centre_id), self.calendar(centre_id))
        return self._offices[centre_id]

    def terms(self, rule: Rule, centre_id: str, bank: str) -> Terms:
        """The rule's readings at this centre and bank. Raises BadData without the bank's period."""
        key = (rule.id, centre_id, bank if rule.period_of_bank else "")
        if key not in self._terms:
            self._terms[key] = terms_of(rule, self.centre(centre_id), bank)
        return self._terms[key]

    def steps(self, rule: Rule, centre_id: str, bank: str) -> tuple[ReminderStep, ...]:
        """When to remind: the centre's own steps, the rule's, or those of its kind and period."""
        return steps_of(rule, self.centre(centre_id), self.terms(rule, centre_id, bank).period)
