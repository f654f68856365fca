"""The rest of a question, besides values, times and numbers: columns asked for, flags, links."""

from router.catalog.model import Catalog
from router.catalog.paths import SchemaPaths
from router.catalog.vocabulary import Term
from router.question.candidates import Candidate
from router.question.draft import Draft
from router.question.form import ValueCondition
from router.question.language.mentions import Mentions, TermMention

SELECTED_MIN, EXISTS_MIN, KIND_MIN, NEGATED_MIN = 0.45, 0.7, 0.6, 0.7
"""Sureness from which words ask for a column, require a link, name another kind, are denied."""


class RemainderReader:
    """Adds what is left of a question to a draft."""

    def __init__(self, catalog: Catalog, paths: SchemaPaths) -> None:
        self._catalog = catalog
        self._paths = paths

    def add_rest(self, draft: Draft, mentions: Mentions, candidate: Candidate) -> None:
        """Add what stays: columns asked for, flags, and links that must exist or must not."""
        for mention in mentions.terms:
            if any(draft.used.get(place) for place in range(mention.start, mention.end)):
                continue
            self._add_column(draft, mention)
        asked = candidate.term
        if asked is not None and asked.sort == "role":
            self._require_link(draft, candidate, asked)
        for link, (mention, weight) in mentions.links.items():
            if draft.used.get(mention.start) and not mention.negated:
                continue
            self._add_link(draft, mention, link, weight)
        self._add_denied(draft, mentions)

    def _require_link(self, draft: Draft, candidate: Candidate, role: Term) -> None:
        used = {each.step.link for each in draft.root.branches}
        step = next(
            (each for each in self._paths.steps(candidate.kind) if each.link == role.link), None
        )
        if step is not None and role.link not in used and not draft.order:
            draft.root.at((step,))

    def _add_column(self, draft: Draft, mention: TermMention) -> None:
        for term in mention.of("column"):
            if term.kind != draft.kind or term.link or term.weight < SELECTED_MIN:
                continue
            column = self._catalog.kinds[draft.kind].visible.get(term.column)
            if column is None:
                continue
            if mention.negated and term.weight < NEGATED_MIN:
                return  # too unsure to turn it round: the words are left out
            draft.negated |= mention.negated
            if column.type == "boolean":
                condition = ValueCondition(
                    column=term.column, values=(True,), negated=mention.negated
                )
                draft.root.add((), [condition])
            elif mention.negated:
                draft.root.add((), [ValueCondition(column=term.column, operator="missing")])
            else:
                draft.select.append(term.column)
            draft.use(mention.start, mention.end, term.weight)
            return

    def _add_link(self, draft: Draft, mention: TermMention, link: str, weight: float) -> None:
        """Require a link that words name ("people who directed something"), or deny it."""
        if draft.used.get(mention.start):
            return
        steps = [step for step in self._paths.steps(draft.kind) if step.link == link]
        if not steps or weight < EXISTS_MIN or self._names_row(draft):
            return
        if mention.negated:
            draft.root.deny((steps[0],), ())
            draft.negated = True
        elif not any(each.step.link == link for each in draft.root.branches):
            draft.root.at((steps[0],))
        draft.use(mention.start, mention.end, weight)

    def _names_row(self, draft: Draft) -> bool:
        """Return True where a condition names a row, which needs no further link to exist."""
        facts = self._catalog.kinds[draft.kind]
        columns = {
            each.column for each in draft.root.conditions if isinstance(each, ValueCondition)
        }
        return bool(columns & {*facts.key, *facts.title})

    def _add_denied(self, draft: Draft, mentions: Mentions) -> None:
        """Add "customers without orders": another kind that must be absent."""
        for mention in mentions.terms:
            if draft.used.get(mention.start):
                continue
            for term in mention.of("kind"):
                ways = self._paths.between(draft.kind, term.kind)
                if term.kind == draft.kind or not ways or term.weight < KIND_MIN:
                    continue
                if mention.negated:
                    draft.negated = True
                    draft.root.deny(ways[0], ())
                    draft.use(mention.start, mention.end, term.weight)
                elif self._requires(mentions, mention):
                    draft.root.at(ways[0])
                    draft.use(mention.start, mention.end, term.weight)
                break

    @staticmethod
    def _requires(mentions: Mentions, mention: TermMention) -> bool:
        before = {
            token.folded for token in mentions.tokens[max(mention.start - 3, 0) : mention.start]
        }
        return bool(before & {"with", "have", "has", "having", "had"})
