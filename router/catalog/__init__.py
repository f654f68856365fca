"""The catalogue: a description of a team's stores that people can read, edit and check.

Discovery reads the stores' own schemas, never their owner's intent; a person corrects the file.
Everything above this package reads stores through a ``Catalog`` only.
"""
