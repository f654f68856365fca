"""Modifiers of a question that had no effect on its form: they are named, never dropped.

A negation, a superlative, an aggregate, "or" and "than" change an answer, yet a reading may fail to use
them. Each that no condition, order or aggregate took up is returned in the question's own words.
"""

from collections.abc import Collection, Iterator

from router.catalog.identifiers import phrase_of, singular, words_of
from router.catalog.model import CatalogKind
from router.question.draft import Draft
from router.question.far_ends import PLACES, Candidate, asks_for_others, unnamed_by
from router.question.form import AllCondition, AnyCondition, Condition, ValueCondition, walk
from router.question.language.grammar import (
    EXTREMES,
    FUNCTION_WORDS,
    LIGHT_WORDS,
    MODIFIERS,
    NEGATIONS,
    PREPOSITIONS,
    WHO,
    superlative,
)
from router.question.language.mentions import Mentions
from router.question.language.text_questions import PLAIN

LIGHT = 0.25
NAMED_MIN = 0.6
"""Sureness from which words name a kind."""
SPOKEN_MIN = 0.3
"""What must speak for a kind that no word names, such as a person behind "who"."""
HIDDEN_WORDS_MAX = 4


def is_content(word: str) -> bool:
    """Return True for a word that means something by itself."""
    return word not in FUNCTION_WORDS and word not in LIGHT_WORDS and word not in WHO


def word_weight(word: str) -> float:
    """Return how much a word counts when a reading does not account for it, 0 to 1."""
    if word in FUNCTION_WORDS or word in WHO:
        return 0.0
    return LIGHT if word in LIGHT_WORDS else 1.0


def kind_names(mentions: Mentions) -> set[int]:
    """Return the places of words that are kinds' own names, however light they are in English.

    So are the columns' own names right behind "what": "what number does X race with".
    """
    before = ["", *(token.folded for token in mentions.tokens)]
    return {
        place
        for mention in mentions.terms
        if any(term.exact for term in mention.of("kind"))
        or (before[mention.start] in _ASKING and any(t.exact for t in mention.of("column")))
        for place in range(mention.start, mention.end)
    }


_ASKING = frozenset(("what", "which"))


def is_unspoken(draft: Draft, candidate: Candidate, mentions: Mentions) -> bool:
    """Return True where nothing in the question is about rows of the kind that answers."""
    shown = draft.order is None and bool(draft.select)
    own = shown or bool(draft.root.conditions or draft.measures or draft.negated)
    ordered = draft.order is not None and not draft.order.measure.path
    ordered = ordered and _names_measure(draft, mentions)
    summed = draft.aggregate is not None and draft.aggregate.column is not None
    return (
        candidate.mention is None
        and candidate.prior <= SPOKEN_MIN
        and not (own or ordered or summed)
    )


def _names_measure(draft: Draft, mentions: Mentions) -> bool:
    """Return True where words name the column that orders the rows: "the highest freight"."""
    measured = draft.kind, draft.order.measure.column if draft.order else None
    return any(
        (term.kind, term.column) == measured and term.weight >= NAMED_MIN
        for mention in mentions.terms
        for term in mention.of("column")
    )


def taken_words(draft: Draft, mentions: Mentions, candidate: Candidate) -> Iterator[str]:
    """Yield the words that are only near what they were taken for: a guess is named."""
    mention, term = candidate.mention, candidate.term
    if mention is not None and term is not None and not term.exact and term.weight < NAMED_MIN:
        words = mentions.words(mention.start, mention.end)
        yield f"{words} (taken for {phrase_of(candidate.kind)})"
    unnamed = unnamed_by(mentions)
    if unnamed and candidate.mention is None:
        yield f"{unnamed} (taken for {phrase_of(candidate.kind)})"
    elif is_unspoken(draft, candidate, mentions):
        yield f"what is asked for (taken for {phrase_of(candidate.kind)})"


