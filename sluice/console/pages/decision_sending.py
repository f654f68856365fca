"""Sending a decision to its rollout, from a form or from a button in Slack."""

from dataclasses import dataclass
from datetime import timedelta

from pydantic import ValidationError

from sluice.cli.errors import CliError, Exit
from sluice.console.services import ConsoleServices
from sluice.rollout.engine.commands import Acknowledgement, Command, Verb
from sluice.rollout.engine.state import State
from sluice.rollout.errors import QuantityError
from sluice.rollout.printable import unprintable_problem
from sluice.rollout.units import parse_duration


@dataclass(frozen=True, slots=True)
class DecisionRequest:
    """A decision as a link or a form names it; ``step`` is the one that the person has seen.

    ``duration`` belongs to acknowledge, for which a reason is required.
    """

    verb: Verb
    evidence: str = ""
    item: str = ""
    target: str = ""
    reason: str = ""
    step: str = ""
    duration: str = ""

    def command(self, actor: str) -> Command:
        """Return the command of this person.

        Raises:
            CliError: a field is too long, or holds control characters.
        """
        if problem := unprintable_problem(self.reason, one_line=True):
            raise CliError(f"the reason {problem}")
        duration = self._parse_duration() if self.verb is Verb.ACKNOWLEDGE else None
        try:
            return Command(
                actor=actor,
                reason=self.reason,
                evidence=self.evidence,
                item=self.item,
                to=self.target,
                duration=duration,
            )
        except ValidationError as error:
            problem = error.errors()[0]["msg"]
            raise CliError(f"{error.errors()[0]['loc'][0]}: {problem}") from error

    def _parse_duration(self) -> timedelta:
        try:
            return parse_duration(self.duration)
        except QuantityError as error:
            raise CliError(f"the time for which the finding stays silent: {error}") from error


def require_same_step(state: State, decision: DecisionRequest) -> None:
    """Refuse a decision about another step than the one that the person has seen.

    Raises:
        CliError: the rollout is elsewhere now.
    """
    current_step = state.step.name if state.step else ""
    if decision.step and decision.step != current_step:
        raise CliError(
            f"the rollout went on from {decision.step} to {current_step or 'its end'}; look again"
        )


async def send_signed(
    services: ConsoleServices,
    rollout: tuple[str, State],
    decision: DecisionRequest,
    command: Command,
) -> str:
    """Send a command that was signed for the rollout's state; return the answer in words.

    Raises:
        CliError: refused, or no worker answers.
    """
    flag, state = rollout
    require_same_step(state, decision)
    return _words(await services.source.send_command(flag, decision.verb, command))


async def send_abort(
    services: ConsoleServices, flag: str, decision: DecisionRequest, actor: str
) -> str:
    """Abort; without a worker, kill the flag, which needs only Redis.

    Raises:
        CliError: refused, or neither a worker nor Redis answers.
    """
    try:
        answer = await services.source.send_command(flag, Verb.ABORT, decision.command(actor))
    except CliError as error:
        if error.code is not Exit.UNREACHABLE:
            raise
        await services.flags.kill(flag, actor, decision.reason or "abort without a worker")
        return f"No worker answered: {flag} is killed instead, 0 % for everyone. Abort again later."
    return _words(answer)


def _words(answer: Acknowledgement) -> str:
    message = answer.message.removeprefix("accepted").removeprefix("; ")
    remark = f" {message[0].upper()}{message[1:]}." if message else ""
    return f"Done: {answer.verb}.{remark} Status {answer.status}, {answer.percentage:g} % of users."
