"""A small language for conditions over features: read into a checked tree, never run as code.

Its grammar is Python's: numbers, inputs by name, `+ - * /`, `**` with a whole number, comparisons,
`and`, `or`, `not`, and the functions `abs`, `min`, `max`, `sqrt`, `mean(x, seconds)` and
`rate(x, seconds)` (per second). Units are followed through: what is added or compared must be in
the same one; a number as such takes that of its neighbour.

What is not known (NaN, a division by zero) makes the result unknown, unless `and` or `or` is
decided without it (Kleene's logic).
"""

from __future__ import annotations

import ast
import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from stream_processor.rules.units import Powers, product, written

LONGEST: Final = 500
DEEPEST: Final = 40
LONGEST_WINDOW_S: Final = 7 * 86_400.0
HIGHEST_POWER: Final = 4
NAN: Final = math.nan
SECONDS: Final[Powers] = (("s", 1),)

_FOREIGN = re.compile(r"[^A-Za-z0-9_ \t\r\n.,()+\-*/<>=!]")
_ARITHMETIC: Final[Mapping[type[ast.operator], str]] = {
    ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.Pow: "**",
}  # fmt: skip
_COMPARISONS: Final[Mapping[type[ast.cmpop], Callable[[float, float], bool]]] = {
    ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt, ast.GtE: operator.ge,
    ast.Eq: operator.eq, ast.NotEq: operator.ne,
}  # fmt: skip
_PLAIN: Final[Mapping[str, tuple[int, int]]] = {
    "abs": (1, 1), "sqrt": (1, 1), "min": (2, 8), "max": (2, 8),
}  # fmt: skip
_WINDOWED: Final = ("mean", "rate")
FUNCTIONS: Final = (*_PLAIN, *_WINDOWED)

Inputs = Mapping[str, float]
# Number of a window in its expression, the new value in it → what the window says.
Windows = Callable[[int, float], float]
Evaluate = Callable[[Inputs, Windows], float]


class ExpressionError(ValueError):
    """An expression cannot be read; `column` counts from 0."""

    def __init__(self, message: str, column: int) -> None:
        super().__init__(message)
        self.column = column


@dataclass(frozen=True, slots=True)
class Windowed:
    """A function over a stretch of event time."""

    function: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Expression:
    """A checked expression.

    `evaluate` returns its value, of a condition 1 for true and 0 for false, NaN when unknown; it
    asks for every window each time. `unit` is None of a condition.
    """

    text: str
    inputs: tuple[str, ...]
    windows: tuple[Windowed, ...]
    unit: Powers | None
    evaluate: Evaluate

    @property
    def is_condition(self) -> bool:
        """Whether it is true or false rather than a number."""
        return self.unit is None


@dataclass(frozen=True, slots=True)
class _Part:
    """A part of the tree: how it is evaluated, and its unit.

    `free` is of what has no unit of its own and takes that of its neighbour: a number as such.
    """

    evaluate: Evaluate
    unit: Powers = ()
    free: bool = False
    condition: bool = False


def parse(text: str, units: Mapping[str, Powers]) -> Expression:
    """Read an expression over the inputs in `units`.

    Raises:
        ExpressionError: it is not of this language, or its units do not fit.
    """
    if not text.strip():
        raise ExpressionError("there is nothing in it: write a condition such as `a > b`", 0)
    if len(text) > LONGEST:
        raise ExpressionError(f"it is longer than {LONGEST} characters: make two rules", LONGEST)
    if foreign := _FOREIGN.search(text):
        raise ExpressionError(f"{foreign[0]!r} has no meaning here", foreign.start())
    flat = re.sub(r"\s", " ", text)
    lead = len(flat) - len(flat.lstrip())
    try:
        tree = ast.parse(flat.strip(), mode="eval")
    except SyntaxError as error:
        column = min(max((error.offset or 1) - 1, 0) + lead, len(flat) - 1)
        raise ExpressionError(f"it cannot be read: {error.msg}", column) from error
    except (ValueError, RecursionError, MemoryError, OverflowError) as error:
        raise ExpressionError("it is too deeply nested", lead) from error
    reader = _Reader(units, lead)
    part = reader.read(tree.body, 0)
    return Expression(
        text,
        tuple(reader.used),
        tuple(reader.windows),
        None if part.condition else part.unit,
        part.evaluate,
    )


