"""From the state of a rollout to what its statistical gates need, and back; and the budget of α."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Literal

from rollout.gate import Gate, GateKind
from rollout.plan import RolloutPlan, Step
from rollout.state import State
from rollout.statistic import of_users
from rollout.stats.budget import AlphaBudget, Claim
from rollout.track import Exposure, Track

Place = Literal["gates", "red_flags"]
EVERYBODY = 100


def statistical(gates: tuple[Gate, ...]) -> tuple[Gate, ...]:
    return tuple(gate for gate in gates if gate.kind is GateKind.STATISTICAL)


def claims(plan: RolloutPlan) -> Iterator[tuple[str, Gate]]:
    """Every statistical gate once, by the key of its track: one in many steps goes on through all."""
    seen: set[str] = set()
    for place, gate in plan.rules():
        key = f"{place[2]}/{gate.name}"
        if gate.kind is GateKind.STATISTICAL and key not in seen:
            seen.add(key)
            yield key, gate


def budget(plan: RolloutPlan, tracks: Mapping[str, Track] | None = None) -> AlphaBudget | None:
    """How the plan's α is split, and which parts are spent; None without statistical gates.

    Checks and the watch gather evidence each for itself, so each has a part of its own.
    """
    parts = tuple(
        Claim(name=key, weight=gate.weight, spent=bool((tracks or {}).get(key, Track()).blocks))
        for key, gate in claims(plan)
    )
    return AlphaBudget(total=plan.alpha, claims=parts) if parts else None


def alpha_of(
    plan: RolloutPlan, place: Place, gate: Gate, split: AlphaBudget | None = None
) -> float:
    """The gate's part of α at one step; KeyError for one that isn't statistical.

    A gate that counts users begins anew in each step, so its part is split over them. ``split``:
    the plan's budget, where it is known.
    """
    split = split or budget(plan)
    part = split.alpha(f"{place}/{gate.name}") if split else 0.0
    if not _counts_users(plan, gate):
        return part
    steps = sum(any(one.name == gate.name for one in gates) for gates in _compared(plan, place))
    return part / max(steps, 1)


def _counts_users(plan: RolloutPlan, gate: Gate) -> bool:
    statistic = plan.metrics[gate.metric].statistic
    return statistic is not None and of_users(statistic)


def _compared(plan: RolloutPlan, place: Place) -> Iterator[tuple[Gate, ...]]:
    """The statistical gates of each step that has two cohorts."""
    percentage = 0.0
    for step in plan.steps:
        percentage = percentage if step.percentage is None else step.percentage
        if 0 < percentage < EVERYBODY and not step.delete_flag:
            yield statistical(getattr(step, place))


def exposure(state: State, place: Place, step: Step) -> Exposure | None:
    """What the statistical gates of the step need; None when there are none, or nothing is live."""
    gates, since = statistical(getattr(step, place)), state.exposed_since
    if not gates or since is None:
        return None
    found = {gate.name: _track(state, place, gate, since) for gate in gates}
    split = budget(state.plan)
    return Exposure(
        since=since,
        share=state.percentage / EVERYBODY,
        alphas={gate.name: alpha_of(state.plan, place, gate, split) for gate in gates},
        tracks={name: track for name, track in found.items() if track is not None},
    )


def _track(state: State, place: Place, gate: Gate, since: datetime) -> Track | None:
    """The gate's evidence; none of an earlier step where users are counted anew in each."""
    track = state.tracks.get(f"{place}/{gate.name}")
    if track is None or track.until is None or not _counts_users(state.plan, gate):
        return track
    return track if track.until > since else None


def keep(state: State, place: Place, tracks: Mapping[str, Track]) -> None:
    """Put the tracks that a check or a watch came back with into the state."""
    state.tracks = {**state.tracks, **{f"{place}/{name}": track for name, track in tracks.items()}}


def spent(state: State) -> str:
    """For ``status``: how much of the budget is spent, by which gates; empty without any."""
    split = budget(state.plan, state.tracks)
    return split.text() if split else ""