def unused_modifiers(draft: Draft, mentions: Mentions, hidden: Collection[str]) -> list[str]:
    """Return the modifiers without effect, and words for what is ``hidden``, each once."""
    places = _covered_places(mentions)
    unused = [*_negations(draft, mentions, places), *_alternatives(draft, mentions, places)]
    unused += _hidden_words(mentions, hidden)
    for place, token in enumerate(mentions.tokens):
        before = mentions.tokens[place - 1].folded if place else ""
        if (
            place in places
            or draft.used.get(place)
            or token.quoted
            or before in ("other", "rather")
        ):
            continue
        if token.folded in _DETERMINERS and _names_asked(draft, mentions, place + 1):
            continue
        if token.folded == "still" and not _states(draft, mentions, place + 1):
            unused.append(token.text)
        graded = token.folded in EXTREMES or superlative(token.folded) is not None
        if token.folded in MODIFIERS or (graded and token.folded not in PLAIN):
            unused.append(token.text)
    return list(dict.fromkeys(unused))


def clause_words(draft: Draft, mentions: Mentions) -> Iterator[str]:
    """Yield the light verb that ends a clause and had no effect: "drinks that are still sold"."""
    words = [token.folded for token in mentions.tokens]
    for place, word in enumerate(words):
        ends = place + 1 == len(words) or not mentions.tokens[place + 1].is_word
        if word not in LIGHT_WORDS or draft.used.get(place) or not (ends or words[:1] == ["who"]):
            continue
        before = words[max(place - 3, 0) : place]
        if before == ["who"] and draft.root.branches and word not in _STATES:
            yield mentions.tokens[place].text  # "who made X" is not any link to X
        if ends and set(before) & _BEING and set(before) & _RELATIVE:
            yield mentions.tokens[place].text


_STATES = frozenset(
    (
        "work",
        "works",
        "worked",
        "working",
        "live",
        "lives",
        "living",
        "located",
        "based",
        "involved",
    )
)
_RELATIVE = frozenset(("that", "which", "who"))


def is_miscounted(draft: Draft, mentions: Mentions) -> bool:
    """Return True where a number or a time had no effect."""
    spans = [(each.start, each.end) for each in mentions.dates]
    spans += [(each.start, each.end) for each in mentions.comparisons if each.marked]
    return any(not draft.used.get(end - 1) for _, end in spans)


def miscounted_words(
    draft: Draft, mentions: Mentions, facts: CatalogKind, *, people: bool
) -> list[str]:
    """Return the noun behind "how many" where something else is counted, or one row that it names.

    ``people`` is True where the rows are people.
    """
    if draft.aggregate is None or draft.aggregate.function != "count":
        return []
    own = [each for each in draft.root.conditions if isinstance(each, ValueCondition)]
    titled = {each.column for each in own if not each.negated and len(each.values) == 1}
    if titled >= {*facts.title} != set() or titled >= {*facts.key} != set():
        return [f"how many (taken for rows of {phrase_of(draft.kind)} with one name)"]
    words = [token.folded for token in mentions.tokens]
    if words[:2] != ["how", "many"] or len(words) < len(("how", "many", "what")):
        return []
    noun = words[2]
    if noun in _PEOPLE:
        return [] if people else [mentions.tokens[2].text]
    return [] if not is_content(noun) or draft.used.get(2) else [mentions.tokens[2].text]


_PEOPLE = frozenset(("people", "persons"))