class _Reader:
    def __init__(self, units: Mapping[str, Powers], lead: int) -> None:
        self.units = units
        self.used: dict[str, None] = {}
        self.windows: list[Windowed] = []
        self._lead = lead

    def _error(self, node: ast.expr, message: str) -> ExpressionError:
        return ExpressionError(message, node.col_offset + self._lead)

    def read(self, node: ast.expr, depth: int) -> _Part:
        if depth > DEEPEST:
            raise self._error(node, "it is too deeply nested")
        match node:
            case ast.Constant():
                return self._constant(node)
            case ast.Name():
                return self._input(node)
            case ast.UnaryOp():
                return self._unary(node, depth)
            case ast.BinOp():
                return self._binary(node, depth)
            case ast.Compare():
                return self._comparison(node, depth)
            case ast.BoolOp():
                return self._logic(node, depth)
            case ast.Call():
                return self._call(node, depth)
        raise self._error(
            node, "this is not of the language: it has numbers, inputs, + - * / **, comparisons,"
            f" and, or, not, and {', '.join(FUNCTIONS)}",
        )  # fmt: skip

    def _number(self, node: ast.expr, depth: int) -> _Part:
        part = self.read(node, depth + 1)
        if part.condition:
            raise self._error(node, "this is true or false where a number is due")
        return part

    def _condition(self, node: ast.expr, depth: int) -> _Part:
        part = self.read(node, depth + 1)
        if not part.condition:
            raise self._error(node, "this is a number where a condition is due: compare it")
        return part

    def _constant(self, node: ast.Constant) -> _Part:
        given = node.value
        try:
            # `True` is an int to Python.
            value = NAN
            if isinstance(given, int | float) and not isinstance(given, bool):
                value = float(given)
        except OverflowError:
            value = NAN
        if not math.isfinite(value):
            raise self._error(node, "this is no number that can be compared")
        return _Part(lambda _inputs, _windows: value, free=True)

    def _input(self, node: ast.Name) -> _Part:
        name = node.id
        if name not in self.units:
            known = ", ".join(self.units) or "none"
            raise self._error(
                node, f"there is no input {name!r}: name it under `inputs`, which has {known}"
            )
        self.used[name] = None
        return _Part(lambda inputs, _: inputs[name], self.units[name])

    def _unary(self, node: ast.UnaryOp, depth: int) -> _Part:
        if isinstance(node.op, ast.Not):
            part = self._condition(node.operand, depth)
            inner = part.evaluate
            return _Part(lambda i, w: 1.0 - inner(i, w), condition=True)
        if isinstance(node.op, ast.Invert):
            raise self._error(node, "`~` has no meaning here: write `not`")
        part = self._number(node.operand, depth)
        inner = part.evaluate
        if isinstance(node.op, ast.USub):
            return _Part(lambda i, w: -inner(i, w), part.unit, part.free)
        return part

    def _binary(self, node: ast.BinOp, depth: int) -> _Part:
        sign = _ARITHMETIC.get(type(node.op))
        if sign is None:
            raise self._error(node, "this operator is not of the language: it has + - * / **")
        left = self._number(node.left, depth)
        if sign == "**":
            return self._power(node, left)
        right = self._number(node.right, depth)
        one, other = left.evaluate, right.evaluate
        if sign in "+-":
            unit, free = self._together(node.right, left, right)
            if sign == "+":
                return _Part(lambda i, w: one(i, w) + other(i, w), unit, free)
            return _Part(lambda i, w: one(i, w) - other(i, w), unit, free)
        free = left.free and right.free
        if sign == "*":
            unit = product(left.unit, right.unit)
            return _Part(lambda i, w: one(i, w) * other(i, w), unit, free)
        unit = product(left.unit, right.unit, -1)
        return _Part(lambda i, w: _quotient(one(i, w), other(i, w)), unit, free)

    def _power(self, node: ast.BinOp, base: _Part) -> _Part:
        literal = node.right
        sign = 1
        if isinstance(literal, ast.UnaryOp) and isinstance(literal.op, ast.USub):
            literal, sign = literal.operand, -1
        exponent = literal.value if isinstance(literal, ast.Constant) else None
        if not isinstance(exponent, int) or not 0 <= exponent <= HIGHEST_POWER:
            raise self._error(
                node.right, f"a power is a whole number from -{HIGHEST_POWER} to {HIGHEST_POWER}"
            )
        power = sign * exponent
        unit = tuple((u, p * power) for u, p in base.unit if power)
        one = base.evaluate
        return _Part(lambda i, w: _raised(one(i, w), power), unit, base.free)

    def _together(self, node: ast.expr, left: _Part, right: _Part) -> tuple[Powers, bool]:
        """Return the unit of two parts that must have the same."""
        if left.free or right.free:
            return right.unit if left.free else left.unit, left.free and right.free
        if left.unit != right.unit:
            raise self._error(
                node,
                f"this is in {written(right.unit)} and what it meets in {written(left.unit)}:"
                " only what has the same unit can be added or compared",
            )
        return left.unit, False

    def _comparison(self, node: ast.Compare, depth: int) -> _Part:
        operands = [node.left, *node.comparators]
        parts = [self._number(operand, depth) for operand in operands]
        for at in range(1, len(parts)):
            self._together(operands[at], parts[at - 1], parts[at])
        tests = []
        for sign in node.ops:
            if type(sign) not in _COMPARISONS:
                raise self._error(node, "this comparison is not of the language: < <= > >= == !=")
            tests.append(_COMPARISONS[type(sign)])
        evaluate = [part.evaluate for part in parts]

        def compare(inputs: Inputs, windows: Windows) -> float:
            values = [each(inputs, windows) for each in evaluate]
            said = [
                NAN if a != a or b != b else float(test(a, b))
                for test, a, b in zip(tests, values[:-1], values[1:], strict=True)
            ]
            return _all(said)

        return _Part(compare, condition=True)

    def _logic(self, node: ast.BoolOp, depth: int) -> _Part:
        evaluate = [self._condition(value, depth).evaluate for value in node.values]
        if isinstance(node.op, ast.And):
            return _Part(lambda i, w: _all([each(i, w) for each in evaluate]), condition=True)
        return _Part(
            lambda i, w: 1.0 - _all([1.0 - each(i, w) for each in evaluate]), condition=True
        )

    def _call(self, node: ast.Call, depth: int) -> _Part:
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        if name not in FUNCTIONS or node.keywords:
            raise self._error(node, f"there is no such function: there are {', '.join(FUNCTIONS)}")
        if name in _WINDOWED:
            return self._windowed(node, name, depth)
        least, most = _PLAIN[name]
        if not least <= len(node.args) <= most:
            many = str(least) if least == most else f"{least} to {most}"
            raise self._error(node, f"{name} takes {many} numbers, not {len(node.args)}")
        parts = [self._number(argument, depth) for argument in node.args]
        unit, free = parts[0].unit, parts[0].free
        for at in range(1, len(parts)):
            so_far = _Part(parts[0].evaluate, unit, free)
            unit, free = self._together(node.args[at], so_far, parts[at])
        evaluate = [part.evaluate for part in parts]
        if name == "abs":
            return _Part(lambda i, w: abs(evaluate[0](i, w)), unit, free)
        if name == "sqrt":
            return self._root(node, evaluate[0], unit, free)
        choose = min if name == "min" else max
        return _Part(lambda i, w: _chosen(choose, [e(i, w) for e in evaluate]), unit, free)

    def _root(self, node: ast.Call, one: Evaluate, unit: Powers, free: bool) -> _Part:
        if any(power % 2 for _, power in unit):
            raise self._error(node, f"{written(unit)} has no square root: take that of a product")
        halved = tuple((u, p // 2) for u, p in unit)
        return _Part(lambda i, w: _rooted(one(i, w)), halved, free)

    def _windowed(self, node: ast.Call, name: str, depth: int) -> _Part:
        if len(node.args) != 2:
            raise self._error(node, f"write {name}(what, seconds)")
        part = self._number(node.args[0], depth)
        literal = node.args[1]
        given = literal.value if isinstance(literal, ast.Constant) else None
        seconds = given if isinstance(given, int | float) and given is not True else 0.0
        if not 0 < seconds <= LONGEST_WINDOW_S:
            raise self._error(
                literal, f"a window is a number of seconds up to {LONGEST_WINDOW_S:.0f}"
            )
        at = len(self.windows)
        self.windows.append(Windowed(name, float(seconds)))
        inner = part.evaluate
        unit = product(part.unit, SECONDS, -1) if name == "rate" else part.unit
        return _Part(lambda i, w: w(at, inner(i, w)), unit, part.free)


def _all(said: Sequence[float]) -> float:
    """Return Kleene's conjunction: 0 as soon as one is false, NaN when one is unknown."""
    if 0.0 in said:
        return 0.0
    return NAN if any(s != s for s in said) else 1.0


def _quotient(one: float, other: float) -> float:
    return one / other if other else NAN


def _raised(one: float, power: int) -> float:
    try:
        return float(one**power)
    except (OverflowError, ZeroDivisionError):
        return NAN


def _rooted(one: float) -> float:
    return math.sqrt(one) if one >= 0.0 else NAN


def _chosen(choose: Callable[[Sequence[float]], float], values: Sequence[float]) -> float:
    return NAN if any(v != v for v in values) else choose(values)
