"""Values and times of a question, as conditions of a draft."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from router.catalog.identifiers import words_of
from router.catalog.model import Catalog
from router.catalog.paths import SchemaPath, SchemaPaths
from router.catalog.values import ValueEntry
from router.observability.trace import require_time
from router.question.columns import ColumnFinder
from router.question.conditions.mutual import (
    either_way,
    is_mutual,
    join_properties,
    qualified_links,
)
from router.question.conditions.value_options import (
    ValueOption,
    columns_of,
    doubts,
    has_namesake,
    taken_for,
)
from router.question.draft import Draft
from router.question.form import Value, ValueCondition
from router.question.language.grammar import PREPOSITIONS
from router.question.language.mentions import Mentions
from router.question.language.term_mentions import TermMention
from router.question.language.value_mentions import ValueMention
from router.question.relations import Relations, ScoredPath, joined_by

APPOSED = 0.4
ROLE_FIRST = 0.4
"""Bonus of the way that begins with what the asked people do."""
QUALIFIED = 1.5
"""Bonus of the relationship that "colleague" qualifies in "colleagues of X"."""
SHORTENING = 0.02
_KIND_GAP = frozenset(("called", "named", "titled", "the", "a", ",", ":", "-", '"', "'"))
_COLUMN_GAP = _KIND_GAP | {"is", "was", "of", "in", "by", "=", "are", "not", "to", "equals"}
GAP_TOKENS_MAX = 8
"""Longest gap between a kind or column word and its value."""
OWN_NAME_GOVERNED = 0.45
"""Nobody asks for "albums by" an album's own name."""


AskedWords = tuple[str, TermMention | None]


class ConditionReader:
    """Adds the conditions of a question to a draft."""

    def __init__(self, catalog: Catalog, paths: SchemaPaths, columns: ColumnFinder) -> None:
        self._catalog = catalog
        self._paths = paths
        self._columns = columns
        self._relations = Relations(catalog, paths)
        self._links_to = _links_by_end(catalog)

    def add_values(self, draft: Draft, mentions: Mentions, asked_words: AskedWords) -> None:
        """Add every value, the surest meaning of each.

        ``asked_words`` is the link whose person is asked for (actors did act), and the words that name
        the asked kind.
        """
        before: tuple[ValueMention, ValueOption] | None = None
        for mention in mentions.values:
            require_time()
            options = list(self._options(draft.kind, mention, mentions, asked_words))
            best_option = max(options, key=lambda option: option.score, default=None)
            if best_option is None:
                continue
            words = mentions.words(mention.start, mention.end)
            draft.assumed += doubts(words, best_option, options)
            if asked_words[1] is None and has_namesake(best_option, mention):
                draft.assumed.append(taken_for(words, best_option))
            self._add_value(draft, mentions, (mention, best_option), before)
            before = mention, best_option
        join_properties(draft)

    def _options(
        self, target: str, mention: ValueMention, mentions: Mentions, asked_words: AskedWords
    ) -> Iterator[ValueOption]:
        role, qualified = asked_words[0], qualified_links(mention, mentions)
        for entry in mention.entries:
            apposed, bonus = self._apposition(entry, mention, mentions)
            bonus += _direction(mention, mentions, columns_of(entry))
            if entry.link:
                for step in self._paths.steps(target):
                    if step.link == entry.link:
                        scored_path = self._relations.score_path((step,), mention, mentions, target)
                        yield ValueOption(
                            entry, scored_path, entry.weight + scored_path.score + bonus, apposed
                        )
                continue
            if entry.kind == target:
                direct = ScoredPath((), 0.0, ())
                is_governed = _relates_to_rows(mention, mentions, asked_words[1]) and not apposed
                is_governed = is_governed or bool(qualified)
                odd = OWN_NAME_GOVERNED if entry.name and is_governed else 0.0
                yield ValueOption(entry, direct, entry.weight + bonus + 0.1 - odd, apposed)
            related = entry.kind != target or entry.name
            for path in self._paths.between(target, entry.kind) if related else ():
                scored_path = self._relations.score_path(path, mention, mentions, target)
                score = entry.weight + scored_path.score + bonus
                score += _direction(
                    mention, mentions, (self._catalog.visible_links[path[0].link].name,)
                )
                score += QUALIFIED * (len(path) == 1 and path[0].link in qualified)
                if role and (path[0].link == role or self._is_end(role, entry.kind)):
                    score += ROLE_FIRST if path[0].link == role else -ROLE_FIRST
                yield ValueOption(entry, scored_path, score, apposed)

    def _is_end(self, link: str, kind: str) -> bool:
        facts = self._catalog.visible_links[link]
        return kind in (facts.start, facts.end)

    def _apposition(
        self, entry: ValueEntry, value: ValueMention, mentions: Mentions
    ) -> tuple[tuple[TermMention, ...], float]:
        """Return the kind or column words beside a value that say what it is: "album Frank"."""
        apposed_terms, bonus = [], 0.05 * entry.name + 0.03 * entry.category
        columns = {column for column, _ in entry.conditions}
        for mention in mentions.terms:
            before = 0 <= value.start - mention.end <= GAP_TOKENS_MAX
            gap = {token.folded for token in mentions.tokens[mention.end : value.start] if before}
            near = before and gap <= _COLUMN_GAP
            tight = before and gap <= _KIND_GAP
            is_behind = mention.start == value.end
            for term in mention.terms:
                column = (
                    term.sort == "column" and term.column in columns and term.kind == entry.kind
                )
                kind = term.sort == "kind" and term.kind == entry.kind and (entry.name or is_behind)
                link = term.sort == "link" and term.link in self._links_to[entry.kind]
                if (
                    (column and near)
                    or (kind and (tight or is_behind))
                    or (link and tight and column)
                ):
                    apposed_terms.append(mention)
                    bonus += APPOSED * term.weight
                    break
        return tuple(apposed_terms), bonus

    def _add_value(
        self,
        draft: Draft,
        mentions: Mentions,
        mention_and_option: tuple[ValueMention, ValueOption],
        before: tuple[ValueMention, ValueOption] | None,
    ) -> None:
        mention, option = mention_and_option
        path = option.way.path
        if mention.negated and _is_beyond(mentions, mention, (draft.kind, path)):
            mention = replace(mention, negated=False)
        conditions = self._equalities(mention, option.entry)
        apart = _are_both(mentions, before, mention_and_option)
        draft.negated |= mention.negated
        if option.entry.link:
            _add_property(draft, path, conditions, negated=mention.negated)
        elif len(path) == 1 and is_mutual(self._catalog, path[0]):
            draft.root.add((), [either_way(path[0], conditions, negated=mention.negated)])
        elif mention.negated and path:
            draft.root.deny(path, conditions)
        elif mention.negated:
            draft.root.add(
                (), [condition.model_copy(update={"negated": True}) for condition in conditions]
            )
        else:
            draft.root.add(path, conditions, apart=apart)
        draft.use(mention.start, mention.end, min(option.entry.weight, 1.0))
        draft.bonus += min(option.score, 1.5) * (0.3 + 0.1 * min(mention.end - mention.start, 4))
        for term, weight in option.way.mentions:
            draft.use(term.start, term.end, weight)
        for term in option.apposed:
            draft.use(term.start, term.end, 1.0)
        draft.assumed += self._columns.near_names(mentions, option.entry.kind, option.apposed)
        draft.cost += 0.1 * len(path)
        draft.matches.append(_match_line(mentions, mention, option.entry))

    def _equalities(self, mention: ValueMention, entry: ValueEntry) -> list[ValueCondition]:
        """Return conditions; several values that one short phrase begins are alternatives."""
        columns = columns_of(entry)
        values: dict[str, list[Value]] = {column: [] for column in columns}
        for alternative in mention.entries:
            has_same_columns = alternative.kind == entry.kind and columns_of(alternative) == columns
            if has_same_columns and abs(alternative.weight - entry.weight) <= SHORTENING:
                for column, value in alternative.conditions:
                    if value not in values[column]:
                        values[column].append(value)
        return [
            ValueCondition(column=name, values=tuple(column_values))
            for name, column_values in values.items()
        ]


