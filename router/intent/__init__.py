"""What a question asks for: graph, temporal, semantic, metadata, or nothing we can answer.

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
