"""The watched folders: files put into config/cases and var/inbox are enrolled by themselves.

A file is read once, when it has lain unchanged for 5 seconds. Files of config/cases stay, and a
record under var/seen says what was read of them, so that another process does not do it again.
Inbox files move to var/done, with their errors beside them, and are erased after 7 days.
"""

import errno
import hashlib
import logging
import shutil
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from pathlib import Path, PurePath
from typing import NamedTuple
from unicodedata import category

from worker import __version__
from worker.clock import seconds_since
from worker.domain.calendar import in_china
from worker.domain.errors import Fault, QidaError, Text, Unavailable
from worker.rosters import by_row, write_errors
from worker.services.applying import discreet_name
from worker.services.context import Context
from worker.services.enrolment import Enrolment, enrol_file
from worker.store.audit import Entry, append_audit, is_audited

log = logging.getLogger(__name__)

SETTLED_AFTER = 5.0
KEPT = 7 * 24 * 3600.0
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
_LONGEST_NAME = 200
"""Bytes; file systems take 255."""
_YAML = frozenset({".yaml", ".yml"})
_ROSTERS = _YAML | {".csv", ".xlsx", ".xlsm", ".xls", ".xlsb", ".et", ".ods", ".numbers"}
"""What people take for a roster. Its content decides: an old .xls is refused with how to save it,
and what is a good workbook under another name is read."""
_UNFINISHED = (".tmp", ".part", ".partial", ".filepart", ".crdownload", ".swp", "~")
_NOBODYS = frozenset({"thumbs.db", "desktop.ini"})
"""What Windows leaves in every folder of a share."""


class Version(NamedTuple):
    """What tells one state of a file from the next, in seconds and bytes."""

    modified: float
    changed: float
    size: int

    @property
    def touched(self) -> float:
        """When it was last written to or put here; a sender's clock may run ahead of ours."""
        return min(self.modified, self.changed)


Seen = dict[Path, tuple[str, Version]]
"""Which version of a file this process has dealt with, and under which configuration."""


@dataclass(frozen=True, slots=True)
class _Pass:
    context: Context
    under: str
    now: datetime
    counts: Counter[str]

    @property
    def var(self) -> Path:
        return self.context.home / "var"


def take_in(context: Context, seen: Seen, *, under: str, now: datetime) -> Counter[str]:
    """Enrol every settled file of both folders, and erase what was done a week ago.

    `under` names the configuration in force: under another one config/cases is read again. Raises
    Unavailable, or OSError on a full disk: the files are read again when there is room.
    """
    this = _Pass(context, under, now, Counter())
    for folder, deal_with in (("config/cases", _read_in_place), ("var/inbox", _put_away)):
        for path, version in _lying_still(context.home / folder):
            if seen.get(path) != (under, version):
                _try(this, path, deal_with)
                seen[path] = (under, version)
    for gone in [path for path in seen if _version(path) is None]:
        del seen[gone]
    this.counts["erased"] += _erase_old(this.var / "done") + _erase_old(this.var / "errors")
    return +this.counts


def _lying_still(folder: Path) -> list[tuple[Path, Version]]:
    """What lies in the folder that nobody is writing any more."""
    if not folder.is_dir():
        return []
    found = ((path, _version(path)) for path in sorted(folder.iterdir()) if _is_meant(path.name))
    return [
        (path, version)
        for path, version in found
        if version and seconds_since(version.touched) >= SETTLED_AFTER
    ]


def _is_meant(name: str) -> bool:
    """Whether somebody put it here for us to read; others are hidden, or not all there yet."""
    lower = name.lower()
    hidden = lower.startswith((".", "~$")) or lower in _NOBODYS
    return not hidden and not lower.endswith(_UNFINISHED)


def _version(path: Path) -> Version | None:
    """The file as it is now; None if it is gone."""
    for look in (path.stat, path.lstat):  # a link that leads nowhere is still there
        with suppress(OSError):
            status = look()
            return Version(status.st_mtime, status.st_ctime, status.st_size)
    return None


