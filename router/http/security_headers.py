"""Response headers that keep browsers from interpreting the API's answers (OWASP REST guide)."""

API_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
)
DOCS_POLICY = (
    b"default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    b"img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'"
)


def security_headers(path: str) -> tuple[tuple[bytes, bytes], ...]:
    """Return the headers of a response; the API documentation may load its own files."""
    if path.startswith("/docs"):
        return (*API_HEADERS[:-1], (b"content-security-policy", DOCS_POLICY))
    return API_HEADERS
