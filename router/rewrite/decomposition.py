"""Decomposition and keyword extraction without a language model."""

import re

from router.rewrite.normalization import protected_terms

MAX_PARTS = 4

_ASK_WORDS = (
    r"(?:who|what|when|where|which|why|how|list|show|find|give|tell|compare|explain|summari[sz]e|"
    r"describe|trace|count|filter|search|map|track)\b"
)
_BOUNDARY = re.compile(
    rf"(?:\?|;)\s{{1,9}}(?:(?:and|also|then)\s{{1,9}})*|[.!]\s{{1,9}}(?={_ASK_WORDS})"
    rf"|,?\s{{1,9}}(?:and then|and also|as well as|and|then|also)\s{{1,9}}(?:also\s{{1,9}})?(?={_ASK_WORDS})"
    rf"|,\s{{1,9}}(?={_ASK_WORDS})",
    re.IGNORECASE,
)
_ASK_START = re.compile(rf"(?:please\s+|can you\s+|could you\s+)?{_ASK_WORDS}", re.IGNORECASE)
# Such a part only makes sense after the one before it.
_BACK_REFERENCE = re.compile(
    r"\b(?:it|its|they|them|their|those|these|he|she|him|his|her|each|both|one|ones|"
    r"the (?:same|former|latter|others?|results?))\b",
    re.IGNORECASE,
)
# "who works where" or "show what changed": the second ask belongs to the first.
_PART_WORDS_MIN = 3  # words
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")
_FILLER = re.compile(
    r"a|about|all|an|and|any|are|be|can|could|did|do|does|find|for|from|get|give|had|has|have|how|"
    r"i|in|is|it|know|like|list|look|looking|me|my|need|of|on|our|please|search|show|some|tell|that|"
    r"the|there|these|this|those|to|us|want|was|we|were|whats?|when|where|which|who|whose|why|will|"
    r"with|would|you|your"
)


def decompose(query: str) -> tuple[str, ...]:
    """Return the sub-questions that can each be asked alone; a single question gives itself."""
    pieces = _pieces(query)
    undivided = (query.strip(),)
    if not 1 < len(pieces) <= MAX_PARTS:
        return undivided
    are_independent = all(
        _ASK_START.match(piece) and len(piece.split()) >= _PART_WORDS_MIN for piece in pieces
    )
    refers = any(_BACK_REFERENCE.search(piece) for piece in pieces[1:])
    return tuple(pieces) if are_independent and not refers else undivided


def _pieces(query: str) -> list[str]:
    quoted = [match.span() for match in _QUOTED.finditer(query)]
    pieces, start = [], 0
    for match in _BOUNDARY.finditer(query):
        if any(left < match.start() < right for left, right in quoted):
            continue
        pieces.append(query[start : match.start()])
        start = match.end()
    pieces.append(query[start:])
    return [piece.strip(" ,;?") for piece in pieces if piece.strip(" ,;?")]


def extract_keywords(query: str) -> str:
    """Return the meaningful words without the phrase around them; protected terms remain."""
    fixed = set(protected_terms(query))
    words = [
        word
        for word in re.findall(r"'[^']*'|\"[^\"]*\"|[^\s?!,;]+", query)
        if word in fixed or not _FILLER.fullmatch(word.lower().strip("'."))
    ]
    return " ".join(words) or query
