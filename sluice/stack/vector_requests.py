"""Conversion of Qdrant's REST models into requests of its embedded engine.

A request for a missing feature (geo conditions, prefetch, recommendation, inference) raises
UnsupportedError.
"""

from collections.abc import Callable
from typing import Any

import qdrant_edge as edge
from qdrant_client.http import models


class UnsupportedError(ValueError):
    """A request for a feature that the embedded server lacks."""

    def __init__(self, feature: object) -> None:
        super().__init__(
            f"{feature} is not supported by the embedded vector server; set QDRANT_URL to a Qdrant server"
        )


def convert_filter(model: models.Filter | None) -> edge.Filter | None:
    if model is None:
        return None
    minimum = model.min_should
    return edge.Filter(
        must=_conditions(model.must),
        should=_conditions(model.should),
        must_not=_conditions(model.must_not),
        min_should=edge.MinShould(_conditions(minimum.conditions) or [], minimum.min_count)
        if minimum
        else None,
    )


def _conditions(model: Any) -> list[Any] | None:  # noqa: ANN401  # the REST models' own unions
    if model is None:
        return None
    return [_condition(condition) for condition in (model if isinstance(model, list) else [model])]


def _condition(model: models.Condition) -> "edge.ConditionType":
    convert = CONDITIONS.get(type(model))
    if convert is None:
        raise UnsupportedError(f"the condition {type(model).__name__}")
    converted: edge.ConditionType = convert(model)
    return converted


def convert_index(model: models.PayloadFieldSchema | None) -> edge.PayloadSchemaType:
    """Convert the type of a payload index; parameters that tune a server are dropped."""
    if model is None:
        raise UnsupportedError("a payload index without a type")
    kind = model if isinstance(model, models.PayloadSchemaType) else model.type
    index: edge.PayloadSchemaType = getattr(edge.PayloadSchemaType, kind.value.title())
    return index


def _field(model: models.FieldCondition) -> edge.FieldCondition:
    if model.geo_bounding_box or model.geo_radius or model.geo_polygon:
        raise UnsupportedError("a geo condition")
    return edge.FieldCondition(
        key=model.key,
        match=MATCHES[type(model.match)](model.match) if model.match else None,
        range=_range(model.range) if model.range else None,
        values_count=edge.ValuesCount(**model.values_count.model_dump())
        if model.values_count
        else None,
        is_empty=model.is_empty,
        is_null=model.is_null,
    )


def _range(model: models.RangeInterface) -> edge.RangeFloat | edge.RangeDateTime:
    if isinstance(model, models.Range):
        return edge.RangeFloat(**model.model_dump())
    return edge.RangeDateTime(**model.model_dump(mode="json"))


def _convert_nested(model: models.NestedCondition) -> edge.NestedCondition:
    return edge.NestedCondition(
        model.nested.key, convert_filter(model.nested.filter) or edge.Filter()
    )


CONDITIONS: dict[type, Callable[[Any], Any]] = {
    models.Filter: convert_filter,
    models.FieldCondition: _field,
    models.NestedCondition: _convert_nested,
    models.IsEmptyCondition: lambda condition: edge.IsEmptyCondition(condition.is_empty.key),
    models.IsNullCondition: lambda condition: edge.IsNullCondition(condition.is_null.key),
    models.HasIdCondition: lambda condition: edge.HasIdCondition(set(condition.has_id)),
    models.HasVectorCondition: lambda condition: edge.HasVectorCondition(condition.has_vector),
}

MATCHES: dict[type, Callable[[Any], Any]] = {
    models.MatchValue: lambda condition: edge.MatchValue(condition.value),
    models.MatchText: lambda condition: edge.MatchText(condition.text),
    models.MatchTextAny: lambda condition: edge.MatchTextAny(condition.text_any),
    models.MatchPhrase: lambda condition: edge.MatchPhrase(condition.phrase),
    models.MatchPrefix: lambda condition: edge.MatchPrefix(condition.prefix),
    models.MatchSubstring: lambda condition: edge.MatchSubstring(condition.substring),
    models.MatchAny: lambda condition: edge.MatchAny(condition.any),
    models.MatchExcept: lambda condition: edge.MatchExcept(condition.except_),
}


def convert_query(model: models.QueryRequest) -> edge.QueryRequest:
    """Convert a nearest-neighbour query; without a vector, a listing by id."""
    if model.prefetch or model.lookup_from:
        raise UnsupportedError("prefetch or lookup_from")
    vector = model.query.nearest if isinstance(model.query, models.NearestQuery) else model.query
    return edge.QueryRequest(
        limit=10 if model.limit is None else model.limit,  # Qdrant's own default
        offset=model.offset,
        query=None if vector is None else edge.Query.Nearest(convert_vector(vector), model.using),
        filter=convert_filter(model.filter),
        score_threshold=model.score_threshold,
        params=_params(model.params),
        with_vector=model.with_vector or False,
        with_payload=convert_payload_selector(model.with_payload),
    )


def _params(model: models.SearchParams | None) -> edge.SearchParams | None:
    if model is None:
        return None
    return edge.SearchParams(
        hnsw_ef=model.hnsw_ef,
        exact=model.exact or False,
        indexed_only=model.indexed_only or False,
    )


def convert_payload_selector(model: models.WithPayloadInterface | None) -> "edge.WithPayloadType":
    if isinstance(model, models.PayloadSelectorInclude):
        return edge.PayloadSelector.Include(model.include)
    if isinstance(model, models.PayloadSelectorExclude):
        return edge.PayloadSelector.Exclude(model.exclude)
    return model or False


def convert_vector(model: object) -> "edge.NamedVector":
    """Convert one vector, dense or sparse."""
    if isinstance(model, models.SparseVector):
        return edge.SparseVector(model.indices, model.values)
    if isinstance(model, list):
        return model
    raise UnsupportedError(f"a vector model as {type(model).__name__}")


def convert_points(model: models.PointInsertOperations) -> list[edge.Point]:
    if not isinstance(model, models.PointsList):
        raise UnsupportedError("inserting points as columns")
    return [
        edge.Point(point.id, _vectors(point.vector), point.payload or {}) for point in model.points
    ]


def _vectors(model: models.VectorStruct) -> "edge.Vector":
    if isinstance(model, dict):
        return {name: convert_vector(part) for name, part in model.items()}
    if isinstance(model, list):
        return model
    raise UnsupportedError(f"a vector model as {type(model).__name__}")


def convert_collection_config(model: models.CreateCollection) -> edge.EdgeConfig:
    sparse = model.sparse_vectors or {}
    return edge.EdgeConfig(
        vectors=_vector_params(model.vectors),
        sparse_vectors={
            name: edge.EdgeSparseVectorParams(modifier=_modifier(part))
            for name, part in sparse.items()
        },
    )


def _modifier(model: models.SparseVectorParams) -> edge.Modifier | None:
    return edge.Modifier.Idf if model.modifier is models.Modifier.IDF else None


def _vector_params(
    model: models.VectorsConfig | None,
) -> edge.EdgeVectorParams | dict[str, edge.EdgeVectorParams] | None:
    if model is None:
        return None
    if isinstance(model, dict):
        return {name: _dense(part) for name, part in model.items()}
    return _dense(model)


def _dense(model: models.VectorParams) -> edge.EdgeVectorParams:
    return edge.EdgeVectorParams(model.size, getattr(edge.Distance, model.distance.value))
