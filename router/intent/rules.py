"""The first tier: rules for unmistakable wordings, decided in microseconds.

A rule decides only when the signs of exactly one intent are present. "similar documents where
status = 'final'" has signs of two and is left to the model.
"""

import re

from router.intent.labels import Intent

# Of the project's own questions that a rule decides, at least 99 % must be right (a test measures).
RULE_CONFIDENCE = 0.99

_PATTERNS: dict[str, tuple[str, ...]] = {
    "metadata": (
        r"\w\s*(?:=|!=|<>|[<>]=?)\s*'[^']*'",
        r'\w\s*(?:=|!=|<>|[<>]=?)\s*"[^"]*"',
        r"\w\s*(?:=|!=|[<>]=?)\s*\S+\s+(?:and|or)\s+\w+\s*(?:=|!=|[<>]=?)\s*\S",
        r"\b(?:id|status|type|name|country|region)\s+in\s*\(",
        r"\bselect\b.+\bfrom\b.+\bwhere\b",
    ),
    "graph": (
        r"\bwho (?:reports?|does .+ report) to\b",
        r"\breports? (?:directly )?to the\b",
        r"\bwithin \d+ (?:hops?|steps?|degrees?)\b",
        r"\bshortest path (?:between|from)\b",
        r"\b(?:org|organi[sz]ation(?:al)?) chart\b",
        r"\b(?:upstream|downstream|circular) dependenc(?:y|ies)\b",
    ),
    "temporal": (
        r"\b(?:audit (?:trail|log)|(?:version|change|revision|edit) (?:history|log)|changelog)\b",
        r"\bwhen (?:was|were|did) .*\blast (?:\w+ed|seen|run|paid|sent)\b",
        r"\bhow (?:has|have|did) .+ (?:over (?:the|time)|since|year over year)\b",
        r"\byear over year\b",
        r"\btimeline of (?:the )?(?:events|incident)\b",
    ),
    "semantic": (
        r"\b(?:documents?|docs|articles?|papers?|reports?|content|materials?)"
        r" (?:about|on the topic of|discussing|similar to|similar in meaning to)\b",
        r"\b(?:best practices|lessons learned) (?:for|on|about|from)\b",
        r"\bsemantically (?:similar|related|close|matching)\b",
    ),
}
_COMPILED_PATTERNS = {
    intent: tuple(re.compile(sign, re.IGNORECASE) for sign in signs)
    for intent, signs in _PATTERNS.items()
}
# Not enough to decide, but enough to doubt another rule.
_AMBIGUITY_PATTERNS = {
    "metadata": re.compile(
        r"[<>=]|\b(?:where|filter|tagged|flagged|labell?ed|created by|written by|authored by|signed by|priced)\b",
        re.IGNORECASE,
    ),
    "temporal": re.compile(
        r"\b(?:histor\w+|chang\w+|evol\w+|over time|since|trend\w*|last (?:week|month|quarter|year))\b",
        re.IGNORECASE,
    ),
    "semantic": re.compile(r"\b(?:similar\w*|semantic\w*|concept\w*|themat\w*)\b", re.IGNORECASE),
    "graph": re.compile(
        r"\b(?:connect\w*|link\w*|depend\w*|relationships?|graph|network|hierarch\w*|topolog\w*)\b",
        re.IGNORECASE,
    ),
}
_SMALL_TALK = re.compile(
    r"(?:hi|hello|hey|yo|good (?:morning|afternoon|evening|night)|thanks?(?: you| a lot)?|bye|goodbye|"
    r"ok(?:ay)?|how are you(?: doing)?|who are you|what(?:'s| is) your name)[\s!.?]*",
    re.IGNORECASE,
)
_INJECTION = re.compile(
    r"\b(?:ignore|forget|disregard) (?:all |any |your |the |everything )*"
    r"(?:previous|prior|above|earlier)\b|\bsystem prompt\b",
    re.IGNORECASE,
)
_LETTER = re.compile(r"\w")


def classify_by_rules(query: str) -> Intent | None:
    """Return the intent when the wording is unmistakable, else None."""
    if _is_out_of_scope(query):
        return Intent("out_of_scope", RULE_CONFIDENCE, "rules")
    hits = [
        name
        for name, signs in _COMPILED_PATTERNS.items()
        if any(sign.search(query) for sign in signs)
    ]
    if len(hits) != 1:
        return None
    doubts = {
        name for name, sign in _AMBIGUITY_PATTERNS.items() if name != hits[0] and sign.search(query)
    }
    return None if doubts else Intent(hits[0], RULE_CONFIDENCE, "rules")


def _is_out_of_scope(query: str) -> bool:
    return bool(
        not _LETTER.search(query)
        or _SMALL_TALK.fullmatch(query.strip())
        or _INJECTION.search(query)
    )
