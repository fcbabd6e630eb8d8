"""The API's description in OpenAPI 3.1, made of the same rows as its routes."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from runtime.appliance.service.api.endpoints import ApiEndpoint

REFUSED = {"$ref": "#/components/schemas/Refused"}
OF_EVERY = (401, 403, 408, 413, 429)
"""Statuses that any endpoint that needs a token may refuse with."""
OPEN = (408, 413, 429)
TEXT = {"type": ["string", "null"]}
NUMBERS = ("id", "n", "level", "x", "y")
"""Parts of addresses that are numbers from 0; the others are names."""
NAMED = re.compile(r"{(\w+)(?::path)?}")
SCHEMAS: dict[str, Any] = {
    "Refused": {
        "type": "object",
        "required": ["error"],
        "properties": {
            "error": {
                "type": "object",
                "required": ["what", "value", "limit", "remedy"],
                "properties": {
                    "what": {"type": "string"},
                    "value": TEXT,
                    "limit": TEXT,
                    "remedy": {"type": "string"},
                },
            }
        },
    }
}


def description(rows: Iterable[ApiEndpoint], *, version: str) -> dict[str, Any]:
    """Return the OpenAPI document of these endpoints."""
    paths: dict[str, dict[str, Any]] = {}
    for row in rows:
        paths.setdefault(_address(row.path), {})[row.method.lower()] = _operation(row)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Nightscope",
            "version": version,
            "description": "A microscope's own queue of nights. Roles: look, operate, administer.",
        },
        "paths": paths,
        "components": {
            "schemas": SCHEMAS,
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "cookie": {"type": "apiKey", "in": "cookie", "name": "nightscope"},
            },
        },
    }


def _operation(row: ApiEndpoint) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "summary": row.summary,
        "operationId": f"{row.method.lower()}_{_words(row.path)}",
        "security": [] if row.role is None else [{"token": []}, {"cookie": []}],
        "responses": _responses(row),
    }
    if row.role is not None:
        operation["description"] = f"Needs the role '{row.role}'."
    if parameters := [*_in_path(row.path), *_in_query(row)]:
        operation["parameters"] = parameters
    if row.takes != "application/json":
        bundle = {"schema": {"type": "string", "format": "binary"}}
        operation["requestBody"] = {"required": True, "content": {row.takes: bundle}}
    if row.body is not None:
        operation["requestBody"] = {
            "required": not row.optional,
            "content": {"application/json": {"schema": row.body.model_json_schema()}},
        }
    return operation


def _responses(row: ApiEndpoint) -> dict[str, Any]:
    kind = "object" if row.answers == "application/json" else "string"
    told = {row.answers: {"schema": {"type": kind}}}
    responses: dict[str, Any] = {
        str(status): {"description": row.summary, "content": told}
        for status in (row.status, *row.also)
    }
    if row.unchanged:
        responses["304"] = {"description": "as it was when it was asked for last"}
    refused = {"application/json": {"schema": REFUSED}}
    for status in sorted({*row.refusals, *(OPEN if row.role is None else OF_EVERY)}):
        responses[str(status)] = {"description": "refused", "content": refused}
    return responses


def _in_path(path: str) -> list[dict[str, Any]]:
    number, name = {"type": "integer", "minimum": 0}, {"type": "string", "minLength": 1}
    return [
        {"name": one, "in": "path", "required": True, "schema": number if one in NUMBERS else name}
        for one in NAMED.findall(path)
    ]


def _in_query(row: ApiEndpoint) -> list[dict[str, Any]]:
    record = {} if row.query is None else row.query.model_json_schema()
    needed = record.get("required", ())
    schemas = record.get("properties", {}) | {name: {"type": "string"} for name in row.asks}
    return [
        {"name": name, "in": "query", "required": name in needed, "schema": schema}
        for name, schema in schemas.items()
    ]


def _words(path: str) -> str:
    parts = [part for part in re.split(r"\W+", _address(path)) if part]
    return "_".join(part for part in parts if part not in ("api", "v1")) or "page"


def _address(path: str) -> str:
    """Return a route's path as OpenAPI writes it."""
    return NAMED.sub(r"{\1}", path)
