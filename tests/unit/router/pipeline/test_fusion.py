"""Rules of fusing several rankings into one."""

from hypothesis import given
from hypothesis import strategies as st

from router.backends.base import Hit
from router.pipeline.fusion import Ranking, fuse


def hit(record: str, score: float, backend: str = "graph", text: str | None = None) -> Hit:
    return Hit(record, record, text or f"about {record}", f"x/{record}", score, "thing", backend)


def test_agreement_of_two_backends_beats_one_alone() -> None:
    graph = Ranking("graph", [hit("a", 0.8), hit("b", 0.7)])
    qdrant = Ranking("qdrant", [hit("b", 0.7, "qdrant"), hit("c", 0.8, "qdrant")])
    assert fuse([graph, qdrant], 10)[0].id == "b"


def test_each_record_appears_once_and_keeps_every_backends_score() -> None:
    graph, qdrant = Ranking("graph", [hit("a", 0.8)]), Ranking("qdrant", [hit("a", 0.4)])
    (only,) = fuse([graph, qdrant], 10)
    assert only.scores == {"graph": 0.8, "qdrant": 0.4}


def test_same_content_under_two_ids_is_one_record() -> None:
    title_and_text = [Hit(i, "Same", "The same text.", i, 0.5, "page", "qdrant") for i in "ab"]
    assert len(fuse([Ranking("qdrant", title_and_text)], 10)) == 1


def test_two_rankings_of_one_backend_are_one_voice() -> None:
    twice = [Ranking("qdrant", [hit("a", 0.6)]), Ranking("qdrant", [hit("a", 0.6)])]
    sure = Ranking("postgres", [hit("b", 1.0)])
    assert fuse([*twice, sure], 10)[0].id == "b"


def test_weight_decides_between_equals() -> None:
    light, heavy = Ranking("graph", [hit("a", 0.5)], 0.3), Ranking("qdrant", [hit("b", 0.5)], 0.9)
    assert [each.id for each in fuse([light, heavy], 10)] == ["b", "a"]


def test_a_record_beyond_a_full_list_of_vectors_gains_as_the_next_place() -> None:
    """A full list of vectors hides the next place: the words that found a record must still count."""
    near = [hit(name, 0.5) for name in "abc"]
    graph = Ranking("graph", [hit("by words", 0.6), *near])
    qdrant = Ranking("qdrant", [hit(name, 0.5, "qdrant") for name in "abc"])
    assert fuse([graph, qdrant], 3)[0].id == "by words"
    assert fuse([graph, qdrant], 4)[0].id == "a"
    filter_of_three = Ranking("postgres", [hit(name, 0.9, "postgres") for name in "abc"])
    assert fuse([graph, filter_of_three], 3)[0].id == "a"


def test_nothing_fuses_to_nothing() -> None:
    assert fuse([], 10) == []
    assert fuse([Ranking("graph", [])], 10) == []


names = st.lists(st.sampled_from("abcdefgh"), unique=True, max_size=6)


@given(st.lists(names, min_size=1, max_size=4), st.integers(1, 5))
def test_fused_scores_are_in_bounds_sorted_and_limited(lists: list[list[str]], limit: int) -> None:
    rankings = [
        Ranking(
            f"backend-{number}", [hit(name, 1.0 / (1 + place)) for place, name in enumerate(names)]
        )
        for number, names in enumerate(lists)
    ]
    fused = fuse(rankings, limit)
    assert len(fused) <= limit
    assert all(0 < each.score <= 1 for each in fused)
    assert [each.score for each in fused] == sorted((e.score for e in fused), reverse=True)
    assert len({each.id for each in fused}) == len(fused)
