"""Eight doubles side by side in a kernel: what a compiler that vectorises loops does not find.

A value of `Lanes` is one vector of LLVM, which each machine splits into as many registers as it
needs (one with AVX-512, two with AVX2, four with SSE2 or NEON). Lanes are loaded from and stored
into arrays at any place, added, subtracted, multiplied and divided with the usual operators, and
compared lane by lane. They live inside kernels only; no bound is checked, as of Numba's arrays.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.core import errors
from numba.core.datamodel import models
from numba.extending import intrinsic, overload, register_model

WIDTH = 8

_DOUBLES = ir.VectorType(ir.DoubleType(), WIDTH)
_PLACE = ir.IntType(32)
_PLACES = ir.VectorType(_PLACE, WIDTH)
_WORDS = ir.VectorType(ir.IntType(64), WIDTH)
_MASK = ir.VectorType(ir.IntType(1), WIDTH)
# Doubles in an array lie at multiples of their own size only.
_ALIGNMENT = 8


class Lanes(types.Type):
    """The type of eight doubles side by side."""

    def __init__(self) -> None:
        super().__init__(name="Lanes")


_LANES = Lanes()


@register_model(Lanes)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, _DOUBLES)  # type: ignore[no-untyped-call]


def _primitive(function: Callable[..., Any]) -> Any:
    """Return an intrinsic of Numba as kernels call it, without the first argument."""
    return intrinsic(function)


def _checked(array: Any) -> None:
    """Refuse, when a kernel is compiled, an array whose doubles do not lie side by side."""
    flat = isinstance(array, types.Array) and array.ndim == 1 and array.layout == "C"
    if not flat or array.dtype != types.float64:
        raise errors.TypingError(f"lanes need a contiguous row of float64, not {array}")


def _pointer(context: Any, builder: Any, kind: Any, array: Any, at: Any) -> Any:
    data = context.make_array(kind)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [at]), _DOUBLES.as_pointer())


@_primitive
def load(_: Any, array: Any, at: Any) -> Any:
    """Return the eight doubles of a one-dimensional `array` from place `at` on."""
    _checked(array)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = _pointer(context, builder, signature.args[0], args[0], args[1])
        return builder.load(pointer, align=_ALIGNMENT)

    return _LANES(array, types.intp), generate


@_primitive
def store(_: Any, array: Any, at: Any, value: Any) -> Any:
    """Put eight doubles into a one-dimensional `array` from place `at` on."""
    _checked(array)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = _pointer(context, builder, signature.args[0], args[0], args[1])
        builder.store(args[2], pointer, align=_ALIGNMENT)
        return context.get_dummy_value()

    return types.void(array, types.intp, _LANES), generate


def _first(builder: Any, count: Any) -> Any:
    """Return which lanes are among the first `count`."""
    one = builder.insert_element(ir.Constant(_WORDS, ir.Undefined), count, _PLACE(0))
    counts = builder.shuffle_vector(one, one, ir.Constant(_PLACES, [0] * WIDTH))
    return builder.icmp_signed("<", ir.Constant(_WORDS, list(range(WIDTH))), counts)


@_primitive
def load_first(_: Any, array: Any, at: Any, count: Any, otherwise: Any) -> Any:
    """Return the first `count` doubles from place `at` on, and `otherwise` in the other lanes."""
    _checked(array)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = _pointer(context, builder, signature.args[0], args[0], args[1])
        kind = ir.FunctionType(_DOUBLES, [pointer.type, _PLACE, _MASK, _DOUBLES])
        name = f"llvm.masked.load.v{WIDTH}f64.p0"
        function = builder.module.declare_intrinsic(name, (), kind)
        mask = _first(builder, args[2])
        return builder.call(function, [pointer, _PLACE(_ALIGNMENT), mask, args[3]])

    return _LANES(array, types.intp, types.intp, _LANES), generate


@_primitive
def store_first(_: Any, array: Any, at: Any, value: Any, count: Any) -> Any:
    """Put the first `count` of eight doubles into a one-dimensional `array` from place `at` on."""
    _checked(array)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = _pointer(context, builder, signature.args[0], args[0], args[1])
        kind = ir.FunctionType(ir.VoidType(), [_DOUBLES, pointer.type, _PLACE, _MASK])
        name = f"llvm.masked.store.v{WIDTH}f64.p0"
        function = builder.module.declare_intrinsic(name, (), kind)
        mask = _first(builder, args[3])
        builder.call(function, [args[2], pointer, _PLACE(_ALIGNMENT), mask])
        return context.get_dummy_value()

    return types.void(array, types.intp, _LANES, types.intp), generate


@_primitive
def splat(_: Any, value: Any) -> Any:
    """Return eight times the same double."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        one = builder.insert_element(ir.Constant(_DOUBLES, ir.Undefined), args[0], _PLACE(0))
        return builder.shuffle_vector(one, one, ir.Constant(_PLACES, [0] * WIDTH))

    return _LANES(types.float64), generate


