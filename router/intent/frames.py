"""A question's frame: the words of the request by concept, with the topic left blank.

"Which carriers are tied to the depot" and "what vendors are linked to our plant" are one frame. From
a few hundred questions a model learns what frames ask for, where it would know few of the words.
"""

from functools import lru_cache

from router.intent.ngrams import skip_bigrams, split_tokens

# A trailing * matches every word with that prefix. A word of two concepts belongs to the one that
# separates intents better.
_CONCEPTS = {
    "find": "find search locate look lookup fetch retrieve hunt seek get discover",
    "show": "show display list present give view see print tell bring pull open enumerate",
    "map": "map draw plot sketch visualise visualize diagram chart*",
    "track": "track follow monitor watch",
    "trace": "trace walk path paths route routes flow flows lineage travels",
    "compare": "compare* contrast* versus vs differ* against",
    "filter": "filter* narrow restrict select only exclude sort group limit",
    "who": "who whom whose",
    "how": "how why",
    "what": "what which",
    "link": "connect* link links linked linking tie ties tied attach* bonds wired joined coupled "
    "relation relations relationship* relate relates",
    "related": "related associated",
    "depend": "depend* rely relies reliant upstream downstream prerequisite* impact* affect* blast",
    "shape": "hierarch* structure structured structures organi* org topolog* tree network* graph* "
    "node nodes edge edges hop hops neighbour* neighbor* cluster* ecosystem landscape layout "
    "architecture",
    "belong": "belong* part parts member* under below beneath owns owner ownership owned subsidiar* "
    "parent child children sibling* within pieces elements components modules bits",
    "together": "collaborat* cooperat* together involve* participa* interact* share shares shared "
    "stakeholder* team teams crew partner* work works working report reports reporting manages "
    "managed supervise*",
    "use": "use uses used using consume* call calls access* handle* host hosted hosts run runs "
    "process processes touch touches support* serve* feed feeds",
    "like": "similar* alike akin comparable analogous equivalent parallel parallels resembl* match* "
    "correspond* close closest like aligned same",
    "meaning": "semantic* meaning* mean means concept* themat* theme* topic* subject* idea ideas "
    "interpretation",
    "texts": "document* docs doc article* paper papers content contents material* resource* "
    "presentation* slides text texts information info literature research guide guides guidance "
    "passage* manual* essay* publication*",
    "about": "about regarding concerning cover covers covering discuss* describe* describing "
    "explain* mention* addressing explor* featuring touching deal deals dealing highlight* "
    "pertaining reference* writes wrote",
    "change": "chang* alter* modif* update* updating revis* edit edits edited amend* adjust*",
    "evolve": "evol* shift* variation* varied vary transition* develop developed development* "
    "progress* improv* advance advances transform transformed drift* grow grew growth trend* moved "
    "movement trajectory",
    "past": "histor* timeline* chronolog* temporal* audit log logs changelog past previous earlier "
    "prior sequence milestones seasonal recurring lifecycle",
    "version": "version* release* draft old new current before after then now latest newest",
    "when": "when since until ago yesterday lately recent recently ever long",
    "period": "year years month months week weeks quarter quarters day days hour hours decade today "
    "tomorrow tonight january february march april may june july august september october november "
    "december monday tuesday wednesday thursday friday saturday sunday q spring summer autumn "
    "winter quarterly monthly weekly daily yearly annual time over",
    "span": "last next during till",
    "having": "where having tagged marked flagged labelled labeled classified named typed "
    "priced rated",
    "made": "created written authored signed uploaded sent filed published posted assigned hired "
    "located based",
    "state": "active inactive pending overdue unpaid paid expired expiring closed completed finished "
    "archived approved rejected resolved unresolved failed successful cancelled blocked available "
    "vacant scheduled planned upcoming due remote senior junior premium gold unassigned outstanding "
    "dormant",
    "rank": "top high highest low lowest key main major minor important critical urgent best worst "
    "essential vital primary notable significant special priority severe large larger largest small "
    "smaller cheapest leading favourite*",
    "amount": "above more less fewer than most least exceed* count number many average sum total "
    "maximum minimum threshold percent older younger bigger",
    "field": "metadata attribute* field fields property properties tag tags label labels column* "
    "status severity category type role region department criteria constraint* value values",
    "vague": "stuff thing things something anything everything items whatever",
}
_FILLER_WORDS = "the a an our my me please all any these that those"
_FUNCTION_WORDS = (
    "of in on for by with to from between is are was were do does did has have had it and or not at "
    "as up"
)
_FILLERS, _SMALL = frozenset(_FILLER_WORDS.split()), frozenset(_FUNCTION_WORDS.split())
_CONCEPT_BY_WORD: dict[str, str] = {}
_CONCEPT_BY_PREFIX: dict[str, str] = {}
for _name, _listed in _CONCEPTS.items():
    for _word in _listed.split():
        (_CONCEPT_BY_PREFIX if _word.endswith("*") else _CONCEPT_BY_WORD)[_word.rstrip("*")] = _name
_SHORTEST, _LONGEST = min(map(len, _CONCEPT_BY_PREFIX)), max(map(len, _CONCEPT_BY_PREFIX))
_BLANK = "_"
_EMPTY_SYMBOLS = frozenset((_BLANK, "^", "$", ".."))


def frame(query: str) -> list[str]:
    """Return concepts, small words, numbers and signs in order; other words become one blank."""
    signs_found: list[str] = []
    for word in split_tokens(query):
        if word in _FILLERS:
            continue
        sign = _symbol(word)
        if sign != _BLANK or signs_found[-1:] != [_BLANK]:
            signs_found.append(sign)
    return signs_found


def frame_grams(query: str) -> list[str]:
    """Return one to four signs in a row, both ends marked, and pairs of signs up to four apart.

    A frame of blanks alone gives no grams, because it has no concept to compare.
    """
    signs = ["^", *frame(query), "$"]
    rows = [
        " ".join(signs[start : start + size])
        for size in range(1, 5)
        for start in range(len(signs) - size + 1)
    ]
    rows += [f"{sign} .. {later_sign}" for sign, later_sign in skip_bigrams(signs)]
    return [row for row in rows if not _EMPTY_SYMBOLS.issuperset(row.split())]


@lru_cache(maxsize=4096)
def _symbol(word: str) -> str:
    if not word[0].isalpha() or word in _SMALL:
        return word
    if word in _CONCEPT_BY_WORD:
        return f"<{_CONCEPT_BY_WORD[word]}>"
    for size in range(min(_LONGEST, len(word)), _SHORTEST - 1, -1):
        if word[:size] in _CONCEPT_BY_PREFIX:
            return f"<{_CONCEPT_BY_PREFIX[word[:size]]}>"
    return _BLANK
