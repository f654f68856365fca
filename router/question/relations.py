"""Ways of links that a value is meant by: "who directed X", "X's boss", "films X appeared in".

A way scores by the words that name its links. A verb has an agent: the value before it, or the one
behind "by". So the same words tell "who directed X" from "who did X direct".
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from router.catalog.hierarchy import HIERARCHY, SUPERIORS, superior_end
from router.catalog.identifiers import words_of
from router.catalog.model import Catalog, CatalogLink
from router.catalog.paths import LOOSE_COST, SchemaPath, SchemaPaths, SchemaStep
from router.catalog.word_forms import abbreviates
from router.question.form import LinkStep
from router.question.language.grammar import WHO
from router.question.language.mentions import Mentions
from router.question.language.term_mentions import TermMention
from router.question.language.value_mentions import ValueMention

STEP_COST = 0.3
LINK_NAMED = 0.8
KIND_NAMED = 0.15
COUNTED_MIN = 0.55
"""Sureness from which a noun names a link that is counted."""
WRONG_WAY = 0.5
PEERS_SAME = 1.0
_PEERS = frozenset(("co", "fellow", "colleague", "colleagues", "coworkers", "costars", "peers"))
UNNAMED_ROLE = 0.08
"""Cost of a key with a name of its own, such as "advisor", that no word says."""
ATTACHED = 0.6
"""Bonus of a way through the rows that a value belongs to: "students in courses of X"."""
USUAL = 0.12
"""Bonus of the most frequent of several links between the same kinds."""


@dataclass(frozen=True, slots=True)
class ScoredPath:
    """A way and its score; ``mentions`` are the words that it accounts for."""

    path: SchemaPath
    score: float
    mentions: tuple[tuple[TermMention, float], ...]


class Relations:
    """Scores ways of one catalogue."""

    def __init__(self, catalog: Catalog, paths: SchemaPaths) -> None:
        self._catalog = catalog
        self._paths = paths
        self._links = catalog.visible_links
        self._shares = _shares(catalog)
        self._roles = frozenset(
            name for name, link in self._links.items() if _is_role(link, catalog)
        )

    def score_path(
        self, path: SchemaPath, value: ValueMention, mentions: Mentions, target: str
    ) -> ScoredPath:
        """Score one way from ``target`` to the kind of ``value``."""
        score, named_terms, taken = 0.0, list[tuple[TermMention, float]](), list[TermMention]()
        for place, step in enumerate(path):
            score -= STEP_COST * step.cost
            mention = mentions.links.get(step.link)
            if mention is not None:
                term, weight = mention
                fits = self._fits(path, place, (term, value), (mentions, target))
                fresh = all(term is not earlier for earlier in taken)
                score += LINK_NAMED * weight * fresh if fits else -WRONG_WAY
                named_terms.append((term, weight))
                taken.append(term)
            else:
                score -= UNNAMED_ROLE * (step.link in self._roles)
            score += USUAL * self._shares[step.link]
            if place < len(path) - 1:
                between = self._kind_named(step.end, mentions)
                if between is not None:
                    score += KIND_NAMED + ATTACHED * (
                        step.end != target and _is_attached(between, value, mentions)
                    )
                    named_terms.append((between, 0.9))
        score -= LOOSE_COST * STEP_COST * self._paths.loose(path)
        return ScoredPath(path, score + self._peers(path, mentions), tuple(named_terms))

    @staticmethod
    def _peers(path: SchemaPath, mentions: Mentions) -> float:
        """There and back along one link is meant by "co-stars" and "fellow members" only."""
        repeats_link = len(path) == len(("there", "back")) and path[0].link == path[1].link
        if not repeats_link or path[0].reverse == path[1].reverse:
            return 0.0
        return PEERS_SAME if any(t.folded in _PEERS for t in mentions.tokens) else -WRONG_WAY

    def counted_link(self, kind: str, mention: TermMention, mentions: Mentions) -> LinkStep | None:
        """Return the link that a noun counts: "dependencies" for DEPENDS_ON, "followers" back."""
        other_weight = max((t.weight for t in mention.terms if t.sort != "link"), default=0.0)
        for term in mention.of("link"):
            link = self._links[term.link]
            if (
                term.column
                or term.weight <= other_weight
                or term.weight < COUNTED_MIN
                or kind not in (link.start, link.end)
            ):
                continue
            word = mentions.tokens[mention.start].folded
            if link.start == link.end and self._singular(word) in HIERARCHY:
                upper = (superior_end(link) or "end") == "end"
                return LinkStep(
                    link=term.link, reverse=upper != (self._singular(word) in SUPERIORS)
                )
            agents = mentions.tokens[mention.start].folded.rstrip("s").endswith(("er", "or", "fan"))
            reverse = link.start != kind or (link.end == kind and agents)
            return LinkStep(link=term.link, reverse=reverse)
        return None

    def _kind_named(self, kind: str, mentions: Mentions) -> TermMention | None:
        for mention in mentions.terms:
            for term in mention.of("kind"):
                if term.kind == kind:
                    return mention
        return None

    def _fits(
        self,
        path: SchemaPath,
        place: int,
        words: tuple[TermMention, ValueMention],
        question: tuple[Mentions, str],
    ) -> bool:
        """Return False where the words say the opposite direction."""
        step, (mention, value), (mentions, target) = path[place], words, question
        link = self._links[step.link]
        is_exact = mention.end - mention.start > 1 and any(t.exact for t in mention.of("link"))
        spoken = mentions.tokens[mention.start].folded
        is_hierarchical = link.relationship is None or self._singular(spoken) in HIERARCHY
        if link.start == link.end and is_hierarchical and not is_exact:
            between = {t.folded for t in mentions.tokens[mention.end : value.start]}
            is_behind = value.start >= mention.end
            passive = spoken.endswith("ed") and between == {"by"}  # "mentored by X"
            asked = mention.start > 0 and mentions.tokens[mention.start - 1].folded in WHO
            acted = asked and not passive and self._singular(spoken) not in HIERARCHY
            under = mention.end - mention.start > 1 and spoken.startswith("work")
            spoken = "report" if under else spoken
            apposed = is_behind and (between <= _APPOSING or passive) and not (acted or under)
            return self._hierarchy(step, spoken, apposed=apposed)
        if link.relationship is None and link.start != link.end:
            return True
        agent = agent_of(mention, mentions)
        if agent is None:  # the asked kind does it
            possible = link.start == target
            return not possible or (place == 0 and not step.reverse)
        is_agent = (agent.start, agent.end) == (value.start, value.end)
        return place == len(path) - 1 and step.reverse if is_agent else place != len(path) - 1

    def _hierarchy(self, step: SchemaStep, spoken: str, *, apposed: bool) -> bool:
        """Return True where the end near the asked kind is the one that "boss" or "team" names.

        ``apposed``: in "manager Nancy Edwards" and "whose manager is X" the value is the manager.
        """
        link = self._links[step.link]
        upper = superior_end(link) or "end"
        near = "end" if step.reverse else "start"
        word = self._singular(spoken)
        # The column of a foreign key is called as its far end: "mentor", "advisor".
        above = word in SUPERIORS or (link.relationship is None and word not in HIERARCHY)
        return (near == upper) == (above != apposed)

    @staticmethod
    def _singular(word: str) -> str:
        return word if word in HIERARCHY else word.removesuffix("s").removesuffix("'")


def _is_role(link: CatalogLink, catalog: Catalog) -> bool:
    """Return True for a key that is not called as the kind it leads to."""
    kind = catalog.kinds[link.end]
    names = [*words_of(link.end), *(word for words in kind.words for word in words.split())]
    last = words_of(link.name)[-1]
    similar = any(last[:3] == name[:3] or abbreviates(last, name) for name in names)
    return link.relationship is None and link.start != link.end and not similar


def _is_attached(kind: TermMention, value: ValueMention, mentions: Mentions) -> bool:
    """Return True for "courses of Samir Haddad": one preposition between a kind and a value."""
    between = [token.folded for token in mentions.tokens[kind.end : value.start]]
    named = any(term.exact for term in kind.of("kind"))
    return named and len(between) == 1 and between[0] in _OWNING


_OWNING = frozenset(("of", "by", "from"))


def _shares(catalog: Catalog) -> Mapping[str, float]:
    """Return each link's share of the rows among the links between the same kinds."""
    links, rows, counts = (
        catalog.visible_links,
        Counter[frozenset[str]](),
        Counter[frozenset[str]](),
    )
    for link in links.values():
        ends = frozenset((link.start, link.end))
        rows[ends] += link.rows or 0
        counts[ends] += 1
    pairs = {name: frozenset((link.start, link.end)) for name, link in links.items()}
    return {
        name: (links[name].rows or 0) / max(rows[ends], 1) if counts[ends] > 1 else 0.0
        for name, ends in pairs.items()
    }


