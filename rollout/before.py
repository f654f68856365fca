"""What keeps a step from starting: its checklist, its approvals, a freeze, or the readings."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from rollout.approving import expiry, missing
from rollout.checklist import MACHINE, Answer, Item
from rollout.freeze import frozen
from rollout.gate import Model
from rollout.plan import Step
from rollout.quantity import format_duration
from rollout.state import State
from rollout.target import phases_at
from rollout.verdict import Outcome

_NAMED_MAX = 4


class Hindrance(Model):
    """One reason why the step can't start yet; ``until`` is when it ends by itself."""

    because: str
    until: datetime | None = None


class Line(Model):
    """One line of a checklist as it stands: ``done`` None says that nobody has answered yet."""

    item: Item
    done: bool | None
    because: str


def hindrances(state: State, step: Step, now: datetime) -> Iterator[Hindrance]:
    """Everything that the step waits for, the most laborious first."""
    yield from _open_items(state, step, now)
    if count := missing(state, step):
        yield Hindrance(
            because=f"waiting for approval of {step.title} ({count} more)",
            until=expiry(state, step),
        )
    held = frozen(state.plan.freezes, now)
    if held is not None and raises(state, step):
        yield Hindrance(because=held.text, until=held.until)
    yield from _bad_readings(state)


def still_waiting(state: State, now: datetime) -> str:
    """What the next step still waits for, in words; empty when nothing, or it is live."""
    step = state.step
    if step is None or state.step_started_at is not None:
        return ""
    waits = [one.because for one in hindrances(state, step, now)]
    return f"taken; {'; '.join(waits)}" if waits else ""


def _open_items(state: State, step: Step, now: datetime) -> Iterator[Hindrance]:
    lines = checklist(state, step, now)
    missing_ones = [line for line in lines if not line.done]
    if not missing_ones:
        return
    done = len(lines) - len(missing_ones)
    shown = [_short(line) for line in missing_ones[:_NAMED_MAX]]
    more = len(missing_ones) - len(shown)
    text = "; ".join([*shown, *([f"{more} more"] if more else [])])
    yield Hindrance(
        because=f"checklist of {step.title}, {done} of {len(lines)} done: {text}",
        until=next_look(state, step, now),
    )


def _short(line: Line) -> str:
    if line.item.check == "attested":
        return f"{line.item.name} (sluice attest {line.item.name})"
    return f"{line.item.name}: {line.because}"


def _bad_readings(state: State) -> Iterator[Hindrance]:
    check = state.evidence
    if check is None or state.passed_by or check.outcome is Outcome.SUCCESSFUL:
        return
    yield Hindrance(because=f"{check.step} is {check.outcome} meanwhile: {check.because}")


def raises(state: State, step: Step) -> bool:
    """Whether starting ``step`` gives the treatment to anybody who doesn't have it."""
    if (step.percentage or 0) > state.percentage or step.whitelist or step.delete_flag:
        return True
    index = state.plan.index(step.name)
    wanted = phases_at(state.plan, index)
    before = phases_at(state.plan, index - 1) if index else None
    if wanted is None:
        return False
    names = type(wanted).model_fields
    return any(getattr(wanted, n) and not (before and getattr(before, n)) for n in names)


def checklist(state: State, step: Step, now: datetime) -> list[Line]:
    """Every line of the step's checklist as it stands now."""
    return [_line(state, item, now) for item in step.checklist]


def _line(state: State, item: Item, now: datetime) -> Line:
    if item.check == "attested":
        word = state.attested.get(item.name)
        said = f"{word.by}: {word.note}".rstrip(": ") if word else "nobody has attested it"
        return Line(item=item, done=bool(word) or None, because=said)
    if item.check == "baseline":
        gone = [g.metric for g in state.plan.baselines if g.metric not in state.baseline]
        said = f"no baseline of {', '.join(gone)}" if gone else f"{len(state.baseline)} recorded"
        return Line(item=item, done=not gone, because=said)
    if item.check == "steps":
        return _earlier_steps(state, item)
    if item.check == "held":
        return _held(state, item, now)
    answer = state.answers.get(item.name)
    if answer is None:
        return Line(item=item, done=None, because="not checked yet")
    return Line(item=item, done=answer.passed, because=answer.because)


def _earlier_steps(state: State, item: Item) -> Line:
    names = [one.name for one in state.plan.steps[: state.step_index]]
    gone = [name for name in names if name not in state.ended_well]
    said = [f"{name} ({state.ended_well[name]})" for name in names if name not in gone]
    because = f"not ended: {', '.join(gone)}" if gone else "; ".join(said) or "there are none"
    return Line(item=item, done=not gone, because=because)


def _held(state: State, item: Item, now: datetime) -> Line:
    asked = item.at_least or timedelta(0)
    since = state.exposed_since if state.live_step else None
    if since is None:
        return Line(item=item, done=False, because="no step is live")
    live = timedelta(seconds=int((now - since).total_seconds()))
    because = f"{state.live_step} live for {format_duration(live)} of {format_duration(asked)}"
    return Line(item=item, done=now - since >= asked, because=because)


def due_items(state: State, step: Step, now: datetime) -> tuple[Item, ...]:
    """The items that a machine must look at now: never looked at, failed, or passed long ago."""
    return tuple(
        item for item in step.checklist if item.check in MACHINE and _due_at(state, item) <= now
    )


def next_look(state: State, step: Step, now: datetime) -> datetime | None:
    """When the checklist may stand otherwise without a person; None when it never does."""
    times = [_due_at(state, item) for item in step.checklist if item.check in MACHINE]
    if state.exposed_since is not None:
        times += [state.exposed_since + one.at_least for one in step.checklist if one.at_least]
    return min((time for time in times if time > now), default=None)


def _due_at(state: State, item: Item) -> datetime:
    answer: Answer | None = state.answers.get(item.name)
    if answer is None:
        return state.waits_since
    rules = state.plan.checklists
    return answer.at + (rules.valid_for if answer.passed else rules.retry_every)
