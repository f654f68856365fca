"""The audit names each known vulnerability, and each package that it could not check."""

from typing import Any

from ops.audit import summary, vulnerabilities

VULNERABLE = {
    "name": "jinja2",
    "version": "3.1.2",
    "vulns": [{"id": "PYSEC-1", "fix_versions": ["3.1.6"]}, {"id": "GHSA-2", "fix_versions": []}],
}
CLEAN: dict[str, Any] = {"name": "httpx", "version": "0.28.1", "vulns": []}


def skipped(number: int) -> dict[str, Any]:
    return {"name": f"package-{number}", "skip_reason": "Dependency not found on PyPI"}


def test_vulnerabilities_come_with_the_version_that_fixes_them() -> None:
    document = {"dependencies": [VULNERABLE, CLEAN]}
    assert list(vulnerabilities(document)) == [
        "jinja2 3.1.2: PYSEC-1, fixed by 3.1.6",
        "jinja2 3.1.2: GHSA-2, fixed by no version yet",
    ]
    assert summary(document) == "audit: 2 of 2 packages checked"


def test_what_could_not_be_checked_is_named_and_no_vulnerability() -> None:
    document = {"dependencies": [CLEAN, *(skipped(number) for number in range(5))]}
    assert not list(vulnerabilities(document))
    text = summary(document)
    assert "1 of 6 packages checked; not checked" in text
    assert text.endswith("package-0, package-1, package-2 and 2 more")