def agent_of(mention: TermMention, mentions: Mentions) -> ValueMention | None:
    """Return the value that does what ``mention`` says; None where the asked kind does it.

    "by X" behind a verb is its agent, else the value right before it, else, in "did X direct", the
    one between the auxiliary and the verb. "director X" names the agent itself.
    """
    values_after = [value for value in mentions.values if value.start >= mention.end]
    if values_after:
        between = [token.folded for token in mentions.tokens[mention.end : values_after[0].start]]
        role = next(mention.of("role"), None) is not None
        follows_who = mention.start > 0 and mentions.tokens[mention.start - 1].folded in WHO
        if "by" in between or (role and not between and not follows_who):
            return values_after[0]
        if role:
            return None
    article = [token.folded for token in mentions.tokens[max(mention.start - 2, 0) : mention.start]]
    earlier = [value for value in mentions.values if value.end <= mention.start]
    if "as" in article and earlier:
        return earlier[-1]  # "that X worked with as an actress"
    before = [value for value in mentions.values if value.end <= mention.start]
    if not before:
        return None
    words = [token.folded for token in mentions.tokens[before[-1].end : mention.start]]
    return before[-1] if len(words) <= AGENT_GAP and not set(words) & _CLAUSES else None


_APPOSING = frozenset(("is", "was", "=", "called", "named"))
AGENT_GAP = 3
_CLAUSES = frozenset(("who", "which", "and", ":", "?", ",", ";"))


def joined_by(mentions: Mentions, first: ValueMention, second: ValueMention) -> Sequence[str]:
    """Return the words between two values."""
    return [token.folded for token in mentions.tokens[first.end : second.start]]
