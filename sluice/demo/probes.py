"""Golden questions, which the routers ask themselves on a schedule to measure their accuracy.

They differ from the questions of the demo's users. ``backend`` names the routing arms that answer
well.
"""

import json
from pathlib import Path

BACKENDS: dict[str, list[str]] = {
    "graph": ["graph"],
    "temporal": ["temporal", "postgres"],
    "semantic": ["qdrant"],
    "metadata": ["postgres"],
    "out_of_scope": ["qdrant"],
}

PROBES: dict[str, tuple[str, ...]] = {
    "graph": (
        "Who reports to the head of fleet?",
        "Which drivers are connected to the Hanover depot?",
        "Show the reporting line from the drivers in Kiel up to the managing director",
        "Which customers are linked to the Bremen depot?",
        "who works under the depot manager in Rostock",
        "How are Holsten Dairy and truck FL-210 connected?",
        "Which trucks are linked to Weser Steel Supply?",
        "Show everything connected to contract CON-310",
        "Which people are linked to incident INC-60?",
        "org chart of the Szczecin depot",
    ),
    "temporal": (
        "What happened at the Kolding depot in May 2026?",
        "Show the history of contract CON-325",
        "When was truck FL-230 last inspected?",
        "timeline of incidents in 2026",
        "How has the number of incidents developed since January 2026?",
        "What changed in the handbook over the last year?",
        "When did the first theft happen?",
        "track the changes to the fuel card policy over time",
        "When was the cold store in Hanover opened?",
        "What happened between 1 March 2026 and 15 March 2026?",
    ),
    "semantic": (
        "documents about cold-chain failures",
        "Find handbook pages about dangerous goods",
        "articles about preventing fuel theft",
        "What does the handbook say about overtime?",
        "guidance on load securing for steel coils",
        "Find incident descriptions similar to a leaking drum",
        "documents explaining the pallet exchange",
        "Summarise the policy on personal data",
        "content about winter driving",
        "find material on handling customer complaints",
    ),
    "metadata": (
        "invoices where status = 'paid' and amount > 30000",
        "list all contracts expiring in 2026",
        "trucks with year < 2018",
        "customers with industry = 'seafood'",
        "show open invoices over 20000 euro",
        "incidents where severity = 'high' and status = 'closed'",
        "shipments with weight_kg > 20000",
        "How many trucks have status 'in workshop'?",
        "list all bronze customers in Denmark",
        "contracts with value > 400000 and status = 'active'",
    ),
    "out_of_scope": (
        "What's the weather like in Paris?",
        "tell me a story",
        "Who invented the telephone?",
        "good morning",
    ),
}


def write_probes(path: Path) -> int:
    """Write the golden questions as JSON lines (``query``, ``intent``, ``backend``); return their number."""
    rows = [
        {"query": query, "intent": intent, "backend": BACKENDS[intent]}
        for intent, queries in PROBES.items()
        for query in queries
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    path.write_text(text, encoding="utf-8")
    return len(rows)
