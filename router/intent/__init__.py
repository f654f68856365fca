"""What a question asks for: graph, temporal, semantic, metadata, or nothing we can answer.

Training lives in ``router.intent.training``; it needs scikit-learn, which serving never imports.
"""

from router.intent.classifier import Escalation, IntentClassifier
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
    "load",
]
