"""Questions that no record answers; people ask those too."""

from collections.abc import Iterator

from sluice.demo.company.questions.labeled_question import LabeledQuestion, make_question

QUESTIONS = (
    "What's the weather in Rome?",
    "tell me a joke",
    "Who won the football world cup in 1990?",
    "hello",
    "How do I bake a chocolate cake?",
    "What is the capital of Australia?",
    "write a poem about the sea",
    "what is 17 times 23",
    "Who is the president of France?",
    "recommend a good film for tonight",
    "thanks",
    "translate good morning into Spanish",
    "how tall is Mount Everest",
    "play some music",
    "What should I cook for dinner?",
)


def questions() -> Iterator[LabeledQuestion]:
    yield from (make_question(text, "out_of_scope", ()) for text in QUESTIONS)
