"""Numbers of a question, as conditions of a draft: keys, counts, comparisons."""

from collections.abc import Iterator

from router.catalog.identifiers import phrase_of
from router.catalog.model import Catalog
from router.catalog.paths import SchemaPaths
from router.observability.trace import require_time
from router.question.columns import ColumnChoice, ColumnFinder, add_choice, use_choice
from router.question.conditions.measuring import UNFIT, UnitReader
from router.question.draft import Draft
from router.question.form import (
    AllCondition,
    AnyCondition,
    LinkStep,
    Measure,
    MeasureCondition,
    ValueCondition,
)
from router.question.language.comparisons import Comparison
from router.question.language.grammar import comparative
from router.question.language.mentions import Mentions
from router.question.language.numbers import ordinal_at
from router.question.language.term_mentions import TermMention
from router.question.language.units import (
    is_unit,
)
from router.question.language.value_mentions import ValueMention
from router.question.relations import Relations

KEY_WORDS = frozenset(("number", "no", "nr", "id", "#", "num", "."))
_KEY_GAP = KEY_WORDS | {"is", "was"}
_MONEY_SIGNS = frozenset(
    [
        "$",
        "€",
        "£",
        "¥",
        "dollar",
        "dollars",
        "usd",
        "euro",
        "euros",
        "eur",
        "pound",
        "pounds",
        "gbp",
        "bucks",
    ]
)
NAMED_MIN = 0.6
"""Sureness of a column beside a lone number from which the number is its value: "rating 5"."""
COUNTED_MIN, KEYED_MIN = 0.6, 0.55
"""Sureness of a kind's words in front of or behind a number from which it counts or identifies rows."""


