"""Anytime-valid statistics: pure functions of numbers (docs/statistics.md).

Every test is a value object with ``start() -> state``, ``update(state, block) -> state`` and
``result(state, alpha) -> Result``. States are small frozen models that fit a workflow's history.
"""
