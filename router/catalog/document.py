"""The catalogue as a YAML file that people edit, and as a JSON schema for their editors."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from router.catalog.errors import CatalogError
from router.catalog.model import Catalog

HEADER = (
    "# The stores as Sluice reads them. Edit it: words, title, date, hide, where.\n"
    "# `sluice catalog check` compares it with the stores.\n"
)


def load_catalog(path: Path) -> Catalog:
    """Read a file, or every ``*.yaml`` file of a folder as one catalogue.

    Raises:
        CatalogError: the path cannot be read or is not a catalogue; the message names the field.
    """
    paths = sorted(path.glob("*.yaml")) if path.is_dir() else [path]
    if not paths:
        raise CatalogError(f"{path}: no *.yaml file; write one with `sluice catalog discover`")
    kinds: dict[str, Any] = {}
    links: list[Any] = []
    for file in paths:
        document = _document(file)
        duplicates = sorted(set(kinds) & set(document.get("kinds") or {}))
        if duplicates:
            raise CatalogError(
                f"{file}: kinds: {duplicates[0]!r} is in another file too; rename one"
            )
        kinds |= document.get("kinds") or {}
        links += document.get("links") or []
    return _validate({"version": 1, "kinds": kinds, "links": links}, path)


def dump_catalog(catalog: Catalog) -> str:
    """Return the catalogue as YAML, without the fields that have their default."""
    document = catalog.model_dump(mode="json", exclude_defaults=True)
    document = {"version": catalog.version, **document}
    return HEADER + yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=100)


def json_schema() -> str:
    """Return the JSON schema of the file."""
    return json.dumps(Catalog.model_json_schema(), indent=2) + "\n"


def _document(path: Path) -> Mapping[str, Any]:
    try:
        document = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise CatalogError(f"{path}: cannot be read: {error}") from error
    except yaml.YAMLError as error:
        raise CatalogError(f"{path}: not YAML: {error}") from error
    if not isinstance(document, dict):
        raise CatalogError(f"{path}: expected a mapping with version, kinds and links")
    unknown = sorted(set(document) - {"version", "kinds", "links"})
    if unknown or document.get("version") != 1:
        field = unknown[0] if unknown else "version"
        raise CatalogError(f"{path}: {field}: expected version: 1, kinds and links only")
    return document


def _validate(document: Mapping[str, Any], path: Path) -> Catalog:
    try:
        return Catalog.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        location = ".".join(str(part) for part in first["loc"])
        raise CatalogError(f"{path}: {location}: {first['msg']}") from error
