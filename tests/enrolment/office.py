"""What the tests of enrolment work with: rosters in, and what the listings say of them."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from worker.channels.sandbox import Sandbox
from worker.clock import FixedClock
from worker.domain.calendar import CHINA
from worker.domain.centres import Centre
from worker.domain.delivery import ChannelKind
from worker.engines.duties import Duties
from worker.runtime import Knowledge, Runtime, know_centres
from worker.services.calling import call_list
from worker.services.context import Context
from worker.services.enrolment import Enrolment, enrol_file
from worker.services.operations import (
    case_listing,
    case_report,
    deadline_listing,
    find_case,
    reminder_listing,
)
from worker.settings import Settings
from worker.store.database import Database
from worker.store.keys import KeyRing

NOW = datetime(2026, 11, 23, 10, 0, tzinfo=CHINA)
HEADING = "编号,业务,事项,发生时间,姓名,手机"
REPORTED = "A-1,national,电话挂失,2026-11-20 16:20,张三,10000000001"
GOOD = "A-2,national,电话挂失,2026-11-20 16:20,李四,10000000002"

Row = dict[str, Any]


@dataclass
class Office:
    """One installation. `roster` writes a file, `enrol` takes one in; the rest looks at it."""

    home: Path
    context: Context
    clock: FixedClock
    duties: Duties = field(init=False)

    def __post_init__(self) -> None:
        settings = Settings(home=self.home, sms="sandbox", email="sandbox")
        self.duties = Duties(Runtime(settings, self.clock, self.context))

    @classmethod
    def opened(
        cls, home: Path, db: Database, keys: KeyRing, knowledge: Knowledge, clock: FixedClock
    ) -> "Office":
        """An office over a migrated database."""
        know_centres(db, knowledge.centres, clock.now())
        (home / "var").mkdir()
        channels: dict[ChannelKind, Any] = {
            "sms": Sandbox("sms", home / "var" / "sandbox.jsonl"),
            "email": Sandbox("email", home / "var" / "sandbox.jsonl"),
        }
        context = Context(
            db=db,
            keys=keys,
            rulebook=knowledge.rulebook,
            centres=knowledge.centres,
            calendars=knowledge.calendars,
            templates=knowledge.templates,
            channels=channels,
            home=home,
            simulated=True,
        )
        return cls(home, context, clock)

    def know(self, *centres: Centre) -> None:
        """Put other centres in force."""
        by_id = {centre.id: centre for centre in centres}
        know_centres(self.context.db, by_id, self.clock.now())
        self.context = replace(self.context, centres=by_id, _offices={}, _terms={})

    def close(self) -> None:
        """Let go of the provider's ledger."""
        for channel in self.context.channels.values():
            channel.close()

    def roster(
        self, *lines: str, heading: str = HEADING, name: str = "cases.csv", encoding: str = "utf-8"
    ) -> Path:
        """A roster of these lines below the usual heading."""
        path = self.home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes("\r\n".join([heading, *lines, ""]).encode(encoding))
        return path

    def enrol(
        self,
        *lines: str,
        heading: str = HEADING,
        dry_run: bool = False,
        all_or_nothing: bool = False,
    ) -> Enrolment:
        """Enrol these lines as `qida enrol` does."""
        return enrol_file(
            self.context,
            self.roster(*lines, heading=heading),
            now=self.clock.now(),
            dry_run=dry_run,
            all_or_nothing=all_or_nothing,
        )

    def take(self, path: Path) -> Enrolment:
        """Enrol a file."""
        return enrol_file(self.context, path, now=self.clock.now())

    def cases(self) -> list[Row]:
        """Every case."""
        return case_listing(self.context)

    def case(self, reference: str) -> Any:  # a nested structure as JSON has it
        """One case whole."""
        return case_report(self.context, find_case(self.context, reference))

    def events(self, reference: str) -> list[str]:
        """The events of a case in their order."""
        return [event["event"] for event in self.case(reference)["events"]]

    def states(self, reference: str) -> dict[str, str]:
        """Each rule's deadline of a case, and its state."""
        return {row["rule"]: row["state"] for row in self.case(reference)["deadlines"]}

    def reminders(self, reference: str | None = None) -> list[Row]:
        """Reminders by due instant."""
        return reminder_listing(self.context, reference=reference)

    def deadlines(self) -> list[Row]:
        """Every deadline."""
        return deadline_listing(self.context)

    def calls(self) -> list[Row]:
        """The call list."""
        return call_list(self.context)

    def content(self) -> dict[str, list[tuple[Any, ...]]]:
        """Every row of every table."""
        with self.context.db.engine.connect() as connection:
            names = connection.exec_driver_sql(
                "SELECT name FROM sqlite_master WHERE type = 'table' AND name <> 'job_run'"
            ).scalars()
            return {
                name: [tuple(row) for row in connection.exec_driver_sql(f'SELECT * FROM "{name}"')]  # noqa: S608 - our own tables
                for name in names.all()
            }
