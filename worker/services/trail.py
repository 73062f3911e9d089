"""The audit trail as a whole: whether its chain holds, and what to keep elsewhere."""

from collections.abc import Mapping

from worker.domain.errors import BadData, Text
from worker.services.context import Records
from worker.services.operations import iso
from worker.store.audit import Broken, hash_at, verify_trail


def trail_report(records: Records, *, expected: str = "") -> dict[str, object]:
    """How many entries there are, and the number, hash and instant of the last.

    `expected`, `SEQ:HASH`, is what an earlier report gave and someone kept elsewhere: it shows a
    tail that was removed or written anew. Raises BadData at the first link that is broken, where
    the expected entry is not on record, and for an expectation that makes no sense.
    """
    wanted = _place(expected) if expected else None
    with records.db.reading() as session:
        trail = verify_trail(session)
        if trail.broken is not None and trail.broken_seq is not None:
            raise _broken_at(trail.broken_seq, trail.broken, trail.head_seq)
        if wanted is not None:
            _require_kept(wanted, hash_at(session, wanted[0]), trail.head_seq)
    return {
        "entries": trail.entries,
        "head": f"{trail.head_seq}:{trail.head_hash}",
        "head_at": iso(trail.head_at),
    }


def _require_kept(wanted: tuple[int, str], found: str | None, head_seq: int) -> None:
    """Raises BadData unless the entry has the hash that was kept elsewhere."""
    seq, digest = wanted
    if found is None:
        raise BadData(
            f"审计记录中没有当初的第 {seq} 条：末尾被删除，或恢复了较早的备份；"
            f"现在只到第 {head_seq} 条",
            f"the entry {seq} kept elsewhere is not on record: the tail was removed, or an older "
            f"backup restored; the trail now ends at {head_seq}",
        )
    if found != digest:
        raise BadData(
            f"第 {seq} 条的哈希与所给的不同：请核对是否抄错；若没抄错，即被重写",
            f"entry {seq} has another hash than the one given: see whether it was copied right; "
            "if so, the trail was written anew from there or before",
        )


def _place(expected: str) -> tuple[int, str]:
    seq, _, digest = expected.partition(":")
    if not seq.isdecimal() or not digest:
        raise BadData(
            "--expect 须写成 序号:哈希，如上次 qida audit verify 所示",
            "write --expect as SEQ:HASH, as an earlier qida audit verify showed it",
        )
    return int(seq), digest


def _broken_at(seq: int, what: Broken, holds_to: int) -> BadData:
    said = _SAID[what]
    return BadData(
        f"审计链在第 {seq} 条断开：{said.zh}；第 {holds_to} 条及以前完好，请与备份核对",
        f"the audit chain breaks at entry {seq}: {said.en}; it holds up to {holds_to}, "
        "compare it with a backup",
    )


_SAID: Mapping[Broken, Text] = {
    "missing": Text("前面的记录缺失或重复", "entries before it are missing or doubled"),
    "relinked": Text("所记的前一条哈希不符", "it names another hash as the one before it"),
    "changed": Text("内容与其哈希不符", "its content does not match its hash"),
}