def _is_beyond(mentions: Mentions, value: ValueMention, way: tuple[str, SchemaPath]) -> bool:
    """Return True where another kind is denied that the way to a value does not pass.

    In "locations with no departments in Japan" the locations are in Japan.
    """
    target, path = way
    for mention in mentions.terms:
        between = [token.folded for token in mentions.tokens[mention.end : value.start]]
        kinds = {term.kind for term in mention.of("kind") if term.exact}
        parted = between[:1] and between[0] in PREPOSITIONS and len(between) <= DENIED_GAP
        if mention.negated and kinds and parted and target not in kinds:
            return not kinds & {step.end for step in path}
    return False


DENIED_GAP = 2


def _add_property(
    draft: Draft, path: SchemaPath, conditions: list[ValueCondition], *, negated: bool
) -> None:
    if negated:
        draft.root.deny(path, (), conditions)
    else:
        draft.root.restrict(path, conditions)


def _direction(mention: ValueMention, mentions: Mentions, names: Sequence[str]) -> float:
    """Return what "from" and "to" say of columns such as origin and destination."""
    before = mentions.tokens[mention.start - 1].folded if mention.start else ""
    words = {word for name in names for word in words_of(name)}
    sides = {"from": (_ORIGINS, _TARGETS), "to": (_TARGETS, _ORIGINS)}
    matching, opposite = sides.get(before, (frozenset(), frozenset()))
    return DIRECTED * bool(words & matching) - DIRECTED * bool(words & opposite)


DIRECTED = 0.3
_ORIGINS = frozenset(("origin", "source", "from", "departure", "start", "sender", "src"))
_TARGETS = frozenset(("destination", "target", "to", "arrival", "end", "recipient", "dest", "dst"))


def _relates_to_rows(mention: ValueMention, mentions: Mentions, kind: TermMention | None) -> bool:
    """Return True where the value relates to the asked rows and does not name one."""
    before = mentions.tokens[mention.start - 1].folded if mention.start else ""
    if mention.negated or before in ("called", "named", "titled", "is"):
        return False
    return before in ("by", "from", "with", "in") or kind is not None


def _links_by_end(catalog: Catalog) -> Mapping[str, frozenset[str]]:
    ends = defaultdict[str, set[str]](set)
    for name, link in catalog.visible_links.items():
        ends[link.end].add(name)
    return {kind: frozenset(ends[kind]) for kind in catalog.kinds}


def _are_both(
    mentions: Mentions,
    before: tuple[ValueMention, ValueOption] | None,
    mention_and_option: tuple[ValueMention, ValueOption],
) -> bool:
    """Return True for "Chai and Chang" along one way, which two rows must hold."""
    path, entry = mention_and_option[1].way.path, mention_and_option[1].entry
    if before is None or not path or before[1].way.path != path:
        return False
    words = joined_by(mentions, before[0], mention_and_option[0])
    return "and" in words and columns_of(before[1].entry) == columns_of(entry)


def _match_line(mentions: Mentions, mention: ValueMention, entry: ValueEntry) -> str:
    values = ", ".join(f"{entry.kind}.{column} = {value}" for column, value in entry.conditions)
    return f"{mentions.words(mention.start, mention.end)} → {values}"
