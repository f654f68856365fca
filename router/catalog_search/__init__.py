"""Answers over a catalogue: choose a store by evidence, run the form, show the rows."""
