"""Data sources of the pages, each with its last known value for when its store is away."""
