"""The output of ``sluice flags``: tables for people, JSON for scripts."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from sluice.flag_rules import BUCKETS_PER_PERCENT
from sluice.flags import AuditEntry, FlagDocument, FlagState
from sluice.flags.bucketing import BUCKET_FUNCTIONS
from sluice.flags.evaluation import EvaluationTable, fresh_rules
from sluice.flags.redis.process_polling import ProcessPoll
from sluice.flags.validation import validate_user
from sluice.rollout.printable import escape_line

STATE_STYLES = {"killed": "bold red", "unconfirmed": "yellow", "off": "dim", "on": "green"}
USERS_SHOWN = 20
CELL_LENGTH_MAX = 60


def flag_state_label(flag: FlagState) -> str:
    """Return the flag's state in one word."""
    if flag.killed:
        return "killed"
    if not flag.confirmed:
        return "unconfirmed"
    exposes = flag.rollout_percentage or flag.whitelist or flag.default_enabled
    return "on" if exposes else "off"


def flag_document(flag: FlagState) -> dict[str, Any]:
    """Return the flag as JSON values, with its state and the run that owns it."""
    stored = flag.model_dump(mode="json", exclude={"fence", "asserted_on"})
    return {**stored, "state": flag_state_label(flag), "owner": flag.fence.owner}


def audit_entry_document(entry: AuditEntry) -> dict[str, Any]:
    """Return one entry of the audit trail as JSON values."""
    fence = entry.metadata.fence
    return {
        "at": changed_at(entry).isoformat(),
        "flag": entry.flag,
        "action": entry.action,
        "before": entry.before,
        "after": entry.after,
        "actor": entry.metadata.actor,
        "reason": entry.metadata.reason,
        "run_id": fence.run_id if fence else None,
        "sequence": fence.sequence if fence else None,
        "version": entry.version,
        "id": entry.id,
    }


def process_document(view: ProcessPoll) -> dict[str, Any]:
    """Return the answer of one router process as JSON values."""
    document = view.response.model_dump(mode="json") if view.response else None
    return {"id": view.process.id, "url": view.process.url, "seen": document, "error": view.error}


def flags_table(document: FlagDocument) -> RenderableType:
    """Draw all flags."""
    if not document.flags:
        return "no flags yet; a rollout creates its own, or run `sluice flags create NAME`"
    table = Table("flag", "state", "%", "whitelist", "blacklist", "owned by run", "description")
    for name in sorted(document.flags):
        flag = document.flags[name]
        table.add_row(
            Text(escape_line(name)),
            Text(flag_state_label(flag), style=STATE_STYLES[flag_state_label(flag)]),
            f"{flag.rollout_percentage:g}",
            str(len(flag.whitelist)),
            str(len(flag.blacklist)),
            Text(truncate(flag.fence.owner or "", 12)),
            Text(escape_line(truncate(flag.description))),
        )
    return table


def flag_details(flag: FlagState, views: Sequence[ProcessPoll]) -> RenderableType:
    """Draw one flag, and the state that each router process serves."""
    grid = Table.grid(padding=(0, 2))
    for label, value in _rows(flag):
        grid.add_row(Text(label, style="dim"), value)
    return Group(grid, Text(), process_table(flag.name, views))


def _rows(flag: FlagState) -> list[tuple[str, RenderableType]]:
    state = flag_state_label(flag)
    return [
        ("flag", Text(escape_line(flag.name), style="bold")),
        ("state", Text(state, style=STATE_STYLES[state])),
        *_latch_rows(flag),
        ("percentage", f"{flag.rollout_percentage:g} %"),
        ("whitelist", Text(escape_line(user_list(flag.whitelist)))),
        ("blacklist", Text(escape_line(user_list(flag.blacklist)))),
        ("outside the percentage", "treated too" if flag.default_enabled else "not treated"),
        ("when stale", "last known answer" if flag.on_stale == "hold" else "off"),
        ("hash version", str(flag.hash_version)),
        ("owned by run", Text(flag.fence.owner or "nobody")),
        ("version", str(flag.version)),
        ("description", Text(escape_line(flag.description))),
    ]


def _latch_rows(flag: FlagState) -> list[tuple[str, RenderableType]]:
    if not flag.killed:
        return []
    if flag.is_killed_by_person:
        return [("killed by", Text(f"a person: only `sluice flags unkill {flag.name}` clears it"))]
    return [
        (
            "killed by",
            Text(f"its rollout: a retry, or `sluice flags unkill {flag.name}`, clears it"),
        )
    ]


def process_table(name: str, views: Sequence[ProcessPoll]) -> RenderableType:
    """Draw the state of one flag in each live router process."""
    if not views:
        return Text("no process is alive", style="dim")
    table = Table("process", "serves", "version", "lease age")
    for view in views:
        table.add_row(Text(escape_line(view.process.id)), *_process_cells(name, view))
    return table


