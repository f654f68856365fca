"""The far end of a link that a question asks for: "what has X directed", "X's support rep"."""

from collections.abc import Iterator
from dataclasses import dataclass

from router.catalog.identifiers import words_of
from router.catalog.model import Catalog, CatalogLink
from router.catalog.paths import SchemaPaths, SchemaStep
from router.catalog.vocabulary import Term
from router.question.language.mentions import Mentions
from router.question.language.term_mentions import TermMention

LINK_HEAD, LINK_OTHER = 0.7, 0.15
"""Words of a foreign key that name its far end; the same where they name a kind too."""
DONE_MIN = 0.6
"""Sureness from which a verb names the rows of what people did: "rented" the rentals."""
FAR_END, STRANDED = 0.4, 0.75
"""The other end of a link that words name; the same where a preposition stays without its noun."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A kind that may be asked for; ``mention`` are the words that say so."""

    kind: str
    prior: float
    mention: TermMention | None = None
    term: Term | None = None


class FarEnds:
    """Finds the far ends of one catalogue's links."""

    def __init__(self, catalog: Catalog, paths: SchemaPaths) -> None:
        self._catalog = catalog
        self._paths = paths

    def ends(self, mentions: Mentions) -> Iterator[Candidate]:
        """Yield the far ends, each with how much speaks for it."""
        owners = {entry.kind for value in mentions.values for entry in value.entries}
        where = [token.folded for token in mentions.tokens[:1]] == ["where"]
        stranded, unnamed = _is_stranded(mentions), unnamed_by(mentions)
        pairs = ((owner, step) for owner in sorted(owners) for step in self._paths.steps(owner))
        for owner, step in pairs:
            placed = where and not step.reverse and bool(PLACES & set(words_of(step.end)))
            made = bool(unnamed) and step.reverse and step.end != owner
            made = made and not self._catalog.kinds[step.end].join_table
            if stranded or placed or made:
                yield Candidate(step.end, STRANDED)
        if asks_for_others(mentions):
            yield from self._contents(mentions, owners)
        for name, (mention, weight) in mentions.links.items():
            if not mention.negated:  # "who has no manager" asks for no manager
                link = self._catalog.visible_links[name]
                yield from _far_ends(link, (mention, weight), owners, mentions)

    def _contents(self, mentions: Mentions, owners: set[str]) -> Iterator[Candidate]:
        """Yield what "what did order 7 contain" and "what has Mary rented" ask for."""
        numbered = {number.start for number in mentions.comparisons if not number.marked}
        owners |= {t.kind for m in mentions.terms if m.end in numbered for t in m.of("kind")}
        verbs = [m for m in mentions.terms if not any(t.exact for t in m.of("kind"))]
        doing = {t.kind for m in verbs for t in m.of("kind") if t.weight >= DONE_MIN}
        for owner in sorted(owners):
            for step in self._paths.steps(owner):
                if step.end in doing:
                    yield Candidate(step.end, STRANDED)
                elif not doing and step.reverse and self._is_part(step):
                    yield from self._beyond(owner, step)

    def _beyond(self, owner: str, part: SchemaStep) -> Iterator[Candidate]:
        """Yield what the parts of an owner's rows name: the products of an order's lines."""
        for step in self._paths.steps(part.end):
            if step.end != owner and not step.reverse and self._is_part(step):
                yield Candidate(step.end, STRANDED)

    def _is_part(self, step: SchemaStep) -> bool:
        """Return True for a key of rows that make up others: the order of an order's lines."""
        link = self._catalog.visible_links[step.link]
        key = self._catalog.kinds[link.start].key
        return bool(link.columns) and {near for near, _ in link.columns} <= set(key)


def _far_ends(
    link: CatalogLink,
    named: tuple[TermMention, float],
    owners: set[str],
    mentions: Mentions,
) -> Iterator[Candidate]:
    mention, weight = named
    if link.relationship is None:
        prior = LINK_HEAD if not any(term.sort == "kind" for term in mention.terms) else LINK_OTHER
        yield Candidate(link.end, prior * weight, mention, Term("link", link.end, weight))
    elif _is_of_value(mention, mentions) and {link.start, link.end} & owners:
        end = link.end if link.start in owners else link.start
        yield Candidate(end, LINK_HEAD * weight, mention, Term("link", end, weight))
    elif link.start in owners:
        where = mentions.tokens[0].folded == "where"
        yield Candidate(link.end, (STRANDED if where else FAR_END) * weight)
    elif link.end in owners:
        yield Candidate(link.start, FAR_END * weight)


def _is_of_value(mention: TermMention, mentions: Mentions) -> bool:
    """Return True for the first words of "cast of X": a noun that means the far end, not X."""
    behind = mentions.tokens[mention.end : mention.end + 1]
    values = {value.start for value in mentions.values}
    return mention.start == 0 and [t.folded for t in behind] == ["of"] and mention.end + 1 in values


def asks_for_others(mentions: Mentions) -> bool:
    """Return True for "what did order 7 contain": the row that is named is not what it asks for."""
    words = [token.folded for token in mentions.tokens if token.is_word]
    named = words[:1] == ["which"] and words[1:2] != [] and words[1] not in _ACTING
    verb = 1 + named  # "which teams did X sponsor"
    asks = words[:1] in (["what"], ["whom"], ["which"]) and len(words) > verb
    asks = asks and words[verb] in _ACTING
    return asks and words[-1] not in _COLUMN_VERBS


PLACES = frozenset(
    (
        *("location", "locations", "place", "places", "city", "cities", "country", "address"),
        *("office", "site", "venue", "area", "region", "district", "street", "town", "building"),
        *("room", "postcode", "state", "province", "planet", "floor", "warehouse"),
    )
)
"""Words of kinds and columns that say where something is."""
_ACTING = frozenset(("did", "does", "do", "has", "have", "had"))
_COLUMN_VERBS = frozenset(("cost", "weigh", "measure", "earn", "mean"))


def unnamed_by(mentions: Mentions) -> str:
    """Return the noun of "works by X" and "anything by X", which names no kind."""
    tokens = mentions.tokens[:2]
    light = len(tokens) > 1 and tokens[1].folded == "by" and tokens[0].folded in _THINGS
    named = any(m.start == 0 and any(m.of("kind")) for m in mentions.terms)
    return tokens[0].text if light and not named else ""


_THINGS = frozenset(
    ("work", "works", "things", "items", "anything", "everything", "stuff", "pieces", "all")
)


def _is_stranded(mentions: Mentions) -> bool:
    """Return True for "everything X appeared in": it asks for what X is linked to."""
    words = [token.folded for token in mentions.tokens if token.is_word]
    return len(words) > 1 and words[-1] in _STRANDED and words[0] in _WHATS


_STRANDED = frozenset(["in", "with", "on", "for", "to", "by", "from", "at", "of", "about"])
_WHATS = frozenset(
    ["what", "everything", "anything", "which", "who", "all", "whatever", "where", "whom"]
)
