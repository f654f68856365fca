"""Settings of Python's garbage collector for a process that serves queries."""

import gc

YOUNG_OBJECTS_MAX = 10_000
"""New objects between two collections; Python's 700 are the objects of a single answer."""


def spare_collections() -> None:
    """Exempt all objects of now, such as models, and collect less often.

    A query leaves few cycles behind. A visit of all 200,000 objects would stop every query.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS_MAX, 10, 10)
