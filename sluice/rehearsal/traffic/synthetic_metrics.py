"""Synthetic metrics: the router's metrics, tick by tick, as counters and gauges.

The same seeded spec gives the same numbers. Counts are drawn from Poisson and binomial distributions,
for users with windows of activity and a fixed cohort, over a daily and weekly cycle.
"""

from dataclasses import dataclass, field

import numpy as np

from sluice.rehearsal.arrays import Floats, Ints
from sluice.rehearsal.traffic.fault_schedule import SYSTEM_COHORT, FaultSchedule
from sluice.rehearsal.traffic.latency_histogram import (
    BUCKET_EDGES,
    LatencyDistribution,
    draw_bucket_counts,
)
from sluice.rehearsal.traffic.period_records import ACTIVITY_WINDOW_TICKS, COHORTS
from sluice.rehearsal.traffic.population import CohortTraffic, Population
from sluice.rehearsal.traffic.scenario import FaultKind, TrafficModel
from sluice.rehearsal.traffic.series_filter import SeriesKey, series_key
from sluice.rehearsal.traffic.traffic_spec import RouterState, TrafficSpec
from sluice.rehearsal.traffic.user_counters import QueryConditions, UserCounters

Chunk = dict[SeriesKey, Floats]

_DAY_HOURS, _WEEKEND_DAYS = 24.0, (5, 6)
_MISS_COST = 1.0
"""An answer that the cache no longer gives takes twice the time."""
_FEEDBACK_PER_BATCH = 100
_FLAG_EDGES = (1e-6, 5e-6, 5e-5, 1e-3, 5e-3)
_FLAG_BELOW = (0.62, 0.985, 0.9999, 1.0, 1.0)


