"""The API's description in OpenAPI 3.1, made of the same rows as its routes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from runtime.appliance.service.api.endpoints import ApiEndpoint
from runtime.config.strict import Strict

REFUSED = {"$ref": "#/components/schemas/Refused"}
OF_EVERY = (401, 403, 408, 413, 429)
"""Statuses that any endpoint that needs a token may refuse with."""
OPEN = (408, 413, 429)
TEXT = {"type": ["string", "null"]}
PARAMETERS: dict[str, dict[str, Any]] = {
    "id": {"type": "integer", "minimum": 0},
    "name": {"type": "string", "minLength": 1},
}
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
        paths.setdefault(row.path, {})[row.method.lower()] = _operation(row)
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
    schema = {"type": "object"} if row.answers == "application/json" else {"type": "string"}
    refused = {*row.refusals, *(OPEN if row.role is None else OF_EVERY)}
    operation: dict[str, Any] = {
        "summary": row.summary,
        "operationId": f"{row.method.lower()}_{_words(row.path)}",
        "security": [] if row.role is None else [{"token": []}, {"cookie": []}],
        "responses": {
            str(row.status): {
                "description": row.summary,
                "content": {row.answers: {"schema": schema}},
            },
            **{
                str(status): {
                    "description": "refused",
                    "content": {"application/json": {"schema": REFUSED}},
                }
                for status in sorted(refused)
            },
        },
    }
    if row.role is not None:
        operation["description"] = f"Needs the role '{row.role}'."
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": schema}
        for name, schema in PARAMETERS.items()
        if f"{{{name}}}" in row.path
    ]
    parameters += [] if row.query is None else _in_query(row.query)
    if parameters:
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


def _in_query(record: type[Strict]) -> list[dict[str, Any]]:
    schema = record.model_json_schema()
    needed = schema.get("required", ())
    return [
        {"name": name, "in": "query", "required": name in needed, "schema": what}
        for name, what in schema["properties"].items()
    ]


def _words(path: str) -> str:
    parts = [part.strip("{}") for part in path.split("/") if part]
    return "_".join(part for part in parts if part not in ("api", "v1"))