class NumberReader:
    """Adds the numbers of a question to a draft."""

    def __init__(self, catalog: Catalog, paths: SchemaPaths, columns: ColumnFinder) -> None:
        self._catalog = catalog
        self._paths = paths
        self._columns = columns
        self._relations = Relations(catalog, paths)
        self._units = UnitReader(columns)

    def add_numbers(self, draft: Draft, mentions: Mentions) -> None:
        """Add every comparison, key and count that a number states."""
        before: tuple[ColumnChoice, Comparison, list[ValueCondition]] | None = None
        for number in mentions.comparisons:
            require_time()
            if draft.used.get(number.end - 1):
                continue  # a limit, or part of a name
            if self._add_key(draft, mentions, number) or self._add_count(draft, mentions, number):
                continue
            added = self._add_comparison(draft, mentions, number)
            if (
                added is not None
                and before is not None
                and _joined_by_or(mentions, before[1], number)
            ):
                _join_alternatives(draft, before, added)
            before = (added[0], number, added[1]) if added else None

    def _add_key(self, draft: Draft, mentions: Mentions, number: Comparison) -> bool:
        """Add "invoice 299", "order no. 7", "#12": a number behind the kind that it identifies."""
        if number.marked or number.high is not None or not isinstance(number.value, int):
            return False
        place = number.start
        while place > 0 and mentions.tokens[place - 1].folded in _KEY_GAP:
            place -= 1
        for mention in mentions.terms:
            if mention.end not in (place, number.start):
                continue
            for term in mention.of("kind"):
                keyed = term.weight >= KEYED_MIN and self._has_plain_key(term.kind)
                if keyed and self._place_key(draft, mentions, (term.kind, number), mention):
                    return True
        return False

    def _has_plain_key(self, name: str) -> bool:
        kind = self._catalog.visible_kinds[name]
        return len(kind.key) == 1 and kind.columns[kind.key[0]].type in (
            "integer",
            "text",
            "number",
        )

    def _place_key(
        self,
        draft: Draft,
        mentions: Mentions,
        key: tuple[str, Comparison],
        mention: TermMention,
    ) -> bool:
        kind, number = key
        place = ValueMention(number.start, number.end, ())
        paths = list(self._paths.between(draft.kind, kind))
        scored = [self._relations.score_path(route, place, mentions, draft.kind) for route in paths]
        if kind == draft.kind:
            scored = [option for option in scored if option.score > 0]  # its own key otherwise
        best = max(scored, key=lambda option: option.score, default=None)
        if kind != draft.kind and best is None:
            return False
        column = self._catalog.kinds[kind].key[0]
        path = best.path if best else ()
        condition = ValueCondition(
            column=column, values=(number.value,), negated=mention.negated and not path
        )
        draft.negated |= mention.negated
        if mention.negated and path:
            draft.root.deny(path, [condition])
        else:
            draft.root.add(path, [condition])
        draft.use(mention.start, number.end, 1.0)
        draft.bonus += 0.6 + (best.score if best else 0.1)
        for term, weight in best.mentions if best else ():
            draft.use(term.start, term.end, weight)
        draft.matches.append(f"{mentions.words(mention.start, number.end)} → {kind}.{column}")
        return True

    def _add_count(self, draft: Draft, mentions: Mentions, number: Comparison) -> bool:
        """Add "with more than five orders": a number in front of another kind."""
        if not isinstance(number.value, int):
            return False
        times = mentions.words(number.end, number.end + 1).lower() in ("times", "time")
        for mention in mentions.terms:
            done = times and 0 <= number.start - mention.end <= 1  # "rented more than 18 times"
            if not done and not 0 <= mention.start - number.end <= 1:
                continue
            for term in mention.of("kind"):
                paths = self._paths.between(draft.kind, term.kind)
                if term.kind == draft.kind or not paths or term.weight < COUNTED_MIN:
                    continue
                place = ValueMention(mention.start, mention.end, ())
                scored = [
                    self._relations.score_path(path, place, mentions, draft.kind) for path in paths
                ]
                best = max(scored, key=lambda option: option.score)
                steps = tuple(LinkStep(link=s.link, reverse=s.reverse) for s in best.path)
                measure = Measure(function="count", path=steps)
                draft.measures += _measure_conditions(measure, number)
                draft.use(
                    min(mention.start, number.start), max(mention.end, number.end), term.weight
                )
                for words, weight in best.mentions:
                    draft.use(words.start, words.end, weight)
                draft.matches.append(
                    f"{mentions.words(number.start, number.end)} → count of {term.kind}"
                )
                return True
            if self._add_link_count(draft, mentions, number, mention):
                return True
        return False

    def _add_link_count(
        self, draft: Draft, mentions: Mentions, number: Comparison, mention: TermMention
    ) -> bool:
        """Add "with at least two followers": a number in front of a link's noun."""
        step = self._relations.counted_link(draft.kind, mention, mentions)
        if step is None or number.value > (
            self._catalog.visible_links[step.link].rows or number.value
        ):
            return False  # "over 17000 attackers" of 17 relationships are not counted
        draft.measures += _measure_conditions(Measure(function="count", path=(step,)), number)
        draft.use(number.start, mention.end, 0.9)
        words = mentions.words(number.start, mention.end)
        draft.matches.append(f"{words} → count of {step.link}")
        return True

    def _add_comparison(
        self, draft: Draft, mentions: Mentions, number: Comparison
    ) -> tuple[ColumnChoice, list[ValueCondition]] | None:
        graded = comparative(number.adjective) if number.adjective else None
        dimension = graded.dimension if graded else ""
        around = (number.start, number.end)
        unit, behind = _unit_of(mentions, number)
        money = unit in _MONEY_SIGNS or any(
            token.text[:1] in "$€£¥" for token in mentions.tokens[number.start : number.end]
        )
        if money:
            dimension = "money"
        choices = self._columns.number_choices(draft.kind, mentions, around, dimension)
        if dimension == "age":  # "older than 50" compares an age, not a salary
            choices = [
                option for option in choices if option.column == self._columns.age(option.kind)
            ]
        has_digits = any(t.text[:1].isdigit() for t in mentions.tokens[number.start : number.end])
        has_digits |= ordinal_at(mentions.tokens, number.start) is not None
        named_choices = [
            option
            for option in choices
            if option.place and option.weight >= NAMED_MIN and has_digits
        ]
        if is_unit(unit):  # "2 hours" are of the column that measures time
            choices = self._units.fitting(draft.kind, (number, unit), choices)
            fitting = [
                option for option in choices if self._units.misfit(unit, number, option) < UNFIT
            ]
            named_choices = fitting or named_choices
        choices = choices if number.marked or money else named_choices
        if not choices:
            draft.cost += 0.3
            return None
        choice = choices[0]
        draft.assumed += _doubts(choice, mentions, number)
        if money:
            draft.assumed += self._units.unpaid(choice, mentions.words(number.start, number.end))
        stated = number
        number = self._units.convert(draft, number, "money" if money else unit, choice)
        if behind and number is not stated and not money:
            draft.use(number.end, number.end + 1, 1.0)
        values = [
            ValueCondition(column=choice.column, operator=number.sign, values=(number.value,))
        ]
        if number.high is not None:
            values.append(
                ValueCondition(column=choice.column, operator="<=", values=(number.high,))
            )
        add_choice(draft, choice, values)
        end = number.end + (1 if money and unit in _MONEY_SIGNS and behind else 0)
        use_choice(draft, choice, (number.start, end))
        draft.matches.append(f"{mentions.words(number.start, end)} → {choice.kind}.{choice.column}")
        return choice, values


