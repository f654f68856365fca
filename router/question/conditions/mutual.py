"""Links that hold both ways, such as friendship, and the relationship that a value qualifies."""

from router.catalog.identifiers import words_of
from router.catalog.model import Catalog
from router.catalog.paths import SchemaStep
from router.question.draft import Draft
from router.question.form import (
    AllCondition,
    AnyCondition,
    Condition,
    LinkCondition,
    LinkStep,
    ValueCondition,
)
from router.question.language.mentions import Mentions
from router.question.language.value_mentions import ValueMention

MUTUAL = frozenset(
    (
        *("friend", "friends", "friendship", "knows", "know", "married", "spouse", "sibling"),
        *("siblings", "colleague", "colleagues", "connected", "connects", "similar", "adjacent"),
        *("neighbour", "neighbor", "neighbours", "neighbors", "borders", "adjoins", "related"),
        *("partner", "partners", "ally", "allies", "cousin", "cousins"),
    )
)


def is_mutual(catalog: Catalog, step: SchemaStep) -> bool:
    """Return True for a link that holds both ways: the friends of X name X or are named by X."""
    link = catalog.visible_links[step.link]
    return link.start == link.end and bool(set(words_of(link.name)) & MUTUAL)


def either_way(
    step: SchemaStep, conditions: list[ValueCondition], *, negated: bool
) -> AnyCondition | AllCondition:
    """Return that either end of a mutual link meets the conditions, or that neither does."""
    directions = tuple(
        LinkCondition(
            step=LinkStep(link=step.link, reverse=reverse),
            conditions=tuple(conditions),
            negated=negated,
        )
        for reverse in (False, True)
    )
    return AllCondition(conditions=directions) if negated else AnyCondition(conditions=directions)


def qualified_links(value: ValueMention, mentions: Mentions) -> frozenset[str]:
    """Return the relationships of "friends of X" and "X's friends", where a property says "friend"."""
    possessive = mentions.tokens[value.end - 1].possessive
    before = mentions.tokens[value.start - 1].folded if value.start else ""
    for other in mentions.values:
        beside = other.end == value.start - 1 if before == "of" else other.start == value.end
        if beside and (before == "of" or possessive):
            return frozenset(entry.link for entry in other.entries if entry.link)
    return frozenset()


def join_properties(draft: Draft) -> None:
    """Put what qualifies a mutual relationship where its other end is named: "friends of X"."""
    for link in list(draft.root.branches):
        qualified = link.properties and not link.negated and not link.branch.conditions
        for place, condition in enumerate(draft.root.conditions if qualified else ()):
            if _follows(condition, link.step.link):
                draft.root.conditions[place] = _qualify(condition, link.properties)
                draft.root.branches.remove(link)
                break


def _follows(condition: Condition, link: str) -> bool:
    inner = condition.conditions if isinstance(condition, AnyCondition) else ()
    return any(isinstance(each, LinkCondition) and each.step.link == link for each in inner)


def _qualify(condition: Condition, properties: list[ValueCondition]) -> Condition:
    inner = condition.conditions if isinstance(condition, AnyCondition) else ()
    return AnyCondition(
        conditions=tuple(
            each.model_copy(update={"properties": tuple(properties)}) for each in inner
        )
    )
