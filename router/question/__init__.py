"""A question as people ask it, as one typed form, and that form as SQL and Cypher.

``form`` is the meaning; ``sql`` and ``cypher`` compile it; ``reading`` makes it from language;
``wording`` prints it.
"""
