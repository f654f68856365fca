"""Errors of the catalogue."""

from router.errors import RouterError


class CatalogError(RouterError):
    """The catalogue or a request against it is wrong; the message names the field and the fix."""


class HiddenError(CatalogError):
    """A form uses a kind, column or link that the catalogue does not offer."""
