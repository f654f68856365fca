"""Sessions, login links, request checks and headers: what protects every page."""