@dataclass
class TrafficGenerator:
    """Generator of a spec's series in chunks; counters continue from chunk to chunk."""

    spec: TrafficSpec
    base_epoch: float
    next_tick: int = 0
    _totals: dict[SeriesKey, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        scene = self.spec
        self._population = Population(scene.traffic.users, np.random.default_rng([scene.seed, 0]))
        entropy = [scene.seed, 1, scene.lead_ticks, int(scene.start_hour * 3600) % 2**32]
        self._rng = np.random.default_rng(entropy)
        user_rng = np.random.default_rng([*entropy, 2])
        changes = scene.previous_state.percentage != scene.current_state.percentage
        lead = scene.lead_ticks if changes else None
        self._user_counters = UserCounters(self._population, scene, lead, user_rng)
        self._user_counters.set_earlier_percentage(scene.previous_state.percentage)

    def next_chunk(self, spells: int) -> tuple[Floats, Chunk, "TreatmentTraffic"]:
        """Generate the next windows: epoch seconds of each tick, all series, and treated traffic."""
        ticks = np.arange(self.next_tick, self.next_tick + spells * ACTIVITY_WINDOW_TICKS)
        self.next_tick += len(ticks)
        chunk: Chunk = {}
        before = np.where(ticks < self.spec.lead_ticks, self.spec.previous_state.percentage, np.nan)
        percentages = np.where(np.isnan(before), self.spec.current_state.percentage, before)[
            ::ACTIVITY_WINDOW_TICKS
        ]
        control, treatment, user_activity = self._population.split_by_cohort(self._rng, percentages)
        self._add_cohort("control", control, ticks, chunk)
        exposure = self._add_cohort("treatment", treatment, ticks, chunk)
        conditions = [self._conditions(cohort, ticks) for cohort in COHORTS]
        for name, labels, increments in self._user_counters.counter_increments(
            user_activity, percentages, ticks, conditions
        ):
            self._add_counter(chunk, increments, name, **labels)
        self._add_system(ticks, chunk, exposure)
        return (
            self.base_epoch + ticks * self.spec.tick_seconds,
            self._with_nan_faults(ticks, chunk),
            exposure,
        )

    def _add_cohort(
        self, cohort: str, mix: CohortTraffic, ticks: Ints, chunk: Chunk
    ) -> "TreatmentTraffic":
        world, trouble = self.spec.traffic, self.spec.faults
        rate = world.queries_per_second * self.spec.tick_seconds * self._load_factor(ticks)
        queries = self._rng.poisson(rate * np.repeat(mix.volume, ACTIVITY_WINDOW_TICKS))
        wrong = world.error_rate * np.repeat(mix.error_factor, ACTIVITY_WINDOW_TICKS)
        wrong = np.clip(wrong + trouble.added_size(FaultKind.ERRORS, cohort, ticks), 0, 1)
        errors = self._rng.binomial(queries, wrong)
        for name in ("router_queries_total", "router_tenant_queries_total"):
            self._add_counter(chunk, errors, name, cohort=cohort, outcome="error")
            self._add_counter(chunk, queries - errors, name, cohort=cohort, outcome="ok")
        self._add_latency(
            cohort, np.repeat(mix.latency_shift, ACTIVITY_WINDOW_TICKS), ticks, queries, chunk
        )
        self._add_cache(cohort, ticks, queries, chunk)
        self._add_feedback(cohort, ticks, queries, chunk)
        self._add_probes(cohort, ticks, chunk)
        return TreatmentTraffic(queries, errors, mix.active_users)

    def _add_latency(
        self, cohort: str, slow: Floats, ticks: Ints, queries: Ints, chunk: Chunk
    ) -> None:
        world, trouble = self.spec.traffic, self.spec.faults
        missed = world.cache_hit_rate - self._hit_rate(cohort, ticks)
        median = self._median_latency(cohort, ticks) * np.exp(slow) * (1 + _MISS_COST * missed)
        tail = trouble.factor(FaultKind.TAIL, cohort, ticks)
        counts = draw_bucket_counts(
            self._rng, queries, LatencyDistribution(median, world.latency_spread, tail)
        )
        name = "router_query_duration_seconds"
        for number, edge in enumerate((*BUCKET_EDGES, "+Inf")):
            self._add_counter(
                chunk, counts[:, number], f"{name}_bucket", cohort=cohort, le=str(edge)
            )
        self._add_counter(chunk, queries, f"{name}_count", cohort=cohort)
        self._add_counter(chunk, queries * median * 1.2, f"{name}_sum", cohort=cohort)

    def _add_cache(self, cohort: str, ticks: Ints, queries: Ints, chunk: Chunk) -> None:
        hits = self._rng.binomial(queries, self._hit_rate(cohort, ticks))
        similar = hits // 3
        for result, count in (
            ("exact", hits - similar),
            ("similar", similar),
            ("miss", queries - hits),
        ):
            self._add_counter(
                chunk, count, "router_cache_requests_total", cohort=cohort, result=result
            )

    def _add_feedback(self, cohort: str, ticks: Ints, queries: Ints, chunk: Chunk) -> None:
        trouble = self.spec.faults
        count = self._rng.binomial(queries, self.spec.traffic.feedback_share)
        mean = self._mean_reward(cohort, ticks)
        total = np.clip(self._rng.normal(count * mean, np.sqrt(count) * 0.25), 0, count)
        self._add_counter(chunk, count, "router_feedback_total", cohort=cohort)
        self._add_counter(chunk, count, "router_feedback_reward_count", cohort=cohort)
        self._add_counter(chunk, total, "router_feedback_reward_sum", cohort=cohort)
        per_tick = trouble.added_size(FaultKind.COMPLAINTS, cohort, ticks) * self._hours_per_tick
        self._add_counter(
            chunk, self._rng.poisson(per_tick), "router_complaints_total", cohort=cohort
        )

    def _mean_reward(self, cohort: str, ticks: Ints) -> Floats:
        world, mean = self.spec.traffic, np.full(len(ticks), self.spec.traffic.reward_control)
        if cohort == "treatment":
            gain = 1 - np.exp(-self._learning_hours(ticks) / self.spec.learning_hours)
            mean += (world.reward_treatment - world.reward_control) * gain
        lower = self.spec.faults.added_size(FaultKind.REWARD, cohort, ticks)
        return np.asarray(np.clip(mean - lower, 0, 1))

    def _conditions(self, cohort: str, ticks: Ints) -> QueryConditions:
        """Return a cohort's conditions at each tick, for an average user."""
        world, trouble = self.spec.traffic, self.spec.faults
        return QueryConditions(
            queries=world.queries_per_second * self.spec.tick_seconds * self._load_factor(ticks),
            errors_added=trouble.added_size(FaultKind.ERRORS, cohort, ticks),
            hit_rate=self._hit_rate(cohort, ticks),
            median=self._median_latency(cohort, ticks),
            tail=trouble.factor(FaultKind.TAIL, cohort, ticks),
            reward=self._mean_reward(cohort, ticks),
        )

    def _hit_rate(self, cohort: str, ticks: Ints) -> Floats:
        loss = self.spec.faults.added_size(FaultKind.CACHE, cohort, ticks)
        return np.asarray(np.clip(self.spec.traffic.cache_hit_rate - loss, 0, 1))

    def _median_latency(self, cohort: str, ticks: Ints) -> Floats:
        swing = 1 + 0.02 * (self._load_factor(ticks) - 1)  # a busy hour is a little slower
        slower = self.spec.faults.factor(FaultKind.LATENCY, cohort, ticks)
        return np.asarray(self.spec.traffic.latency_p50 * swing * slower)

    def _add_probes(self, cohort: str, ticks: Ints, chunk: Chunk) -> None:
        """Add golden questions, one per second and cohort; the treatment's while it learns."""
        question_counts = np.full(len(ticks), round(self.spec.tick_seconds))
        world, right = self.spec.traffic, np.full(len(ticks), self.spec.traffic.accuracy)
        if cohort == "treatment":
            question_counts = question_counts * self._switch_values("learning_on", ticks)
            right += world.accuracy_gain * (
                1 - np.exp(-self._learning_hours(ticks) / self.spec.learning_hours)
            )
        for kind, accuracy in (("intent", np.full(len(ticks), 0.988)), ("routing", right)):
            hits = self._rng.binomial(question_counts, np.clip(accuracy, 0, 1))
            for correct, count in (("true", hits), ("false", question_counts - hits)):
                self._add_counter(
                    chunk, count, "router_probe_total", kind=kind, correct=correct, cohort=cohort
                )

    def _add_system(self, ticks: Ints, chunk: Chunk, exposure: "TreatmentTraffic") -> None:
        scene, trouble, n = self.spec, self.spec.faults, len(ticks)
        learns = self._switch_values("learning_on", ticks)
        dead = trouble.added_size(FaultKind.LEARNER, SYSTEM_COHORT, ticks) > 0
        now = self.base_epoch + ticks * scene.tick_seconds
        beat = self._hold_latest(np.where(dead, 0.0, now - self._rng.uniform(0, 4, n)))
        self._add_gauge(chunk, learns * beat, "router_learner_heartbeat_timestamp_seconds")
        self._add_counter(chunk, np.zeros(n), "router_learner_errors_total")
        batches = exposure.queries * scene.traffic.feedback_share * learns * ~dead
        versions = self._accumulate(batches, (("__name__", "fed"),)) // _FEEDBACK_PER_BATCH
        self._add_gauge(chunk, versions, "router_learner_weights_version")
        queue = self._rng.poisson(20, n) + trouble.added_size(FaultKind.QUEUE, SYSTEM_COHORT, ticks)
        self._add_gauge(chunk, queue, "router_feedback_queue_size")
        leak = trouble.added_size(FaultKind.MEMORY, SYSTEM_COHORT, ticks) * self._hours_per_tick
        leaked = self._accumulate(leak, (("__name__", "leaked"),))
        memory = 8e8 + 4e6 * self._load_factor(ticks) + self._rng.normal(0, 5e5, n) + leaked
        self._add_gauge(chunk, memory, "process_resident_memory_bytes")
        entry_epoch = self.base_epoch + scene.lead_ticks * scene.tick_seconds
        started = np.where(ticks < scene.lead_ticks, 0.0, entry_epoch)
        self._add_gauge(chunk, started, "router_users_counted_since_timestamp_seconds")
        self._add_gauge(chunk, np.full(n, self.base_epoch), "process_start_time_seconds")
        down = trouble.added_size(FaultKind.CRASH, SYSTEM_COHORT, ticks) > 0
        self._add_gauge(chunk, 1.0 - down, "up")
        redis = trouble.added_size(FaultKind.REDIS, SYSTEM_COHORT, ticks) * scene.tick_seconds / 60
        self._add_counter(chunk, self._rng.poisson(redis), "router_redis_errors_total")
        evaluations = self._switch_values("flags_on", ticks) * self._rng.poisson(
            scene.traffic.queries_per_second * scene.tick_seconds, n
        )
        for edge, below in zip((*_FLAG_EDGES, "+Inf"), (*_FLAG_BELOW, 1.0), strict=True):
            name = "router_flag_evaluation_seconds_bucket"
            self._add_counter(chunk, np.round(evaluations * below), name, le=str(edge))

    def _with_nan_faults(self, ticks: Ints, chunk: Chunk) -> Chunk:
        """Apply scrape outages, which drop whole ticks, and NaN faults."""
        for cohort in COHORTS:
            spoilt = self.spec.faults.added_size(FaultKind.NAN, cohort, ticks) > 0
            for key, values in chunk.items():
                if spoilt.any() and ("cohort", cohort) in key:
                    chunk[key] = np.where(spoilt, np.nan, values)
        return chunk

    def scrape_mask(self, ticks: Ints) -> Ints:
        """Return a mask of the scraped ticks."""
        return np.equal(self.spec.faults.added_size(FaultKind.SCRAPE, SYSTEM_COHORT, ticks), 0)

    @property
    def _hours_per_tick(self) -> float:
        return self.spec.tick_seconds / 3600

    def _load_factor(self, ticks: Ints) -> Floats:
        """Return traffic relative to its mean: more by day, less at the weekend."""
        hours = self.spec.start_hour + ticks * self._hours_per_tick
        day: Floats = 1 + 0.5 * np.sin((hours % _DAY_HOURS - 9) / _DAY_HOURS * 2 * np.pi)
        weekend = np.isin((hours // _DAY_HOURS).astype(int) % 7, _WEEKEND_DAYS)
        return np.asarray(day * np.where(weekend, 0.7, 1.0))

    def _learning_hours(self, ticks: Ints) -> Floats:
        since = (ticks - self.spec.lead_ticks) * self._hours_per_tick
        return np.maximum(self.spec.learned_hours + since, 0)

    def _switch_values(self, switch: str, ticks: Ints) -> Ints:
        before, now = (
            getattr(self.spec.previous_state, switch),
            getattr(self.spec.current_state, switch),
        )
        return np.asarray(np.where(ticks < self.spec.lead_ticks, before, now))

    def _add_counter(
        self, chunk: Chunk, increments: Ints | Floats, name: str, **labels: str
    ) -> None:
        key = series_key(name, labels)
        chunk[key] = self._accumulate(increments.astype(float), key)

    def _add_gauge(self, chunk: Chunk, values: Ints | Floats, name: str) -> None:
        chunk[series_key(name, {})] = values.astype(float)

    def _accumulate(self, increments: Floats, key: SeriesKey) -> Floats:
        total = self._totals.get(key, 0.0) + np.cumsum(increments)
        self._totals[key] = float(total[-1])
        return total

    def _hold_latest(self, times: Floats) -> Floats:
        """Hold the latest time so far, like the gauge of a dead task."""
        key = (("__name__", "beat"),)
        latest = np.maximum.accumulate(np.maximum(times, self._totals.get(key, 0.0)))
        self._totals[key] = float(latest[-1])
        return latest


@dataclass(frozen=True)
class TreatmentTraffic:
    """The treatment's queries and failures by tick, and its active users by window."""

    queries: Ints
    errors: Ints
    active_users: Floats


def series_names() -> frozenset[str]:
    """Return the names of all recorded series."""
    off = RouterState(0, flags_on=False, learning_on=False)
    scene = TrafficSpec(TrafficModel(users=20), off, off, 0, 60.0, 0.0, 0.0, FaultSchedule(()), 0)
    _, chunk, _ = TrafficGenerator(scene, 0.0).next_chunk(1)
    return frozenset(dict(key)["__name__"] for key in chunk)
