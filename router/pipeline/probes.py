"""Golden questions asked inside each process: how accuracy is known in production.

The file (setting ``SLUICE_PROBES``) is JSONL: ``{"query", "intent", "backend"}``; ``backend`` is the
right arm (``graph``, ``temporal``, ``postgres``, ``qdrant``) or a store that the chosen arm must
ask, or a list of those that are all right.
Only understanding and choice are judged: no store, cache, learner or query counter is touched.
"""

import asyncio
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import structlog
from pydantic import BaseModel, ConfigDict, ValidationError

from router.answer import Cohort
from router.errors import RouterSettingsError
from router.intent import INTENTS
from router.observability.metrics import RouterMetrics
from router.phases.phase_switches import PhaseController
from router.pipeline.arm_selection import (
    ARM_BACKENDS,
    ARMS,
    ArmSelector,
    greedy_arm,
)
from router.pipeline.query_understanding import AnalyzedQuery, QueryUnderstanding

logger = structlog.get_logger(__name__)


class GoldenQuestion(BaseModel):
    """One question with what is right about it."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    query: str
    intent: str
    backend: str | list[str]

    @property
    def accepted(self) -> tuple[str, ...]:
        return (self.backend,) if isinstance(self.backend, str) else tuple(self.backend)

    def accepts(self, arm: str) -> bool:
        """Return True when the arm is right, or includes a right store."""
        return not {arm, *ARM_BACKENDS[arm]}.isdisjoint(self.accepted)


def read_golden_questions(path: Path) -> list[GoldenQuestion]:
    """Read the questions; raise RouterSettingsError with the number of an invalid line."""
    try:
        lines = path.read_text("utf-8").splitlines()
    except OSError as error:
        raise RouterSettingsError(f"SLUICE_PROBES={path}: {error.strerror}") from error
    return list(_parse_lines(path, lines))


def _parse_lines(path: Path, lines: list[str]) -> Iterator[GoldenQuestion]:
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            golden = GoldenQuestion.model_validate(json.loads(line))
        except (ValueError, ValidationError) as error:
            raise RouterSettingsError(f"{path}:{number}: not a golden question: {error}") from error
        unknown = [name for name in golden.accepted if name not in ARMS]
        if golden.intent not in INTENTS or unknown:
            raise RouterSettingsError(
                f"{path}:{number}: intent is one of {', '.join(INTENTS)}; backend one of {', '.join(ARMS)}"
            )
        yield golden


@dataclass(frozen=True, slots=True)
class Prober:
    """Asks one golden question per interval, in random order, for both cohorts."""

    questions: list[GoldenQuestion]
    understanding: QueryUnderstanding
    arm_selector: ArmSelector
    phases: PhaseController
    metrics: RouterMetrics

    async def run(self, interval_seconds: float) -> None:
        """Run until cancelled; return at once without questions."""
        rng = random.Random()  # noqa: S311 - the order of questions is not a secret
        while self.questions:
            for golden in rng.sample(self.questions, len(self.questions)):
                try:
                    await self.probe(golden)
                except Exception:
                    logger.exception("probe_failed", query=golden.query)
                    self._count("intent", "control", correct=False)
                await asyncio.sleep(interval_seconds)

    async def probe(self, golden: GoldenQuestion) -> None:
        """One question, both cohorts; the treatment only while its learner runs."""
        analyzed = await self.understanding.analyze(golden.query)
        self._score(golden, analyzed, "control")
        if self.phases.learner is not None:
            self._score(golden, analyzed, "treatment")

    def _score(self, golden: GoldenQuestion, analyzed: AnalyzedQuery, cohort: Cohort) -> None:
        intent, learner = analyzed.intent, self.phases.learner
        if cohort == "treatment" and learner is not None:
            arm = greedy_arm(learner, analyzed)
        else:
            arm = self.arm_selector.plan(analyzed, "control", None).choice.arm
        self._count("intent", cohort, correct=intent.intent == golden.intent)
        self._count("routing", cohort, correct=golden.accepts(arm))

    def _count(self, kind: str, cohort: Cohort, *, correct: bool) -> None:
        self.metrics.probes.labels(kind, str(correct).lower(), cohort).inc()
