"""Recording and reading what a rollout that goes well will ask for next, before it asks.

Prometheus takes as long over a rehearsal's samples and ranges as the workflow over its steps. Foreseen
rightly, they are ready when the step is entered; foreseen wrongly, that tape is read by nobody.
"""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from copy import copy
from dataclasses import dataclass
from datetime import datetime
from threading import Event, Thread

from rehearsal.ahead import asked, beyond
from rehearsal.course import Course, usual_stay
from rehearsal.errors import PrometheusFailedError
from rehearsal.evidence import asked_of, weigh_ahead
from rehearsal.guarded import Guarded, compares
from rollout import blocks
from rollout.exposure import EVERYBODY
from rollout.gate import Gate, GateKind
from rollout.plan import Step
from rollout.reading import Reading
from rollout.statistic import AnyStatistic

STEPS_AHEAD = 2


@dataclass
class Foresight:
    """A thread that looks ahead of a course, until it is told of another."""

    _ended: Event | None = None

    def follow(self, course: Course, baseline: Mapping[str, Reading]) -> None:
        """Look ahead of where ``course`` is now, and no longer of what came before."""
        self.rest()
        self._ended = Event()
        shadow = copy(course)
        shadow.entries = list(course.entries)
        work = steps_ahead(shadow, baseline)
        Thread(target=_through, args=(work, self._ended), daemon=True).start()

    def weigh(self, course: Course, guarded: Guarded, span: tuple[datetime, datetime]) -> None:
        """Weigh what the next watch will ask, with the evidence that it will be given."""
        Thread(target=_weighed, args=(course, guarded, *span), daemon=True).start()

    def rest(self) -> None:
        """End after the piece of work that is under way."""
        if self._ended is not None:
            self._ended.set()


def _through(work: Iterator[None], ended: Event) -> None:
    with suppress(PrometheusFailedError):  # whoever asks for it hears of it
        for _ in work:
            if ended.is_set():
                return


def _weighed(course: Course, guarded: Guarded, now: datetime, until: datetime) -> None:
    exposure = guarded.exposure
    if exposure is None or not compares(exposure):
        return
    with suppress(PrometheusFailedError):  # whoever asks for it hears of it
        for flag in guarded.red_flags:
            if flag.kind is GateKind.STATISTICAL:
                metric = guarded.metrics[flag.metric]
                weigh_ahead(course, flag, metric, exposure, until + (until - now))


def steps_ahead(course: Course, baseline: Mapping[str, Reading]) -> Iterator[None]:
    """Enter the steps that follow, record them and ask what will be asked in them, piece by piece."""
    steps, number = course.plan.steps, course.plan.steps.index(course.entries[-1].step)
    for index in range(number, min(number + 1 + STEPS_AHEAD, len(steps))):
        if index > number:
            course.enter(index, leaves(course, steps[index]))
            yield
        if index + 1 < len(steps):
            yield from _recorded(course, leaves(course, steps[index + 1]))
        yield from _questions(course, baseline)


def _recorded(course: Course, until: datetime) -> Iterator[None]:
    """The last step of ``course`` for as long as what follows keeps the rollout in it."""
    entry = course.entries[-1]
    end = entry.tape.entry + (until - entry.at).total_seconds()
    while entry.tape.recorded_until < end:
        entry.tape.reach(entry.tape.recorded_until + entry.tape.tick)
        yield


def leaves(course: Course, following: Step) -> datetime:
    """When a rollout that goes well leaves the last step of ``course`` for the one that follows."""
    entry, since = course.entries[-1], _exposed_since(course)
    held = (since + item.at_least for item in following.checklist if item.at_least)
    return max(entry.at + usual_stay(entry.step), *held, entry.at)


def _exposed_since(course: Course) -> datetime:
    """When the percentage of the last step was first reached."""
    since, reached = course.begin, 0.0
    for entry in course.entries:
        now = reached if entry.step.percentage is None else entry.step.percentage
        since, reached = (since, reached) if now == reached else (entry.at, now)
    return since


def _questions(course: Course, baseline: Mapping[str, Reading]) -> Iterator[None]:
    """What is asked in the last step of ``course``, a few requests at a time."""
    plan, step = course.plan, course.entries[-1].step
    guarded = Guarded(step.red_flags, plan.metrics, baseline, plan.watch_interval.total_seconds())
    compared = 0 < course.percentage < EVERYBODY
    for gates, ask, weigh in ((step.red_flags, _watch, _watched), (step.gates, _check, _checked)):
        for gate in gates:
            if gate.kind is not GateKind.STATISTICAL:
                ask(course, gate, guarded)
            elif compared:
                weigh(course, gate)
            yield


def _watch(course: Course, flag: Gate, guarded: Guarded) -> None:
    tape = course.entries[-1].tape
    if not flag.dry_run and (screen := beyond(flag, guarded)):
        tape.warm([screen], tape.recorded_until)


def _watched(course: Course, flag: Gate) -> None:
    _, wanted = _blocks(course, flag)
    tape = course.entries[-1].tape
    tape.prepare_columns(wanted, tape.entry, flag.window.total_seconds())


def _check(course: Course, gate: Gate, guarded: Guarded) -> None:
    step, tape = course.entries[-1].step, course.entries[-1].tape
    first = tape.entry + (step.initial_delay + step.interval).total_seconds()
    for promql in asked([gate], guarded):
        tape.prepare(promql, first, step.interval.total_seconds())


def _checked(course: Course, gate: Gate) -> None:
    statistic, wanted = _blocks(course, gate)
    anew = blocks.resets(blocks.witness(statistic), gate.window, course.plan.stale_after)
    tape, seconds = course.entries[-1].tape, gate.window.total_seconds()
    for promql in (*wanted, anew):
        tape.prepare(promql, tape.entry + seconds, seconds)


def _blocks(course: Course, gate: Gate) -> tuple[AnyStatistic, list[str]]:
    """What a statistical gate counts, and what is asked about each of its blocks."""
    statistic = course.plan.metrics[gate.metric].statistic
    assert statistic is not None  # noqa: S101  plans are checked for it
    _, wanted = asked_of(statistic, gate.window, course.plan.stale_after)
    return statistic, wanted
