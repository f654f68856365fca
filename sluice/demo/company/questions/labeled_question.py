"""A question with its intent and its answers."""

from collections.abc import Iterable
from dataclasses import dataclass

BACKENDS = {
    "graph": "graph",
    "temporal": "postgres",
    "semantic": "qdrant",
    "metadata": "postgres",
    "out_of_scope": "qdrant",
}
"""The store that answers each intent best. Nothing answers what is out of scope; the vector store,
which always returns near records, is the least wrong."""


@dataclass(frozen=True, slots=True)
class LabeledQuestion:
    """A question. ``answers`` holds ids of records; any of them at the top answers the question.

    ``backend`` is ``graph``, ``postgres`` or ``qdrant``: the store that answers it best.
    """

    text: str
    intent: str
    answers: frozenset[str]
    backend: str


def make_question(text: str, intent: str, answers: Iterable[str]) -> LabeledQuestion:
    return LabeledQuestion(text, intent, frozenset(answers), BACKENDS[intent])
