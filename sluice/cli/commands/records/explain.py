"""The command ``sluice explain``: the reason of each decision, from the ledger."""

import asyncio
from collections.abc import Sequence
from typing import Annotated

import typer
from rich.console import Console

from activities.adapters.postgres_ledger import PostgresLedger
from activities.contract.timeline_ledger import (
    merge_timelines,
    read_checks,
    read_events,
)
from sluice.cli.clients.ledger import fetch_live_state, open_ledger, resolve_rollout_id
from sluice.cli.context import Context
from sluice.cli.options import RolloutArgument
from sluice.cli.output import JsonOption, print_result
from sluice.cli.views.explain import explanation_document, print_explanations
from sluice.rollout.engine.event_chain import Event
from sluice.rollout.engine.state import Finding
from sluice.rollout.engine.timeline import findings_of
from sluice.rollout.review.explain import Explanation, RecordedCheck, explain


def explain_rollout(
    rollout: RolloutArgument = None,
    step: Annotated[str, typer.Option(help="Only decisions of this step.")] = "",
    last: Annotated[int, typer.Option(min=0, help="Only the last N decisions; 0: all.")] = 0,
    json: JsonOption = False,
) -> None:
    """Explain each decision: reading, threshold, samples, window and rule, from the ledger.

    Works without Temporal, also years after the rollout. Exit code: 4 when nothing is recorded.
    """
    asyncio.run(_explain(rollout, step, last, json))


async def _explain(rollout: str | None, step: str, last: int, json: bool) -> None:
    context = Context.read()
    async with open_ledger(context) as ledger:
        rollout_id = await resolve_rollout_id(ledger, rollout)
        recorded = await read_events(ledger, rollout_id)
        state = await fetch_live_state(context, rollout_id, recorded)
        events = merge_timelines(recorded, state.timeline if state is not None else ())
        step_events = [event for event in events if not step or event.step == step][-last:]
        selected = await _explain_events(ledger, rollout_id, step_events, findings_of(events))
    if json:
        document = {
            "rollout": rollout_id,
            "decisions": [explanation_document(decision) for decision in selected],
        }
        print_result(True, document, "")
    else:
        print_explanations(Console(), rollout_id, selected)


async def _explain_events(
    ledger: PostgresLedger, rollout_id: str, events: Sequence[Event], findings: Sequence[Finding]
) -> tuple[Explanation, ...]:
    checks = [
        RecordedCheck(check=record.check, gates=record.gates, metrics=record.metrics)
        for record in await read_checks(ledger, rollout_id)
    ]
    return explain(events, checks, findings)
