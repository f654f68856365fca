"""Near-miss traps: pairs of questions that look alike and must not share an answer.

Each kind is a list of sentence frames and of values that make the difference; cache_traps.txt has
more of them, a question a line.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

_PAIRS_FILE = Path(__file__).with_suffix(".txt")
_CHOICE = re.compile(r"(?P<kind>[^:]+): (?P<before>.*?)\[(?P<choices>[^]]*\|[^]]*)\](?P<after>.*)")


class NearMiss(NamedTuple):
    """``asked`` comes when the answer to ``stored`` is in the cache."""

    kind: str
    stored: str
    query: str


_SUBSTITUTIONS = {
    "entity": (
        [
            "Which contracts did {} sign?",
            "show all open orders of {}",
            "who is the account manager for {}",
            "What did {} complain about?",
            "list the invoices we sent to {}",
            "documents that mention {}",
        ],
        ["Acme", "Globex", "Initech", "Umbrella", "Hooli", "Vandelay", "Stark", "Wayne"],
    ),
    "lower-case entity": (
        ["incidents at the {} plant", "how many people work in {}", "suppliers based in {}"],
        ["oslo", "lisbon", "krakow", "turin", "malmo", "ghent", "porto"],
    ),
    "number": (
        [
            "orders above {} euro",
            "show the top {} customers",
            "tickets older than {} days",
            "Which machines ran for more than {} hours?",
            "employees with at least {} reports",
        ],
        ["5", "10", "12", "50", "500", "5000", "5,500"],
    ),
    "identifier": (
        ["status of shipment {}", "Who approved {}?", "when was {} last changed"],
        ["INV-1042", "INV-1043", "INV-1402", "PO-1042", "T-12", "T-21"],
    ),
    "date": (
        [
            "revenue in {}",
            "Which incidents happened in {}?",
            "show the changes to the policy since {}",
            "meetings on {}",
        ],
        [
            "January 2024",
            "June 2024",
            "June 2025",
            "Q1 2025",
            "Q3 2025",
            "2025-03-01",
            "2025-03-02",
            "last month",
            "this month",
        ],
    ),
    "attribute": (
        ["list all {} projects", "how many {} accounts are there", "Who owns the {} tickets?"],
        ["active", "inactive", "approved", "rejected", "open", "closed", "overdue", "archived"],
    ),
    "extreme": (
        ["Which region has the {} sales?", "customers with the {} number of complaints"],
        ["highest", "lowest", "second highest", "average"],
    ),
    "asking": (
        ["{} approved the budget of the Lyon office?", "{} did the audit of the warehouse start?"],
        ["Who", "When", "Why", "How"],
    ),
    "role": (
        ["who is the {} of the hospital group", "email address of the {}"],
        ["chairman", "treasurer", "auditor", "registrar", "chief engineer", "chief editor"],
    ),
}
_NEGATIONS = [
    ("Which suppliers {} deliver on Sundays?", "do", "do not"),
    ("Which suppliers {} deliver on weekdays?", "do", "don't"),
    ("employees {} a security clearance", "with", "without"),
    ("invoices that {} paid in full", "were", "were never"),
    ("sites where smoking {} allowed", "is", "isn't"),
    ("contracts {} renewed by the legal team", "already", "not"),
    ("all departments {} finance", "including", "excluding"),
    ("services that {} on the billing database", "depend", "do not depend"),
    ("tests that {} in the nightly build", "passed", "did not pass"),
    ("people who {} to the invitation", "replied", "never replied"),
    ("patients {} insurance", "with", "with no"),
    ("records {} flagged for deletion", "that are", "that aren't"),
]
_REVERSALS = [
    ("trains from {} to {}", "Basel", "Milan"),
    ("trains from {} to {}", "basel", "milan"),
    ("money sent by {} to {}", "Ana", "Bo"),
    ("Does {} report to {}?", "Ana", "Bo"),
    ("does {} manage {}", "ana", "bo"),
    ("did {} acquire {}", "Hooli", "Initech"),
    ("emails from {} to {}", "sales", "support"),
    ("convert {} to {}", "euro", "dollar"),
    ("why did {} overtake {} in revenue", "hardware", "software"),
    ("teams that moved from {} to {}", "Python", "Go"),
    ("is {} bigger than {}", "Ghent", "Porto"),
    ("services of {} used by {}", "billing", "payroll"),
]


def near_misses() -> list[NearMiss]:
    """All of them; neighbours in a list of values, and each pair of a negation both ways."""
    written = [trap for trap in _file_pairs() if trap.kind != "same"]
    return [*_substitution_pairs(), *_negation_pairs(), *_reversal_pairs(), *written]


def paraphrases() -> list[NearMiss]:
    """Their opposite: pairs that differ in the manner of asking only."""
    return [pair for pair in _file_pairs() if pair.kind == "same"]


def _file_pairs() -> Iterator[NearMiss]:
    for line in _PAIRS_FILE.read_text("utf-8").splitlines():
        if line.startswith("#"):
            continue
        found = _CHOICE.fullmatch(line)
        assert found, line
        questions = [
            f"{found['before']}{choice}{found['after']}" for choice in found["choices"].split("|")
        ]
        for stored, asked in zip(questions, [*questions[1:], questions[0]], strict=True):
            yield NearMiss(found["kind"], stored, asked)


def _substitution_pairs() -> Iterator[NearMiss]:
    for kind, (frames, values) in _SUBSTITUTIONS.items():
        for frame in frames:
            for one, other in _neighbours(values):
                yield NearMiss(kind, frame.format(one), frame.format(other))


def _negation_pairs() -> Iterator[NearMiss]:
    for frame, yes, no in _NEGATIONS:
        yield NearMiss("negation", frame.format(yes), frame.format(no))
        yield NearMiss("negation", frame.format(no), frame.format(yes))


def _reversal_pairs() -> Iterator[NearMiss]:
    for frame, one, other in _REVERSALS:
        yield NearMiss("direction", frame.format(one, other), frame.format(other, one))
        yield NearMiss("direction", frame.format(other, one), frame.format(one, other))


def _neighbours(values: list[str]) -> Iterator[tuple[str, str]]:
    """Each value with the next and, in longer lists, with the one after it."""
    size = len(values)
    for step in (1, 2) if size > 4 else (1,):  # noqa: PLR2004 - a short list would meet itself
        yield from ((values[at], values[(at + step) % size]) for at in range(size))