def _unit_of(mentions: Mentions, number: Comparison) -> tuple[str, bool]:
    """Return the unit of a number and whether it is behind it: "20 % or more" holds its own."""
    inside = mentions.tokens[number.start : number.end]
    for token in inside:
        if is_unit(token.folded) or token.folded in _MONEY_SIGNS or token.folded == "percent":
            return token.folded, False
        if token.text.rstrip("+").endswith("%"):
            return "%", False
    behind = mentions.tokens[number.end : number.end + 1]
    return (behind[0].folded if behind else ""), True


def _doubts(choice: ColumnChoice, mentions: Mentions, number: Comparison) -> Iterator[str]:
    """Yield what a number was taken for where no words name the linked rows that it compares."""
    words_of_number = range(number.start, number.end)
    named = choice.place is not None and choice.place[0] not in words_of_number
    kinds = {term.kind for mention in mentions.terms for term in mention.of("kind")}
    kinds |= {entry.kind for value in mentions.values for entry in value.entries}
    if choice.path and not named and choice.kind not in kinds:
        words = mentions.words(number.start, number.end)
        yield f"{words} (taken for {phrase_of(choice.column)} of {phrase_of(choice.kind)})"


def _joined_by_or(mentions: Mentions, first: Comparison, second: Comparison) -> bool:
    return "or" in {token.folded for token in mentions.tokens[first.end : second.start]}


def _join_alternatives(
    draft: Draft,
    before: tuple[ColumnChoice, Comparison, list[ValueCondition]],
    added: tuple[ColumnChoice, list[ValueCondition]],
) -> None:
    """Make "above 50 or below 5" alternatives where both compare one column."""
    if before[0].path != added[0].path or before[0].column != added[0].column:
        return
    conditions = draft.root.conditions_at(added[0].path)
    for condition in (*before[2], *added[1]):
        conditions.remove(condition)
    every = (AllCondition(conditions=tuple(alternative)) for alternative in (before[2], added[1]))
    conditions.append(AnyCondition(conditions=tuple(every)))


def _measure_conditions(
    measure: Measure, number: Comparison
) -> list[MeasureCondition | AnyCondition]:
    conditions = [MeasureCondition(measure=measure, operator=number.sign, value=number.value)]
    if number.high is not None:
        conditions.append(MeasureCondition(measure=measure, operator="<=", value=number.high))
    return list(conditions)