def _process_cells(name: str, view: ProcessPoll) -> tuple[RenderableType, str, str]:
    if view.response is None:
        return Text(escape_line(f"does not answer: {view.error}"), style="red"), "", ""
    age = view.response.lease_age_seconds
    version_and_age = (str(view.response.version), "never read" if age is None else f"{age:.2f} s")
    flag = view.response.flags.get(name)
    if flag is None:
        return "no such flag: off", *version_and_age
    if flag.killed:
        return Text("killed: off", style="red"), *version_and_age
    if view.response.stale and flag.on_stale == "off":
        return Text("stale: off", style="yellow"), *version_and_age
    return f"{flag.rollout_percentage:g} % and {len(flag.whitelist)} whitelisted", *version_and_age


def user_assignment(flag: FlagState, user: str) -> dict[str, Any]:
    """Return a user's variant, its reason, and the percentage above which the user is treated."""
    evaluation = fresh_rules({flag.name: flag}, EvaluationTable(flag.version))[flag.name][
        validate_user(user)
    ]()
    bucket = BUCKET_FUNCTIONS[flag.hash_version](flag.name, user)
    return {
        "user": user,
        "variant": evaluation.variant,
        "reason": str(evaluation.reason),
        "detail": evaluation.detail,
        "bucket": bucket,
        "treated_above_percentage": bucket / BUCKETS_PER_PERCENT,
    }


def assignment_line(assignment: dict[str, Any]) -> str:
    """Return a user's assignment as one line."""
    reason = f"{assignment['reason']} {assignment['detail']}".rstrip()
    above = f"bucket {assignment['bucket']}, so treated above {assignment['treated_above_percentage']:g} %"
    return f"{assignment['user']}: {assignment['variant']} ({reason}); {above}"


def history_table(entries: Sequence[AuditEntry]) -> RenderableType:
    """Draw an audit trail."""
    if not entries:
        return "no changes recorded"
    table = Table("when (UTC)", "flag", "action", "change", "who", "why")
    for entry in entries:
        at = f"{changed_at(entry):%Y-%m-%d %H:%M:%S}"
        change = Text(change_text(entry))
        actor, reason = (
            Text(escape_line(text)) for text in (entry.metadata.actor, entry.metadata.reason)
        )
        table.add_row(
            at, Text(escape_line(entry.flag or "(phases)")), entry.action, change, actor, reason
        )
    return table


def change_line(entry: AuditEntry) -> str:
    """Return one change as a line."""
    reason = f": {escape_line(entry.metadata.reason)}" if entry.metadata.reason else ""
    change = f"{entry.flag or '(phases)'} {entry.action} {change_text(entry)}".rstrip()
    return f"{changed_at(entry):%Y-%m-%d %H:%M:%S} {change} by {escape_line(entry.metadata.actor)}{reason}"


def changed_at(entry: AuditEntry) -> datetime:
    """Return the store's time of a change."""
    return datetime.fromtimestamp(entry.at_ms / 1_000, UTC)


def change_text(entry: AuditEntry) -> str:
    """Return each field's change; for a created or deleted flag, its percentage."""
    before, after = entry.before, entry.after
    if isinstance(before, dict) and isinstance(after, dict):
        moved = [field for field in after if before.get(field) != after[field]]
        changes = ", ".join(
            _field_change(field, before.get(field), after[field]) for field in moved
        )
        return changes or "unchanged"
    if isinstance(after, dict):
        return f"at {after.get('rollout_percentage', 0):g} %"
    if isinstance(before, dict):
        return f"was at {before.get('rollout_percentage', 0):g} %"
    return f"{truncate(str(before or 'nobody'), 12)} → {truncate(str(after or 'nobody'), 12)}"


def _field_change(field: str, before: object, after: object) -> str:
    if isinstance(before, list) and isinstance(after, list):
        added = [f"+{user}" for user in after if user not in before]
        removed = [f"-{user}" for user in before if user not in after]
        return truncate(f"{field} {' '.join(added + removed)}")
    if field == "rollout_percentage" and isinstance(before, float) and isinstance(after, float):
        return f"{before:g} % → {after:g} %"
    return f"{field} {before} → {after}"


def user_list(user_ids: frozenset[str]) -> str:
    """Return the first users of a list, and the number of the rest."""
    names = sorted(user_ids)
    remainder = f" and {len(names) - USERS_SHOWN} more" if len(names) > USERS_SHOWN else ""
    return (", ".join(names[:USERS_SHOWN]) + remainder) or "nobody"


def truncate(text: str, length: int = CELL_LENGTH_MAX) -> str:
    """Shorten a text for a table's cell."""
    return text if len(text) <= length else f"{text[: length - 1]}…"