@_primitive
def shifted(_: Any, before: Any, now: Any, by: Any) -> Any:
    """Return the lanes of `now` moved on by `by` (a literal), the last of `before` in their place.

    Where the two lie one after the other in time, that is each lane as it was `by` samples ago.
    """
    if not isinstance(by, types.IntegerLiteral):
        raise errors.RequireLiteralValue("lanes are shifted by a literal")
    first = WIDTH - by.literal_value

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        places = ir.Constant(_PLACES, list(range(first, first + WIDTH)))
        return builder.shuffle_vector(args[0], args[1], places)

    return _LANES(_LANES, _LANES, by), generate


@_primitive
def lane(_: Any, value: Any, place: Any) -> Any:
    """Return one of the eight doubles."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.extract_element(args[0], builder.trunc(args[1], _PLACE))

    return types.float64(_LANES, types.intp), generate


@_primitive
def where_at_most(_: Any, value: Any, limit: Any, then: Any, otherwise: Any) -> Any:
    """Return `then` in the lanes where value ≤ limit, else `otherwise`; NaN is never at most."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.select(builder.fcmp_ordered("<=", args[0], args[1]), args[2], args[3])

    return _LANES(_LANES, _LANES, _LANES, _LANES), generate


def _of_two(emit: Callable[[Any, Any, Any], Any]) -> Any:
    @_primitive
    def two(_: Any, a: Any, b: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return emit(builder, args[0], args[1])

        return _LANES(_LANES, _LANES), generate

    return two


def _of_one(name: str) -> Any:
    @_primitive
    def one(_: Any, a: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            kind = ir.FunctionType(_DOUBLES, [_DOUBLES])
            full = f"llvm.{name}.v{WIDTH}f64"
            return builder.call(builder.module.declare_intrinsic(full, (), kind), args)

        return _LANES(_LANES), generate

    return one


# The smaller and the larger lane of two, of numbers: one instruction each.
lowest = _of_two(lambda builder, a, b: builder.select(builder.fcmp_ordered("<", a, b), a, b))
highest = _of_two(lambda builder, a, b: builder.select(builder.fcmp_ordered(">", a, b), a, b))
magnitude = _of_one("fabs")
root = _of_one("sqrt")


def _operator(python: Callable[[Any, Any], Any], name: str) -> None:
    two = _of_two(lambda builder, a, b: getattr(builder, name)(a, b))

    def both(a: Any, b: Any) -> Any:
        return two(a, b)

    @overload(python)
    def of_lanes(a: Any, b: Any) -> Any:
        return both if isinstance(a, Lanes) and isinstance(b, Lanes) else None


_operator(operator.add, "fadd")
_operator(operator.sub, "fsub")
_operator(operator.mul, "fmul")
_operator(operator.truediv, "fdiv")