def unanswered_words(draft: Draft, mentions: Mentions, facts: CatalogKind) -> list[str]:
    """Return "who", "what" or "where" where a draft only shows the row that the question names.

    "What did order 7 contain" does not ask for order 7. A row says where it is if it has a place.
    """
    words = [token.folded for token in mentions.tokens]
    own = [each for each in draft.root.conditions if isinstance(each, ValueCondition)]
    named = any(each.column in (*facts.key, *facts.title) and not each.negated for each in own)
    if words[:1] == ["where"] and (named or draft.root.branches):
        placed = any(PLACES & {words_of(column)[-1]} for column in facts.visible)
        placed |= bool(PLACES & {*words_of(draft.kind)} or draft.select)
        return [] if placed else [mentions.tokens[0].text]
    shown = bool(draft.select or draft.order or draft.aggregate is not None)
    if not named or shown or words[:1] not in (["what"], ["who"], ["whom"], ["which"], ["whose"]):
        return []
    of = "of" in words or any(token.possessive for token in mentions.tokens)
    beside = len(words) > 1 and words[1] in _BEING and of
    does = (
        words[0] == "what" and len(words) > 1 and words[1].endswith("s") and words[1] not in _BEING
    )
    asks = asks_for_others(mentions) or beside or does  # "what goes into X"
    asks = asks or (words[0] == "who" and _is_governed(draft, mentions)) or words[0] == "whose"
    return [mentions.tokens[0].text] if asks else []


def _is_governed(draft: Draft, mentions: Mentions) -> bool:
    """Return True for "who works under X": a verb and a preposition in front of the one name."""
    values = [each for each in mentions.values if draft.used.get(each.start)]
    before = [token.folded for token in mentions.tokens[: values[0].start]] if values else []
    verb = len(before) > len(("who", "with")) and before[1] not in _BEING
    return len(values) == 1 and verb and before[-1] in _GOVERNING


_GOVERNING = (PREPOSITIONS - {"of", "about"}) | {"to", "after", "before", "against"}
_BEING = frozenset(("is", "was", "are", "were"))


def _names_asked(draft: Draft, mentions: Mentions, place: int) -> bool:
    """Return True for "every doctor" of a list of doctors, which means all of them."""
    names_kind = any(
        term.kind == draft.kind
        for mention in mentions.terms
        if mention.start == place
        for term in mention.of("kind")
    )
    return names_kind and draft.aggregate is None and draft.order is None


def _states(draft: Draft, mentions: Mentions, place: int) -> bool:
    """Return True where a value or a column behind "still" restricts the rows: "still open"."""
    named = {value.start for value in mentions.values}
    named |= {mention.start for mention in mentions.terms if any(mention.of("column"))}
    return place in named and bool(draft.used.get(place))


_DETERMINERS = frozenset(("each", "every"))


def _covered_places(mentions: Mentions) -> frozenset[int]:
    """Return the places of numbers, times and values, whose words mean nothing by themselves."""
    spans = [(number.start, number.end) for number in mentions.comparisons if number.marked]
    spans += [(mention.start, mention.end) for mention in mentions.dates]
    spans += [(mention.start, mention.end) for mention in mentions.values]
    return frozenset(place for start, end in spans for place in range(start, end))


def _negations(draft: Draft, mentions: Mentions, places: frozenset[int]) -> Iterator[str]:
    if draft.negated or any(mention.negated for mention in mentions.dates):
        return
    for place, token in enumerate(mentions.tokens):
        if token.folded in NEGATIONS and place not in places and not token.quoted:
            yield token.text


def _alternatives(draft: Draft, mentions: Mentions, places: frozenset[int]) -> Iterator[str]:
    """Yield "or" where no condition has alternatives."""
    conditions = draft.form().conditions
    if any(_has_alternatives(condition) for condition in walk(conditions)):
        return
    for place, token in enumerate(mentions.tokens):
        if (
            token.folded == "or"
            and place not in places
            and not token.quoted
            and len(conditions) > 1
        ):
            yield token.text


def _has_alternatives(condition: Condition) -> bool:
    if isinstance(condition, ValueCondition):
        return len(condition.values) > 1 or condition.negated
    return isinstance(condition, AnyCondition | AllCondition)


def _hidden_words(mentions: Mentions, hidden: Collection[str]) -> Iterator[str]:
    """Yield the words that name only what the catalogue hides: nothing near may stand in for it."""
    tokens = mentions.tokens
    for start in range(len(tokens)) if hidden else ():
        for end in range(start + 1, min(start + HIDDEN_WORDS_MAX, len(tokens)) + 1):
            words = (singular(token.folded) for token in tokens[start:end])
            if " ".join(words) in hidden:
                yield mentions.words(start, end)
