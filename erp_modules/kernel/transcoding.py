"""Between HTTP and the contracts: path templates, queries and bodies, as google.api.http says."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from google.api.http_pb2 import HttpRule
from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.message import Message

from erp_modules.kernel.application import Method
from erp_modules.kernel.errors import InvalidArgument
from erp_modules.kernel.policies import ContractError, descriptor_of, http_rules

_VARIABLE = re.compile(r"\{([a-z0-9_.]+)(?:=([^}]*))?\}")
_OUTER = re.compile(r"Failed to parse (\S+) field: (.*)", re.DOTALL)
_INNER = re.compile(r" at \w+\.([\w.\[\]]+)$")
_INTEGERS = {
    FieldDescriptor.CPPTYPE_INT32,
    FieldDescriptor.CPPTYPE_INT64,
    FieldDescriptor.CPPTYPE_UINT32,
    FieldDescriptor.CPPTYPE_UINT64,
}
_FLOATS = {FieldDescriptor.CPPTYPE_DOUBLE, FieldDescriptor.CPPTYPE_FLOAT}


@dataclass(frozen=True)
class Binding:
    """One HTTP method and path of an RPC.

    `path` has `{p0}`, `{p1}`, … for the segments that vary; `variables` says how they make up a
    field: field path → pieces, where an int is the number of a segment.
    """

    method: Method
    verb: str
    path: str
    variables: Mapping[str, tuple[str | int, ...]]
    body: str

    def request(
        self, segments: list[str], query: Iterable[tuple[str, str]], body: bytes
    ) -> Message:
        """Return the request that a call over HTTP stands for.

        Raises:
            InvalidArgument: it names the parameter or field that is wrong.
        """
        request = self.method.request()
        _read_body(request, self.body, body)
        taken = set(self.variables)
        _read_query(request, query, self.body, taken)
        for field, pieces in self.variables.items():
            value = "".join(p if isinstance(p, str) else segments[p] for p in pieces)
            _set(request, field.split("."), value, field)
        return request


def bindings(method: Method) -> list[Binding]:
    """Return the HTTP bindings of an RPC.

    Raises:
        ContractError: a binding names a field that does not exist, or a pattern we do not serve.
    """
    return [_binding(method, rule) for rule in http_rules(method.descriptor)]


def _binding(method: Method, rule: HttpRule) -> Binding:
    verb = rule.WhichOneof("pattern")
    if verb is None or verb == "custom":
        raise ContractError(f"{method.full_name}: an HTTP binding without get, post, …")
    template = getattr(rule, verb)
    path, count, position = "", 0, 0
    variables: dict[str, tuple[str | int, ...]] = {}
    for match in _VARIABLE.finditer(template):
        path += template[position : match.start()]
        position = match.end()
        pieces: list[str | int] = []
        for index, segment in enumerate((match[2] or "*").split("/")):
            slash = "/" if index else ""
            path += slash
            if segment == "*":
                path += f"{{p{count}}}"
                pieces += [slash, count]
                count += 1
            elif "*" in segment:
                raise ContractError(f"{method.full_name}: {template}: only * is served, not **")
            else:
                path += segment
                pieces.append(slash + segment)
        _leaf(method.descriptor.input_type, match[1].split("."), method.full_name)
        variables[match[1]] = tuple(p for p in pieces if p != "")
    path += template[position:]
    if rule.body not in ("", "*") and rule.body not in method.request.DESCRIPTOR.fields_by_name:
        raise ContractError(f"{method.full_name}: body names no field: {rule.body}")
    return Binding(method, verb.upper(), path, variables, rule.body)


def _leaf(descriptor: Descriptor, path: list[str], what: str) -> FieldDescriptor:
    for name in path[:-1]:
        field = descriptor.fields_by_name.get(name)
        if field is None or field.message_type is None:
            raise ContractError(f"{what}: the path names no field: {'.'.join(path)}")
        descriptor = field.message_type
    if path[-1] not in descriptor.fields_by_name:
        raise ContractError(f"{what}: the path names no field: {'.'.join(path)}")
    return descriptor.fields_by_name[path[-1]]


# bodies ------------------------------------------------------------------------------------


def _read_body(request: Message, where: str, body: bytes) -> None:
    if not where:
        if body.strip():
            raise InvalidArgument("this call takes no body")
        return
    try:
        parsed = json.loads(body, parse_constant=_no_constant) if body.strip() else {}
    except RecursionError:
        raise InvalidArgument.field("body", "nested too deeply") from None
    except ValueError as error:
        raise InvalidArgument.field("body", f"not JSON: {error}") from None
    if not isinstance(parsed, dict):
        raise InvalidArgument.field("body", "not a JSON object")
    target = request if where == "*" else getattr(request, where)
    if where != "*":
        target.SetInParent()
    prefix = "" if where == "*" else f"{where}."
    _check_keys(parsed, descriptor_of(target), prefix)
    try:
        json_format.ParseDict(parsed, target)
    except json_format.ParseError as error:
        raise _from_parse_error(error, prefix) from None


def _no_constant(name: str) -> None:
    raise ValueError(f'{name} is no number in JSON: write "{name}" as text')


def _check_keys(parsed: Mapping[str, Any], descriptor: Descriptor, prefix: str) -> None:
    """Name the first unknown key by its full path; json_format knows only the innermost one."""
    if descriptor.full_name.startswith("google.protobuf."):
        return
    for key, value in parsed.items():
        field = _field(descriptor, key)
        if field is None:
            raise InvalidArgument.field(prefix + key, f"is no field of {descriptor.name}")
        message = field.message_type
        if message is None or message.GetOptions().map_entry:
            continue
        items = value if field.is_repeated and isinstance(value, list) else [value]
        for index, item in enumerate(items):
            if isinstance(item, dict):
                where = f"{prefix}{key}[{index}]" if field.is_repeated else prefix + key
                _check_keys(item, message, f"{where}.")


def _field(descriptor: Descriptor, key: str) -> FieldDescriptor | None:
    for field in descriptor.fields:
        if key in (field.json_name, field.name):
            return field
    return None


def _from_parse_error(error: json_format.ParseError, prefix: str) -> InvalidArgument:
    """Take the path of the field out of a text such as `Failed to parse a field: … at M.a.b..`."""
    reason = str(error).rstrip(".")
    names = []
    while (outer := _OUTER.match(reason)) is not None:
        names.append(outer[1])
        reason = outer[2]
    field = ".".join(names)
    inner = _INNER.search(reason)
    if inner is not None:  # with the index in a repeated field
        field = max(field, inner[1], key=len)
        reason = reason[: inner.start()]
    return InvalidArgument.field((prefix + field).rstrip(".") or "body", reason.rstrip("."))


# queries -----------------------------------------------------------------------------------


def _read_query(
    request: Message, query: Iterable[tuple[str, str]], body: str, taken: set[str]
) -> None:
    for key, text in query:
        if body == "*":
            raise InvalidArgument.field(key, "belongs into the body, this call has no parameters")
        path = _query_path(descriptor_of(request), key)
        if ".".join(path) in taken or (body and path[0] == body):
            raise InvalidArgument.field(key, "stands in the path or the body already")
        _set(request, path, text, key)


def _query_path(descriptor: Descriptor, key: str) -> list[str]:
    path = []
    for index, part in enumerate(key.split(".")):
        field = _field(descriptor, part)
        if field is None:
            known = ", ".join(sorted(f.json_name for f in descriptor.fields))
            raise InvalidArgument.field(key, f"is no parameter of this call; there are: {known}")
        path.append(field.name)
        if index < key.count("."):
            if field.message_type is None or field.is_repeated:
                raise InvalidArgument.field(key, f"{part} has no fields")
            descriptor = field.message_type
    return path


def _set(message: Message, path: list[str], text: str, key: str) -> None:
    for name in path[:-1]:
        message = getattr(message, name)
    field = descriptor_of(message).fields_by_name[path[-1]]
    if field.message_type is not None and not _is_one_string(field.message_type):
        raise InvalidArgument.field(key, "is a message: name one of its fields")
    value = _value(field, text, key)
    if not field.is_repeated and field.message_type is None:
        setattr(message, field.name, value)
        return
    if field.message_type is None:
        getattr(message, field.name).append(value)
        return
    target = getattr(message, field.name)
    target = target.add() if field.is_repeated else target
    try:
        json_format.ParseDict(value, target)
    except json_format.ParseError as error:
        raise InvalidArgument.field(key, str(error).rstrip(".")) from None


def _is_one_string(descriptor: Descriptor) -> bool:
    return descriptor.full_name in (
        "google.protobuf.Timestamp",
        "google.protobuf.Duration",
        "google.protobuf.FieldMask",
    )


def _value(field: FieldDescriptor, text: str, key: str) -> Any:
    kind = field.cpp_type
    try:
        if kind == FieldDescriptor.CPPTYPE_ENUM:
            return _enum(field.enum_type, text, key)
        if kind == FieldDescriptor.CPPTYPE_BOOL:
            return {"true": True, "false": False}[text]
        if kind in _INTEGERS:
            return _integer(field, int(text))
        if kind in _FLOATS:
            return float(text)
    except (ValueError, KeyError):
        raise InvalidArgument.field(key, f"{text!r} is not a value of it") from None
    if field.type == FieldDescriptor.TYPE_BYTES:
        raise InvalidArgument.field(key, "is bytes: they travel in a body only")
    return text


def _integer(field: FieldDescriptor, number: int) -> int:
    signed = field.cpp_type in (FieldDescriptor.CPPTYPE_INT32, FieldDescriptor.CPPTYPE_INT64)
    wide = field.cpp_type in (FieldDescriptor.CPPTYPE_INT64, FieldDescriptor.CPPTYPE_UINT64)
    bits = 64 if wide else 32
    lowest, highest = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    if not lowest <= number <= highest:
        raise ValueError(number)
    return number


def _enum(enum: EnumDescriptor | None, text: str, key: str) -> int:
    assert enum is not None
    value = enum.values_by_name.get(text)
    if value is None:
        names = ", ".join(v.name for v in enum.values)
        raise InvalidArgument.field(key, f"{text!r} is not one of {names}")
    return int(value.number)
