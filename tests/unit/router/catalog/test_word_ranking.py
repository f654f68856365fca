"""Texts of nearly equal meaning are ordered by the question's own words."""

from router.backends.base import Hit
from router.catalog_search.word_ranking import rank_by_words


def hit(name: str, text: str, score: float = 0.5) -> Hit:
    return Hit(id=name, title=name, text=text, score=score, source="", kind="", backend="")


def first(query: str, *hits: Hit) -> str:
    return rank_by_words(query, hits)[0].id


def test_an_exact_rare_word_decides_between_near_neighbours() -> None:
    nginx = hit("nginx", "Put the app behind a proxy server and set the headers", 0.505)
    apache = hit("other", "Put the app behind Apache and set the headers", 0.5)
    assert first("How do I deploy behind Apache?", nginx, apache) == "other"
    assert first("How do I deploy behind a proxy?", nginx, apache) == "nginx"


def test_one_common_word_of_many_moves_little() -> None:
    question = "environment variable to bypass the proxy for some hosts"
    right = hit("right", "requests to these hosts skip it, by an environment variable", 0.56)
    other = hit("other", "proxy proxy proxy", 0.54)
    assert first(question, right, other) == "right"


def test_words_never_beat_a_much_closer_meaning() -> None:
    close = hit("close", "Deploying with a reverse proxy", 0.8)
    worded = hit("worded", "apache apache apache", 0.5)
    assert first("apache", close, worded) == "close"


def test_a_long_text_does_not_win_by_its_length() -> None:
    long = hit("long", "cookies and sessions " + "of every other subject " * 60)
    short = hit("short", "cookies and sessions")
    assert first("cookies in sessions", long, short) == "short"


def test_without_shared_words_the_order_is_the_stores() -> None:
    hits = [hit("b", "beta", 0.4), hit("a", "alpha", 0.6)]
    assert [one.id for one in rank_by_words("nothing of it", hits)] == ["a", "b"]
    assert rank_by_words("anything", []) == []
