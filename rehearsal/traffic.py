"""Synthetic traffic: the router's own metrics, tick by tick, as counters and gauges.

Seeded: the same scene gives the same numbers. Counts are drawn as counts (Poisson, binomial), from
users who ask in spells and stay in their cohort, on a day and a week that go up and down.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from rehearsal.arrays import Floats, Ticks
from rehearsal.crowd import Crowd, Mix
from rehearsal.faults import SYSTEM, Trouble
from rehearsal.firsts import Conditions, Firsts
from rehearsal.latency import EDGES, Shape, bucket_counts
from rehearsal.scenario import FaultKind, World

Key = tuple[tuple[str, str], ...]
"""A series: its labels in order, ``__name__`` included."""
Chunk = dict[Key, Floats]

SPELL_TICKS = 60
_DAY_HOURS, _WEEKEND_DAYS = 24.0, (5, 6)
_LEARNS_FOR_HOURS = 150.0
_FEEDBACK_PER_BATCH = 100
_FLAG_EDGES = (1e-6, 5e-6, 5e-5, 1e-3, 5e-3)
_FLAG_BELOW = (0.62, 0.985, 0.9999, 1.0, 1.0)
COHORTS = ("control", "treatment")


@dataclass(frozen=True)
class Setting:
    """What the router is set to while a step is live."""

    percentage: float
    flags_on: bool
    learning_on: bool


@dataclass(frozen=True)
class Scene:
    """One tape: ``lead`` ticks under ``before``, then ``now``; tick 0 is ``hours`` after Monday 0:00.

    ``learned_hours`` is how long users had been in the treatment at the end of the lead.
    """

    world: World
    before: Setting
    now: Setting
    lead: int
    tick_seconds: float
    hours: float
    learned_hours: float
    trouble: Trouble
    seed: int


@dataclass
class Traffic:
    """Gives the scene's series, a chunk of ticks at a time; counters go on from chunk to chunk."""

    scene: Scene
    epoch: float
    tick: int = 0
    _totals: dict[Key, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        scene = self.scene
        self._crowd = Crowd(scene.world.users, np.random.default_rng([scene.seed, 0]))
        entropy = [scene.seed, 1, scene.lead, int(scene.hours * 3600) % 2**32]
        self._rng = np.random.default_rng(entropy)
        apart = np.random.default_rng([*entropy, 2])
        changes = scene.before.percentage != scene.now.percentage
        lead = scene.lead if changes else None
        self._firsts = Firsts(self._crowd, scene.world, lead, apart)

    def next(self, spells: int) -> tuple[Floats, Chunk, "Exposure"]:
        """The next ``spells`` spells: epoch seconds of each tick, all series, and who was treated."""
        ticks = np.arange(self.tick, self.tick + spells * SPELL_TICKS)
        self.tick += len(ticks)
        chunk: Chunk = {}
        before = np.where(ticks < self.scene.lead, self.scene.before.percentage, np.nan)
        percentages = np.where(np.isnan(before), self.scene.now.percentage, before)[::SPELL_TICKS]
        control, treatment, asked = self._crowd.mixes(self._rng, percentages)
        self._cohort("control", control, ticks, chunk)
        exposure = self._cohort("treatment", treatment, ticks, chunk)
        conditions = [self._conditions(cohort, ticks) for cohort in COHORTS]
        for name, labels, more in self._firsts.counted(asked, percentages, ticks, conditions):
            self._count(chunk, more, name, **labels)
        self._system(ticks, chunk, exposure)
        return (
            self.epoch + ticks * self.scene.tick_seconds,
            self._with_faults(ticks, chunk),
            exposure,
        )

    def _cohort(self, cohort: str, mix: Mix, ticks: Ticks, chunk: Chunk) -> "Exposure":
        world, trouble = self.scene.world, self.scene.trouble
        rate = world.queries_per_second * self.scene.tick_seconds * self._rhythm(ticks)
        queries = self._rng.poisson(rate * np.repeat(mix.volume, SPELL_TICKS))
        wrong = world.error_rate * np.repeat(mix.errors, SPELL_TICKS)
        wrong = np.clip(wrong + trouble.added(FaultKind.ERRORS, cohort, ticks), 0, 1)
        errors = self._rng.binomial(queries, wrong)
        self._count(chunk, errors, "router_queries_total", cohort=cohort, outcome="error")
        self._count(chunk, queries - errors, "router_queries_total", cohort=cohort, outcome="ok")
        self._latency(cohort, np.repeat(mix.slow, SPELL_TICKS), ticks, queries, chunk)
        self._cache(cohort, ticks, queries, chunk)
        self._feedback(cohort, ticks, queries, chunk)
        self._probes(cohort, ticks, chunk)
        return Exposure(queries, errors, mix.active_users)

    def _latency(
        self, cohort: str, slow: Floats, ticks: Ticks, queries: Ticks, chunk: Chunk
    ) -> None:
        world, trouble = self.scene.world, self.scene.trouble
        median = self._median(cohort, ticks) * np.exp(slow)
        tail = trouble.factor(FaultKind.TAIL, cohort, ticks)
        counts = bucket_counts(self._rng, queries, Shape(median, world.latency_spread, tail))
        name = "router_query_duration_seconds"
        for number, edge in enumerate((*EDGES, "+Inf")):
            self._count(chunk, counts[:, number], f"{name}_bucket", cohort=cohort, le=str(edge))
        self._count(chunk, queries, f"{name}_count", cohort=cohort)
        self._count(chunk, queries * median * 1.2, f"{name}_sum", cohort=cohort)

    def _cache(self, cohort: str, ticks: Ticks, queries: Ticks, chunk: Chunk) -> None:
        lost = self.scene.trouble.added(FaultKind.CACHE, cohort, ticks)
        hits = self._rng.binomial(queries, np.clip(self.scene.world.cache_hit_rate - lost, 0, 1))
        similar = hits // 3
        for result, count in (
            ("exact", hits - similar),
            ("similar", similar),
            ("miss", queries - hits),
        ):
            self._count(chunk, count, "router_cache_requests_total", cohort=cohort, result=result)

    def _feedback(self, cohort: str, ticks: Ticks, queries: Ticks, chunk: Chunk) -> None:
        trouble = self.scene.trouble
        count = self._rng.binomial(queries, self.scene.world.feedback_share)
        mean = self._reward(cohort, ticks)
        total = np.clip(self._rng.normal(count * mean, np.sqrt(count) * 0.25), 0, count)
        self._count(chunk, count, "router_feedback_total", cohort=cohort)
        self._count(chunk, count, "router_feedback_reward_count", cohort=cohort)
        self._count(chunk, total, "router_feedback_reward_sum", cohort=cohort)
        per_tick = trouble.added(FaultKind.COMPLAINTS, cohort, ticks) * self._hours_per_tick
        self._count(chunk, self._rng.poisson(per_tick), "router_complaints_total", cohort=cohort)

    def _reward(self, cohort: str, ticks: Ticks) -> Floats:
        world, mean = self.scene.world, np.full(len(ticks), self.scene.world.reward_control)
        if cohort == "treatment":
            gain = 1 - np.exp(-self._learned(ticks) / _LEARNS_FOR_HOURS)
            mean += (world.reward_treatment - world.reward_control) * gain
        lower = self.scene.trouble.added(FaultKind.REWARD, cohort, ticks)
        return np.asarray(np.clip(mean - lower, 0, 1))

    def _conditions(self, cohort: str, ticks: Ticks) -> Conditions:
        """What a query meets in a cohort at each tick, whoever asks it."""
        world, trouble = self.scene.world, self.scene.trouble
        return Conditions(
            queries=world.queries_per_second * self.scene.tick_seconds * self._rhythm(ticks),
            errors_added=trouble.added(FaultKind.ERRORS, cohort, ticks),
            median=self._median(cohort, ticks),
            tail=trouble.factor(FaultKind.TAIL, cohort, ticks),
            reward=self._reward(cohort, ticks),
        )

    def _median(self, cohort: str, ticks: Ticks) -> Floats:
        swing = 1 + 0.02 * (self._rhythm(ticks) - 1)  # a busy hour is a little slower
        slower = self.scene.trouble.factor(FaultKind.LATENCY, cohort, ticks)
        return np.asarray(self.scene.world.latency_p50 * swing * slower)

    def _probes(self, cohort: str, ticks: Ticks, chunk: Chunk) -> None:
        """Golden questions, one a second to each cohort; to the treatment while it learns."""
        asked = np.full(len(ticks), round(self.scene.tick_seconds))
        world, right = self.scene.world, np.full(len(ticks), self.scene.world.accuracy)
        if cohort == "treatment":
            asked = asked * self._on("learning_on", ticks)
            right += world.accuracy_gain * (1 - np.exp(-self._learned(ticks) / _LEARNS_FOR_HOURS))
        for kind, accuracy in (("intent", np.full(len(ticks), 0.988)), ("routing", right)):
            good = self._rng.binomial(asked, np.clip(accuracy, 0, 1))
            for correct, count in (("true", good), ("false", asked - good)):
                self._count(
                    chunk, count, "router_probe_total", kind=kind, correct=correct, cohort=cohort
                )

    def _system(self, ticks: Ticks, chunk: Chunk, exposure: "Exposure") -> None:
        scene, trouble, n = self.scene, self.scene.trouble, len(ticks)
        learns = self._on("learning_on", ticks)
        dead = trouble.added(FaultKind.LEARNER, SYSTEM, ticks) > 0
        now = self.epoch + ticks * scene.tick_seconds
        beat = self._last(np.where(dead, 0.0, now - self._rng.uniform(0, 4, n)))
        self._gauge(chunk, learns * beat, "router_learner_heartbeat_timestamp_seconds")
        self._count(chunk, np.zeros(n), "router_learner_errors_total")
        batches = exposure.queries * scene.world.feedback_share * learns * ~dead
        versions = self._running(batches, (("__name__", "fed"),)) // _FEEDBACK_PER_BATCH
        self._gauge(chunk, versions, "router_learner_weights_version")
        queue = self._rng.poisson(20, n) + trouble.added(FaultKind.QUEUE, SYSTEM, ticks)
        self._gauge(chunk, queue, "router_feedback_queue_size")
        leak = trouble.added(FaultKind.MEMORY, SYSTEM, ticks) * self._hours_per_tick
        leaked = self._running(leak, (("__name__", "leaked"),))
        memory = 8e8 + 4e6 * self._rhythm(ticks) + self._rng.normal(0, 5e5, n) + leaked
        self._gauge(chunk, memory, "process_resident_memory_bytes")
        down = trouble.added(FaultKind.CRASH, SYSTEM, ticks) > 0
        self._gauge(chunk, 1.0 - down, "up")
        redis = trouble.added(FaultKind.REDIS, SYSTEM, ticks) * scene.tick_seconds / 60
        self._count(chunk, self._rng.poisson(redis), "router_redis_errors_total")
        asked = self._on("flags_on", ticks) * self._rng.poisson(
            scene.world.queries_per_second * scene.tick_seconds, n
        )
        for edge, below in zip((*_FLAG_EDGES, "+Inf"), (*_FLAG_BELOW, 1.0), strict=True):
            name = "router_flag_evaluation_seconds_bucket"
            self._count(chunk, np.round(asked * below), name, le=str(edge))

    def _with_faults(self, ticks: Ticks, chunk: Chunk) -> Chunk:
        """Lose what a scrape outage loses (None of the tick is sent), and spoil what is spoilt."""
        for cohort in COHORTS:
            spoilt = self.scene.trouble.added(FaultKind.NAN, cohort, ticks) > 0
            for key, values in chunk.items():
                if spoilt.any() and ("cohort", cohort) in key:
                    chunk[key] = np.where(spoilt, np.nan, values)
        return chunk

    def scraped(self, ticks: Ticks) -> Ticks:
        """Which ticks were scraped at all."""
        return np.equal(self.scene.trouble.added(FaultKind.SCRAPE, SYSTEM, ticks), 0)

    @property
    def _hours_per_tick(self) -> float:
        return self.scene.tick_seconds / 3600

    def _rhythm(self, ticks: Ticks) -> Floats:
        """Traffic against its mean: more by day, less at the weekend."""
        hours = self.scene.hours + ticks * self._hours_per_tick
        day: Floats = 1 + 0.5 * np.sin((hours % _DAY_HOURS - 9) / _DAY_HOURS * 2 * np.pi)
        weekend = np.isin((hours // _DAY_HOURS).astype(int) % 7, _WEEKEND_DAYS)
        return np.asarray(day * np.where(weekend, 0.7, 1.0))

    def _learned(self, ticks: Ticks) -> Floats:
        since = (ticks - self.scene.lead) * self._hours_per_tick
        return np.maximum(self.scene.learned_hours + since, 0)

    def _on(self, switch: str, ticks: Ticks) -> Ticks:
        before, now = getattr(self.scene.before, switch), getattr(self.scene.now, switch)
        return np.asarray(np.where(ticks < self.scene.lead, before, now))

    def _count(self, chunk: Chunk, increments: Ticks | Floats, name: str, **labels: str) -> None:
        key = _key(name, labels)
        chunk[key] = self._running(increments.astype(float), key)

    def _gauge(self, chunk: Chunk, values: Ticks | Floats, name: str) -> None:
        chunk[_key(name, {})] = values.astype(float)

    def _running(self, increments: Floats, key: Key) -> Floats:
        total = self._totals.get(key, 0.0) + np.cumsum(increments)
        self._totals[key] = float(total[-1])
        return total

    def _last(self, times: Floats) -> Floats:
        """Hold the latest time so far: a gauge that a dead task sets no more."""
        key = (("__name__", "beat"),)
        held = np.maximum.accumulate(np.maximum(times, self._totals.get(key, 0.0)))
        self._totals[key] = float(held[-1])
        return held


@dataclass(frozen=True)
class Exposure:
    """The treatment by tick: queries, those that failed; and by spell how many users were active."""

    queries: Ticks
    errors: Ticks
    active_users: Floats


def _key(name: str, labels: Mapping[str, str]) -> Key:
    more = {"intent": "semantic"} if name == "router_queries_total" else {}
    every = {"__name__": name, "job": "router", **more, **labels}
    return tuple(sorted(every.items()))


def series_names() -> frozenset[str]:
    """Names of all series that a rehearsal records."""
    off = Setting(0, flags_on=False, learning_on=False)
    scene = Scene(World(users=20), off, off, 0, 60.0, 0.0, 0.0, Trouble(()), 0)
    _, chunk, _ = Traffic(scene, 0.0).next(1)
    return frozenset(dict(key)["__name__"] for key in chunk)
