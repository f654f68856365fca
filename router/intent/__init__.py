"""Intent classification: graph, temporal, semantic, metadata or out of scope.

Training lives in ``router.intent.trainer``; it needs scikit-learn, which serving never imports.
"""

from router.intent.classifier import IntentClassifier, LLMEscalation
from router.intent.evaluation import evaluate_decisions as evaluate_decisions
from router.intent.examples import read_examples
from router.intent.labels import INTENTS, Example, Intent, IntentModelError
from router.intent.model import IntentModel, load_intent_model

__all__ = [
    "INTENTS",
    "Example",
    "Intent",
    "IntentClassifier",
    "IntentModel",
    "IntentModelError",
    "LLMEscalation",
    "evaluate_decisions",
    "load_intent_model",
    "read_examples",
]
