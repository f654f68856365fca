"""What a question asks for: graph, temporal, semantic, metadata, or nothing we can answer.

Training lives in ``router.intent.training``; it needs scikit-learn, which serving never imports.
"""

from router.intent.classifier import Escalation, IntentClassifier
from router.intent.evaluation import evaluate as evaluate_decisions
from router.intent.examples import read_examples
from router.intent.model import IntentModel, load
from router.intent.types import INTENTS, Example, Intent, IntentModelError

__all__ = [
    "INTENTS",
    "Escalation",
    "Example",
    "Intent",
    "IntentClassifier",
    "IntentModel",
    "IntentModelError",
    "evaluate_decisions",
    "load",
    "read_examples",
]
