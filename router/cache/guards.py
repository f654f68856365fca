"""Are two questions the same? Nearness of vectors alone can't tell.

"Flights from A to B" and its reversal have a cosine of 0.99. So a near question only counts as the
same when what it names agrees: content words, numbers, dates, negation, comparison, and the order
of names. A missed hit costs milliseconds, a wrong hit costs an answer: when in doubt, no.
"""

import re

from router.backends.words import STOPWORDS, fold, stem

# Words that change how one asks, not what one asks for.
_POLITE = frozenset(
    stem(word)
    for word in [
        "please",
        "kindly",
        "need",
        "want",
        "know",
        "way",
        "explain",
        "describe",
        "information",
        "info",
        "details",
        "detail",
        "question",
        "help",
        "looking",
        "look",
        "search",
        "tell",
        "show",
        "display",
        "give",
        "list",
        "regarding",
        "concerning",
        "currently",
        "exactly",
        "actually",
        "just",
        "also",
        "there",
        "anything",
        "something",
    ]
)
_SYNONYMS = {
    stem(word): stem(group.split()[0])
    for group in (
        "begin start commence",
        "purchase buy",
        "lorry truck trucks lorries",
        "firm company companies",
        "repair fix mend",
        "error failure fault",
        "phone telephone",
        "staff employees personnel",
    )
    for word in group.split()
}
_NEGATIONS = frozenset(
    ["not", "no", "never", "without", "except", "excluding", "neither", "nor", "none"]
)
_DIRECTIONS = frozenset(
    [
        "from",
        "to",
        "by",
        "before",
        "after",
        "than",
        "into",
        "onto",
        "over",
        "under",
        "above",
        "below",
        "between",
        "since",
        "until",
        "for",
        "with",
        "against",
        "toward",
        "towards",
        "via",
        "through",
    ]
)
# "> 5000" is not "< 5000", and -18 is not 18.
_SYMBOLS = re.compile(r"[<>=!~%+\u20ac$\u00a3]|(?<!\w)-(?=\d)")
_ASKS = frozenset(
    ["who", "what", "when", "where", "which", "why", "how", "whose", "whom", "many", "much"]
)


def same_question(one: str, other: str) -> bool:
    """True only when the two certainly ask for the same."""
    if _negations(one) != _negations(other) or _asks(one) != _asks(other):
        return False
    if _SYMBOLS.findall(one) != _SYMBOLS.findall(other):
        return False
    if _directions(one) != _directions(other):
        return False
    first, second = _meaning(one), _meaning(other)
    if sorted(first) != sorted(second):
        return False
    return first == second or not _order_matters(one, other)


def _words(text: str) -> list[str]:
    return fold(re.sub(r"n['\u2019]t\b", " not", text)).split()


def _negations(text: str) -> int:
    return sum(word in _NEGATIONS for word in _words(text))


def _directions(text: str) -> list[str]:
    """From and to, over and under, before and after: each is half of a question's meaning."""
    return sorted(word for word in _words(text) if word in _DIRECTIONS)


def _asks(text: str) -> set[str]:
    """Who and when ask for different things; which and what do not."""
    asked = {word for word in _words(text) if word in _ASKS}
    return {"what" if word == "which" else word for word in asked}


def _meaning(text: str) -> list[str]:
    """Content words in order, in one spelling per meaning; numbers and ids are among them."""
    stems = (stem(word) for word in _words(text) if word not in STOPWORDS | _NEGATIONS)
    return [_SYNONYMS.get(word, word) for word in stems if word not in _POLITE]


def _order_matters(one: str, other: str) -> bool:
    """Reordered words are safe only where nothing says who does what to whom."""
    directed = any(word in _DIRECTIONS for text in (one, other) for word in _words(text))
    return directed or max(len(_names(one)), len(_names(other))) > 1


def _names(text: str) -> list[str]:
    """Runs of capitalised words and numbers after the first word."""
    return re.findall(
        r"(?<!^)\b(?:[A-Z\u00c0-\u00de][\w-]*(?: [A-Z\u00c0-\u00de][\w-]*)*|\w*\d[\w-]*)", text
    )
