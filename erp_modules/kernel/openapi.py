"""The OpenAPI 3.1 document, generated from the same descriptors as the routes."""

from __future__ import annotations

from typing import Any

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor

from erp_modules.kernel.application import Application
from erp_modules.kernel.authorisation import PUBLIC
from erp_modules.kernel.transcoding import Binding, bindings

Schema = dict[str, Any]

_WELL_KNOWN: dict[str, Schema] = {
    "google.protobuf.Timestamp": {"type": "string", "format": "date-time"},
    "google.protobuf.Duration": {"type": "string", "examples": ["3.5s"]},
    "google.protobuf.FieldMask": {"type": "string", "examples": ["title,assignee"]},
    "google.protobuf.Empty": {"type": "object", "additionalProperties": False},
    "google.protobuf.Struct": {"type": "object"},
    "google.protobuf.Value": {},
    "google.protobuf.Any": {"type": "object"},
}
_NUMBER: Schema = {
    "anyOf": [{"type": "number"}, {"type": "string", "enum": ["NaN", "Infinity", "-Infinity"]}]
}
_SCALARS: dict[int, Schema] = {
    FieldDescriptor.CPPTYPE_BOOL: {"type": "boolean"},
    FieldDescriptor.CPPTYPE_INT32: {"type": "integer", "format": "int32"},
    FieldDescriptor.CPPTYPE_UINT32: {"type": "integer", "minimum": 0},
    FieldDescriptor.CPPTYPE_INT64: {"type": "string", "format": "int64"},
    FieldDescriptor.CPPTYPE_UINT64: {"type": "string", "format": "uint64"},
    FieldDescriptor.CPPTYPE_DOUBLE: _NUMBER,
    FieldDescriptor.CPPTYPE_FLOAT: _NUMBER,
    FieldDescriptor.CPPTYPE_STRING: {"type": "string"},
}
_PROBLEM: Schema = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "code"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string", "description": "Name of the gRPC code."},
        "traceId": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "message"],
                "properties": {"field": {"type": "string"}, "message": {"type": "string"}},
            },
        },
    },
}


def openapi(app: Application, title: str = "Headrace", version: str = "1") -> Schema:
    """Return the OpenAPI 3.1 document of every RPC of `app`."""
    document = _Document()
    paths: dict[str, Schema] = {}
    for method in app.methods.values():
        for index, binding in enumerate(bindings(method)):
            path, operation = document.operation(binding, index)
            paths.setdefault(path, {})[binding.verb.lower()] = operation
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": version},
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": {"Problem": _PROBLEM, **dict(sorted(document.schemas.items()))},
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "session": {"type": "apiKey", "in": "cookie", "name": "session"},
            },
        },
    }


class _Document:
    def __init__(self) -> None:
        self.schemas: dict[str, Schema] = {}

    def operation(self, binding: Binding, index: int) -> tuple[str, Schema]:
        method = binding.method
        service = method.descriptor.containing_service.name
        path, parameters = _path(binding)
        request = method.descriptor.input_type
        if binding.body != "*":
            parameters += self._query(binding, request)
        operation: Schema = {
            "operationId": f"{service}_{method.descriptor.name}" + (f"_{index}" if index else ""),
            "tags": [service],
            "x-scope": method.policy.scope,
            "parameters": parameters,
            "responses": {
                "200": {
                    "description": "OK",
                    "content": {
                        "application/json": {"schema": self.message(method.descriptor.output_type)}
                    },
                },
                "default": {
                    "description": "An error",
                    "content": {
                        "application/problem+json": {
                            "schema": {"$ref": "#/components/schemas/Problem"}
                        }
                    },
                },
            },
        }
        if method.policy.scope != PUBLIC:
            operation["security"] = [{"bearer": []}, {"session": []}]
        if binding.body:
            body = (
                request
                if binding.body == "*"
                else request.fields_by_name[binding.body].message_type
            )
            assert body is not None
            operation["requestBody"] = {
                "required": True,
                "content": {"application/json": {"schema": self.message(body)}},
            }
        return path, operation

    def _query(self, binding: Binding, request: Descriptor) -> list[Schema]:
        return [
            {"name": field.json_name, "in": "query", "schema": self.field(field)}
            for field in request.fields
            if field.name != binding.body
            and not any(v.split(".")[0] == field.name for v in binding.variables)
            and (field.message_type is None or field.message_type.full_name in _WELL_KNOWN)
        ]

    def field(self, field: FieldDescriptor) -> Schema:
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            value = self.field(field.message_type.fields_by_name["value"])
            return {"type": "object", "additionalProperties": value}
        schema = self._single(field)
        return {"type": "array", "items": schema} if field.is_repeated else schema

    def _single(self, field: FieldDescriptor) -> Schema:
        if field.message_type is not None:
            return self.message(field.message_type)
        if field.enum_type is not None:
            return self._enum(field.enum_type)
        if field.type == FieldDescriptor.TYPE_BYTES:
            return {"type": "string", "contentEncoding": "base64"}
        return _SCALARS[field.cpp_type]

    def message(self, descriptor: Descriptor) -> Schema:
        if descriptor.full_name in _WELL_KNOWN:
            return _WELL_KNOWN[descriptor.full_name]
        name = descriptor.full_name
        if name not in self.schemas:
            self.schemas[name] = {}  # before its fields: a message may hold itself
            self.schemas[name] = {
                "type": "object",
                "additionalProperties": False,
                "properties": {f.json_name: self.field(f) for f in descriptor.fields},
            }
        return {"$ref": f"#/components/schemas/{name}"}

    def _enum(self, descriptor: EnumDescriptor) -> Schema:
        self.schemas[descriptor.full_name] = {
            "type": "string",
            "enum": [value.name for value in descriptor.values],
        }
        return {"$ref": f"#/components/schemas/{descriptor.full_name}"}


def _path(binding: Binding) -> tuple[str, list[Schema]]:
    """Return the path with parameters named after what they identify, and the parameters."""
    path, parameters = binding.path, []
    for field, pieces in binding.variables.items():
        numbers = [piece for piece in pieces if isinstance(piece, int)]
        for position, number in enumerate(numbers):
            last = field.rsplit(".", 1)[-1]
            name = "id" if last in ("name", "parent") else last
            name += f"_{position}" if len(numbers) > 1 else ""
            path = path.replace(f"{{p{number}}}", f"{{{name}}}")
            parameters.append(
                {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
            )
    return path, parameters
