"""The outlook of a running step: when its verdict is expected, and the users and queries exposed so far."""

from datetime import datetime, timedelta

from sluice.rollout.engine.state import State
from sluice.rollout.model import Model
from sluice.rollout.review.blast_radius import check_query_rate
from sluice.rollout.units import format_duration, format_whole_seconds

_MINUTE = timedelta(minutes=1)


class LiveExposure(Model):
    """Users and queries that the treatment has served since ``since``, at its present share.

    ``users``: where the plan states its traffic. ``queries``: from the samples of the newest check.
    """

    since: datetime
    percentage: float
    users: float | None = None
    queries: float | None = None


def expected_verdict_at(state: State, now: datetime) -> datetime | None:
    """Return when the live step ends if every check from now on is Successful, at most its deadline.

    None while no step is watched: it waits to start, or is paused, rolled back or ended.
    """
    step, started_at = state.step, state.clock.started_at
    if step is None or started_at is None or state.pause or state.rollback or state.has_ended:
        return None
    stable_from = state.clock.stable_since or state.clock.next_check_at or now
    held_until, stable = started_at + step.hold, max(stable_from, started_at) + step.stable_for
    return min(max(held_until, stable, now), max(started_at + state.soak_deadline, now))


def live_exposure(state: State, now: datetime) -> LiveExposure | None:
    """Return the exposure of what is live; None while nobody has the treatment, or after the end."""
    since, step = state.live.since, state.exposed_step
    if since is None or step is None or not state.percentage or state.has_ended:
        return None
    traffic, check = state.plan.traffic, state.latest_check
    rate = check_query_rate({gate.name: gate for gate in step.gates}, check) if check else None
    return LiveExposure(
        since=since,
        percentage=state.percentage,
        users=traffic.users * state.percentage / 100 if traffic and traffic.users else None,
        queries=None if rate is None else rate * max(0.0, (now - since).total_seconds()),
    )


def describe_outlook(state: State, now: datetime) -> str:
    """Describe both in one line; empty when neither is known."""
    parts = []
    if (at := expected_verdict_at(state, now)) is not None:
        left = -(-(at - now) // _MINUTE) * _MINUTE
        parts.append(f"verdict expected in {format_duration(left)}" if left else "verdict is due")
    if (exposure := live_exposure(state, now)) is not None:
        users = f" (about {exposure.users:,.0f})" if exposure.users is not None else ""
        elapsed = now - exposure.since
        lasted = (
            format_duration(elapsed // _MINUTE * _MINUTE)
            if elapsed >= _MINUTE
            else format_whole_seconds(elapsed)
        )
        parts.append(f"{exposure.percentage:g} % of users{users} exposed for {lasted}")
        if exposure.queries is not None:
            parts.append(f"about {exposure.queries:,.0f} queries")
    return "  ·  ".join(parts)
