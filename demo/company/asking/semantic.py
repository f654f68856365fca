"""Questions about what the handbook says: written beside each page, one or two from each."""

import random
from collections.abc import Iterator

from demo.company.asking.question import Question, ask
from demo.company.model import World


def questions(world: World, rng: random.Random) -> Iterator[Question]:
    for page in world.pages:
        for text in page.questions:
            yield ask(_as_typed(text, rng), "semantic", {page.id})


TYPO_SHARE = 0.04
LONG = 6  # letters; shorter words are rarely mistyped


def _as_typed(text: str, rng: random.Random) -> str:
    """Now and then two neighbouring letters of a long word change places."""
    words = text.split()
    long = [at for at, word in enumerate(words) if len(word) > LONG and word.islower()]
    if not long or rng.random() >= TYPO_SHARE:
        return text
    at = rng.choice(long)
    cut = rng.randint(1, len(words[at]) - 3)
    word = words[at]
    words[at] = word[:cut] + word[cut + 1] + word[cut] + word[cut + 2 :]
    return " ".join(words)
