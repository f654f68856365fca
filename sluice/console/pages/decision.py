"""One decision: the evidence it binds to, a reason, a button. The page that notices link to."""

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import RedirectResponse, Response

from sluice.cli.errors import CliError, Exit
from sluice.console.feeds.rollout_feed import RolloutSnapshot
from sluice.console.pages.rendering import page_message, render_error, render_page
from sluice.console.services import ConsoleServices, require_session, services_of
from sluice.console.web.forms import read_form, require_csrf_token, require_own_page
from sluice.console.web.sessions import Session
from sluice.rollout.analysis.verdict import Check
from sluice.rollout.engine.admission import rejection_reason
from sluice.rollout.engine.commands import Command, Verb
from sluice.rollout.engine.rollback import rollback_targets
from sluice.rollout.engine.state import State

router = APIRouter()
Text = Annotated[str, Query(max_length=200)]
EXPLANATIONS = {
    Verb.APPROVE: "Lets the next step start, on the readings shown here.",
    Verb.PROMOTE: "Skips the rest of the step's wait, or overrides readings. Never a red flag.",
    Verb.PAUSE: "Keeps the percentage; red flags stay active.",
    Verb.RESUME: "Goes on after a pause; stability starts again.",
    Verb.ROLLBACK: "Steps back to the step's rollback target.",
    Verb.RETRY: "Enters the step that was rolled back again, with a fresh clock.",
    Verb.ATTEST: "States that an item of the checklist is true.",
    Verb.ACKNOWLEDGE: "Silences a finding for a time. Never a P0.",
    Verb.ABORT: "Ends the rollout at 0 %.",
}


@dataclass(frozen=True, slots=True)
class DecisionRequest:
    """A decision as a link or a form names it."""

    verb: Verb
    evidence: str = ""
    item: str = ""
    target: str = ""
    reason: str = ""

    def command(self, actor: str) -> Command:
        return Command(
            actor=actor, reason=self.reason, evidence=self.evidence, item=self.item, to=self.target
        )


@router.get("/rollouts/{flag}/decide/{verb}")
async def decision_page(
    request: Request, flag: str, verb: Verb, evidence: Text = "", item: Text = ""
) -> Response:
    """Show what a decision would bind to; without ``evidence``, the newest check."""
    session = require_session(request)
    snapshot = await services_of(request).feed.read(flag)
    wanted = DecisionRequest(verb, evidence or _newest_evidence(snapshot.state, verb), item)
    return _render(request, session, snapshot, wanted)


@router.post("/rollouts/{flag}/decide/{verb}")
async def decide(request: Request, flag: str, verb: Verb) -> Response:
    """Send the decision; refused ones show the reason and the newest evidence."""
    session, services = require_session(request), services_of(request)
    require_own_page(request, services.settings.origin)
    form = await read_form(request)
    require_csrf_token(form, session)
    if not services.decisions.allow(session.id, services.monotonic()):
        return render_error(
            request, "Too many decisions", "Wait a second, then send it again.", 429
        )
    fields = {name: form.get(name, "") for name in ("evidence", "item", "target", "reason")}
    wanted = DecisionRequest(verb, **fields)
    try:
        text = await _send(services, flag, wanted, session)
    except CliError as error:
        snapshot = await services.feed.read(flag)
        return _render(request, session, snapshot, wanted, problem=page_message(error))
    services.sessions.put_note(session.id, text)
    return RedirectResponse(f"/rollouts/{flag}", 303)


async def _send(
    services: ConsoleServices, flag: str, wanted: DecisionRequest, session: Session
) -> str:
    command = wanted.command(session.actor)
    try:
        answer = await services.source.send_command(flag, wanted.verb, command)
    except CliError as error:
        if wanted.verb is not Verb.ABORT or error.code is not Exit.UNREACHABLE:
            raise
        await services.flags.kill(flag, session.actor, wanted.reason or "abort without a worker")
        return f"No worker answered: {flag} is killed instead, 0 % for everyone. Abort again later."
    return f"{wanted.verb}: {answer.message}; {answer.status}, {answer.percentage:g} %"


def _render(
    request: Request,
    session: Session,
    snapshot: RolloutSnapshot,
    wanted: DecisionRequest,
    problem: str = "",
) -> Response:
    state, now = snapshot.state, services_of(request).now()
    rejection = rejection_reason(state, wanted.verb, wanted.command(session.actor), now)
    newest = _newest_evidence(state, wanted.verb)
    values: dict[str, Any] = {
        "flag": state.plan.flag,
        "state": state,
        "wanted": wanted,
        "explanation": EXPLANATIONS[wanted.verb],
        "check": _find_check(snapshot, wanted.evidence),
        "newest": newest if newest != wanted.evidence else "",
        "targets": rollback_targets(state.rollback_origin_step),
        "rejection": rejection,
        "problem": problem,
        "problems": snapshot.problems,
        "read_at": snapshot.read_at,
    }
    return render_page(request, "decision.html", values, 409 if problem else 200)


def _newest_evidence(state: State, verb: Verb) -> str:
    if verb is not Verb.APPROVE or state.checks.latest is None:
        return ""
    return state.checks.latest.id


def _find_check(snapshot: RolloutSnapshot, evidence: str) -> Check | None:
    state = snapshot.state
    if not evidence:
        return state.latest_check
    candidates = (*snapshot.course.checks, *filter(None, (state.checks.latest, state.clock.check)))
    return next((c for c in reversed(candidates) if c.id == evidence), None)
