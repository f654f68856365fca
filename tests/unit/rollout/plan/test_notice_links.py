"""A notice links to exactly the decision and the evidence that it asks for."""

from datetime import UTC, datetime

import pytest

from sluice.rollout.plan.notification import Notice, console_link

AT = datetime(2026, 11, 24, tzinfo=UTC)
CONSOLE = "https://console.example/"


@pytest.mark.parametrize(
    ("alert", "evidence", "resolved", "path"),
    [
        ("approval_needed", "dark/7", False, "/decide/approve?evidence=dark%2F7"),
        ("approval_needed", "", False, "/decide/approve"),
        ("approval_needed", "dark/7", True, ""),
        ("paused", "dark/7", False, "/decide/resume"),
        ("something_else", "", False, ""),
    ],
)
def test_a_link_of_a_notice(alert: str, evidence: str, resolved: bool, path: str) -> None:
    notice = Notice(
        key="1", severity="P1", alert=alert, title="t", text="t", at=AT, flag="a/b",
        rollout_id="r", percentage=5, evidence=evidence, resolved=resolved,
    )  # fmt: skip
    assert console_link(notice, CONSOLE) == f"https://console.example/rollouts/a%2Fb{path}"
    assert console_link(notice, "") == ""
