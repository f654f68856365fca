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

from router.answers import Cohort
from router.decisions import ARM_BACKENDS, ARMS, Chooser, Question, greedy
from router.errors import SettingsError
from router.intent import INTENTS
from router.metrics import Metrics
from router.phases import Phases
from router.understanding import Understanding, Understood

logger = structlog.get_logger(__name__)


class Golden(BaseModel):
    """One question with what is right about it."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    query: str
    intent: str
    backend: str | list[str]

    @property
    def right(self) -> tuple[str, ...]:
        return (self.backend,) if isinstance(self.backend, str) else tuple(self.backend)

    def allows(self, arm: str) -> bool:
        """Whether the arm is right, or asks a store that is."""
        return not {arm, *ARM_BACKENDS[arm]}.isdisjoint(self.right)


def read(path: Path) -> list[Golden]:
    """Raises SettingsError naming the line that can't be used."""
    try:
        lines = path.read_text("utf-8").splitlines()
    except OSError as error:
        raise SettingsError(f"SLUICE_PROBES={path}: {error.strerror}") from error
    return list(_golden(path, lines))


def _golden(path: Path, lines: list[str]) -> Iterator[Golden]:
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            golden = Golden.model_validate(json.loads(line))
        except (ValueError, ValidationError) as error:
            raise SettingsError(f"{path}:{number}: not a golden question: {error}") from error
        unknown = [name for name in golden.right if name not in ARMS]
        if golden.intent not in INTENTS or unknown:
            raise SettingsError(
                f"{path}:{number}: intent is one of {', '.join(INTENTS)}; backend one of {', '.join(ARMS)}"
            )
        yield golden


@dataclass(frozen=True, slots=True)
class Prober:
    """Asks one golden question per interval, in random order, for both cohorts."""

    questions: list[Golden]
    understanding: Understanding
    chooser: Chooser
    phases: Phases
    metrics: Metrics

    async def run(self, interval_seconds: float) -> None:
        """For ever; does nothing without questions."""
        rng = random.Random()  # noqa: S311 - an order of questions is no secret
        while self.questions:
            for golden in rng.sample(self.questions, len(self.questions)):
                try:
                    await self.ask(golden)
                except Exception:
                    logger.exception("probe_failed", query=golden.query)
                    self._count("intent", "control", correct=False)
                await asyncio.sleep(interval_seconds)

    async def ask(self, golden: Golden) -> None:
        """One question, both cohorts; the treatment only while its learner runs."""
        understood = await self.understanding.of(golden.query)
        self._judge(golden, understood, "control")
        if self.phases.learner is not None:
            self._judge(golden, understood, "treatment")

    def _judge(self, golden: Golden, understood: Understood, cohort: Cohort) -> None:
        intent = understood.intent
        question = Question(
            embedding=understood.vector,
            intent=intent.intent,
            confidence=intent.confidence,
            complexity=understood.complexity.score,
        )
        learner = self.phases.learner
        if cohort == "treatment" and learner is not None:
            arm = greedy(learner, question)
        else:
            arm = self.chooser.plan(question, "control", None).choice.arm
        self._count("intent", cohort, correct=intent.intent == golden.intent)
        self._count("routing", cohort, correct=golden.allows(arm))

    def _count(self, kind: str, cohort: Cohort, *, correct: bool) -> None:
        self.metrics.probes.labels(kind, str(correct).lower(), cohort).inc()
