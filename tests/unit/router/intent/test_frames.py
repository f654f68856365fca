"""Frames: what is asked, apart from what it is asked of."""

from collections import Counter

import pytest

from router.intent.frames import _CONCEPTS, frame, frame_grams


@pytest.mark.parametrize(
    ("query", "same"),
    [
        ("Which carriers are tied to the depot?", "what vendors are linked to our plant"),
        ("show me the history of the tariff", "display the timeline of lease agreements"),
        ("find papers on tidal power", "search articles on grief"),
        ("filter wards by floor = 'north'", "filter trucks by colour = 'red'"),
    ],
)
def test_one_ask_of_different_things_is_one_frame(query: str, same: str) -> None:
    assert frame(query) == frame(same)


@pytest.mark.parametrize(
    ("query", "other"),
    [
        ("wards linked to the kitchen", "wards similar to the kitchen"),
        ("changes of the tariff", "documents about the tariff"),
        ("fees above 50", "fees from 50"),
    ],
)
def test_different_asks_of_one_thing_are_different_frames(query: str, other: str) -> None:
    assert frame(query) != frame(other)


def test_a_question_in_words_that_no_concept_has_has_no_frame() -> None:
    assert frame("velvet curtains") == ["_"]
    assert frame_grams("velvet curtains") == []
    assert frame_grams("") == []


def test_a_word_belongs_to_one_concept() -> None:
    listed = Counter(word for words in _CONCEPTS.values() for word in words.split())
    assert [word for word, count in listed.items() if count > 1] == []