def _try(this: _Pass, path: Path, deal_with: Callable[[_Pass, Path], None]) -> None:
    """Deal with one file; one that cannot be dealt with stops no other."""
    if ignored := _ignored(path):
        reason, mend = map(str, ignored)
        place = f"{path.parent.name}/{_hashed(path.name)}"
        log.warning("file.ignored", extra={"place": place, "reason": reason, "mend": mend})
        return
    try:
        deal_with(this, path)
    except Exception as error:
        if _is_for_later(error):
            raise
        if _version(path) is not None:  # else another process or person took it
            _say_failed(path, error)
            this.counts["error"] += 1


def _ignored(path: Path) -> tuple[Text, Text] | None:
    """Why this is no roster and how to make it one, if so."""
    if path.is_dir():
        return _FOLDER
    if not path.is_file():
        return _NO_FILE if _version(path) else None  # gone since it was listed: no word
    return None if path.suffix.lower() in _ROSTERS else _NO_ROSTER


_FOLDER = (
    Text("是文件夹，里面的文件不会读取", "a folder; what is in it is not read"),
    Text("请把文件直接放进来", "put the files here themselves"),
)
_NO_FILE = (
    Text("不是普通文件，或链接指向的文件不存在", "no ordinary file, or a link that leads nowhere"),
    Text("请放入文件本身", "put the file itself here"),
)
_NO_ROSTER = (
    Text("文件名不像名单，未读取", "not named like a roster: it is not read"),
    Text("请另存为 .xlsx、.csv 或 .yaml", "save it as .xlsx, .csv or .yaml"),
)


def _hashed(name: str) -> str:
    """Names of files may hold a person's, and so may an unknown suffix."""
    return discreet_name(name).partition(".")[0]


def _is_for_later(error: Exception) -> bool:
    """Database or disk have to be mended first, and all files with them."""
    no_room = isinstance(error, OSError) and error.errno in _NO_ROOM
    return no_room or isinstance(error, Unavailable)


def _say_failed(path: Path, error: Exception) -> None:
    """Without the error's whole text: that may repeat the file's name."""
    reason = getattr(error, "strerror", None) or type(error).__name__
    said = {"place": discreet_name(path.name), "reason": reason, "mend": str(_TRIED_AGAIN)}
    log.error("file.failed", extra=said)


_TRIED_AGAIN = Text(
    "请检查文件和 var/ 的权限；文件改动后或重新启动后会再试",
    "check the rights to the file and to var/; it is tried again once changed, or after a restart",
)


def _read_in_place(this: _Pass, path: Path) -> None:
    """Enrol a file of config/cases, unless just this was read before, be it by another process."""
    record = this.var / "seen" / _hashed(path.name)
    fingerprint = _fingerprint(this, path)
    if _was_read(this.context, record, fingerprint):
        return
    report = _enrol(this, path)
    _list_errors(path, report, this.var / "errors" / _plain(path.name))
    entry_id = _audit(this, path, report)
    record.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    record.write_text(f"{entry_id} {fingerprint}", "ascii")  # in this order: half says nothing


def _fingerprint(this: _Pass, path: Path) -> str:
    """Changes with whatever decides what becomes of the file: its content, rules, channels, us."""
    with path.open("rb") as handle:
        digest = hashlib.file_digest(handle, "sha256")
    digest.update(f" {this.under} {this.context.simulated} {__version__}".encode())
    return digest.hexdigest()


def _was_read(context: Context, record: Path, fingerprint: str) -> bool:
    """In doubt no: a file read again changes nothing, one passed over would be missed."""
    try:
        entry_id, _, read = record.read_text("ascii", "replace").partition(" ")
    except FileNotFoundError:
        return False
    if read != fingerprint:
        return False
    with context.db.reading() as session:
        return is_audited(session, entry_id)


def _audit(this: _Pass, path: Path, report: Enrolment) -> str:
    """Note the reading in the database itself, which may be changed for another or a backup."""
    found = {"new": report.new, "changed": report.changed, "bad_rows": report.bad}
    done = Entry(None, this.now, "qida", "roster.read", discreet_name(path.name), found)
    with this.context.db.transaction() as session:
        return append_audit(session, done)


