"""Questions about what the handbook says: written beside each page, one or two from each."""

import random
from collections.abc import Iterator

from sluice.demo.company.model import Company
from sluice.demo.company.questions.labeled_question import LabeledQuestion, make_question


def questions(company: Company, rng: random.Random) -> Iterator[LabeledQuestion]:
    for page in company.pages:
        for text in page.questions:
            yield make_question(_with_typo(text, rng), "semantic", {page.id})


TYPO_SHARE = 0.04
LONG_WORD_LETTERS = 6  # letters; shorter words are rarely mistyped


def _with_typo(text: str, rng: random.Random) -> str:
    """Swap two neighbouring letters of a long word in some questions."""
    words = text.split()
    long = [at for at, word in enumerate(words) if len(word) > LONG_WORD_LETTERS and word.islower()]
    if not long or rng.random() >= TYPO_SHARE:
        return text
    at = rng.choice(long)
    cut = rng.randint(1, len(words[at]) - 3)
    word = words[at]
    words[at] = word[:cut] + word[cut + 1] + word[cut] + word[cut + 2 :]
    return " ".join(words)