def _put_away(this: _Pass, path: Path) -> None:
    """Enrol a file of the inbox and move it to where it is kept for a week, which begins now."""
    path.open("rb").close()  # one that may not be read stays until it may
    before = _version(path)
    report = _enrol(this, path)
    if _version(path) != before:
        return  # somebody went on writing: it is read again when it lies still
    done = this.var / "done"
    kept = _free(done, f"{in_china(this.now):%Y%m%dT%H%M%S}-{_plain(path.name)}")
    _list_errors(path, report, kept)
    _move(path, kept)


def _move(path: Path, kept: Path) -> None:
    """By a copy: the inbox may be a share, and the file of an owner whose times we cannot set."""
    try:
        shutil.copyfile(path, kept)
        path.unlink()
    except OSError:
        kept.unlink(missing_ok=True)
        raise


def _free(folder: Path, name: str) -> Path:
    """A path that is not taken yet."""
    stem, suffix = PurePath(name).stem, PurePath(name).suffix
    names = (f"{stem}-{number}{suffix}" if number > 1 else name for number in count(1))
    return next(folder / one for one in names if not (folder / one).exists())


def _plain(name: str) -> str:
    """A file's name, printable, and cut so that time and `.errors.csv` still fit around it."""
    stem, suffix = PurePath(_printable(name)).stem, PurePath(_printable(name)).suffix
    return stem.encode()[: _LONGEST_NAME - len(suffix)].decode("utf-8", "ignore") + suffix


def _printable(text: str) -> str:
    """Without line ends, other control characters and bytes that are no UTF-8."""
    return "".join("_" if category(one) in ("Cc", "Cf", "Cs") else one for one in text)


def _enrol(this: _Pass, path: Path) -> Enrolment:
    """Enrol one file. Raises Unavailable where the database is out of reach."""
    try:
        report = enrol_file(this.context, path, now=this.now)
    except Unavailable:
        raise
    except QidaError as error:
        report = Enrolment(faults=[Fault(path.name, error.text, _MEND)])
    counts = Counter(
        files=1, new=report.new, unchanged=report.unchanged, changed=report.changed,
        events=report.events, planned=report.planned, bad_rows=report.bad,
    )  # fmt: skip
    log.info("file.enrolled", extra={"place": discreet_name(path.name), "counts": dict(+counts)})
    this.counts.update(counts)
    return report


_MEND = Text("请更正后重新放入", "mend it and put it in again")


def _list_errors(path: Path, report: Enrolment, beside: Path) -> None:
    """Say beside the file what is wrong with it, in place of what was said before."""
    stem = beside.stem if beside.suffix.lower() == ".csv" else beside.name
    text, table = (beside.with_name(f"{stem}.errors.{kind}") for kind in ("txt", "csv"))
    beside.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    text.unlink(missing_ok=True)
    table.unlink(missing_ok=True)
    if not report.faults:
        return
    text.write_text(_listed(report), "utf-8")
    place, mend = f"var/{beside.parent.name}", str(_SEE_LIST)
    log.warning("errors.listed", extra={"place": place, "count": report.bad, "mend": mend})
    if any(by_row(report.faults)) and path.suffix.lower() not in _YAML:
        _list_rows(path, report, table)


_SEE_LIST = Text("请看那里的 *.errors.txt", "see *.errors.txt there")


def _listed(report: Enrolment) -> str:
    said = [(one.in_language("zh"), one.in_language("en")) for one in report.faults]
    if rest := report.rest():
        said.append((rest.zh, rest.en))
    return "".join(f"{_printable(zh)}\n  {_printable(en)}\n" for zh, en in said)


def _list_rows(path: Path, report: Enrolment, table: Path) -> None:
    """The roster with a column of errors, which people mend and put in again."""
    try:
        write_errors(path, by_row(report.faults), table)
    except QidaError as error:
        place = discreet_name(path.name)
        log.warning("errors.not_listed", extra={"place": place, "reason": error.text.en})


def _erase_old(folder: Path) -> int:
    """Files of citizens' data are not kept longer than needed (decision 0005)."""
    if not folder.is_dir():
        return 0
    versions = {path: _version(path) for path in folder.iterdir() if not path.is_dir()}
    old = [path for path, one in versions.items() if one and seconds_since(one.modified) > KEPT]
    for path in old:
        path.unlink(missing_ok=True)
    return len(old)
