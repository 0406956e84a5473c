"""The expression language: Python's arithmetic, and nothing of Python but that."""

from __future__ import annotations

import ast
import math
import operator

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from stream_processor.rules.expression import Expression, ExpressionError, parse
from stream_processor.rules.units import powers

UNITS = {"a": powers("degC"), "b": powers("degC"), "f": powers("m3/h"), "n": ()}
NUMBERS = st.floats(-1e6, 1e6, allow_nan=False).map(lambda x: round(x, 3))


def value(text: str, **inputs: float) -> float:
    read = parse(text, dict.fromkeys(inputs, ()))
    return read.evaluate(inputs, lambda _, x: x)


def arithmetic() -> st.SearchStrategy[str]:
    leaves = st.one_of(
        st.sampled_from("abn"),
        st.integers(0, 999).map(str),
        st.floats(0, 1e6).map(lambda x: f"{x:.4f}"),
    )
    return st.recursive(
        leaves,
        lambda inner: st.one_of(
            st.tuples(inner, st.sampled_from("+-*/"), inner).map(lambda t: f"({' '.join(t)})"),
            inner.map(lambda t: f"-{t}"),
            inner.map(lambda t: f"abs({t})"),
            st.tuples(inner, inner).map(lambda t: f"min({t[0]}, {t[1]})"),
            st.tuples(inner, inner).map(lambda t: f"max({t[0]}, {t[1]})"),
            st.tuples(inner, st.integers(0, 3)).map(lambda t: f"({t[0]}) ** {t[1]}"),
        ),
        max_leaves=12,
    )


def reference(node: ast.expr, names: dict[str, float]) -> float:
    """Evaluate with Python's own operators on floats."""
    match node:
        case ast.Constant(value=int() | float() as number):
            return float(number)
        case ast.Name(id=name):
            return names[name]
        case ast.UnaryOp(operand=operand):
            return -reference(operand, names)
        case ast.Call(func=ast.Name(id=name), args=given):
            return {"abs": abs, "min": min, "max": max}[name](*(reference(g, names) for g in given))
        case ast.BinOp(left=left, op=ast.Pow(), right=ast.Constant(value=int() as power)):
            return reference(left, names) ** power
        case ast.BinOp(left=left, op=op, right=right):
            signs = {
                ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul,
                ast.Div: operator.truediv,
            }  # fmt: skip
            return signs[type(op)](reference(left, names), reference(right, names))
    raise AssertionError(ast.dump(node))


@settings(max_examples=150, deadline=None)
@given(arithmetic(), NUMBERS, NUMBERS, NUMBERS)
def test_arithmetic_is_pythons(text: str, a: float, b: float, n: float) -> None:
    names = {"a": a, "b": b, "n": n}
    try:
        wanted = reference(ast.parse(text, mode="eval").body, names)
    except (ZeroDivisionError, OverflowError):
        wanted = math.nan
    try:
        read = parse(text, dict.fromkeys(names, ()))
    except ExpressionError:
        # Only what is too long is refused.
        assume(False)
    found = read.evaluate(names, lambda _, x: x)
    if not math.isfinite(wanted):
        assert not math.isfinite(found)
    else:
        assert found == wanted


@settings(max_examples=200, deadline=None)
@given(
    st.one_of(
        st.text(max_size=60),
        st.text("abfn0123456789.+-*/()<>=! ,_andortsqmxe", max_size=60),
        st.lists(
            st.sampled_from(
                ["a", "f", "n", "(", ")", "and", "or", "not", "mean(", "rate(", "max(", ",", "3",
                 "1e9", "<", ">=", "==", "+", "-", "*", "/", "**", "lambda", "if", "else", "0x1",
                 "[", "]", ":=", "True", "None", "await", "yield", "\n", ".real", "__class__"]
            ),
            max_size=25,
        ).map(" ".join),
    )
)  # fmt: skip
def test_nothing_is_raised_but_the_documented_error(text: str) -> None:
    try:
        read = parse(text, UNITS)
    except ExpressionError as error:
        places = range(max(len(text), 1) + 1)
        if error.column not in places:
            pytest.fail(f"column {error.column} of {text!r}")
        return
    inputs = dict.fromkeys(UNITS, 2.5)
    assert isinstance(read.evaluate(inputs, lambda _, x: x), float)


@pytest.mark.parametrize("nested", ["(" * 240 + "a" + ")" * 240, "-" * 400 + "a", "not " * 100])
def test_depth_is_bounded(nested: str) -> None:
    with pytest.raises(ExpressionError):
        parse(nested, UNITS)


@pytest.mark.parametrize(
    "text", ["__import__('os')", "a.__class__ > 3", "open > 3", "(lambda: a)() > 1", "a[0] > 1"]
)
def test_nothing_of_python_is_reached(text: str) -> None:
    with pytest.raises(ExpressionError):
        parse(text, UNITS)


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("a - b", "degC"),
        ("a * 2 + 3", "degC"),
        ("a / b", "1"),
        ("a / f", "degC/m3/h"),
        ("f * f", "m3/h^2"),
        ("sqrt(f * f)", "m3/h"),
        ("f ** 2 / f", "m3/h"),
        ("rate(a, 60)", "degC/s"),
        ("mean(a, 60) - b", "degC"),
        ("max(a, 3)", "degC"),
        ("3 + 4", "1"),
    ],
)
def test_units_are_followed(text: str, unit: str) -> None:
    from stream_processor.rules.units import written

    found = parse(text, UNITS).unit
    assert found is not None
    assert written(found) == unit


@pytest.mark.parametrize(
    ("text", "column"),
    [("a + f", 4), ("a > f", 4), ("a > 3 and f", 10), ("  a > f", 6), ("a > 3 and x > 2", 10)],
)
def test_an_error_points_at_its_place(text: str, column: int) -> None:
    with pytest.raises(ExpressionError) as caught:
        parse(text, UNITS)
    assert caught.value.column == column


NAN = math.nan


@pytest.mark.parametrize(
    ("text", "x", "y", "wanted"),
    [
        ("x > 1 and y > 1", 2, NAN, NAN),
        ("x > 1 and y > 1", 0, NAN, 0.0),
        ("x > 1 or y > 1", 2, NAN, 1.0),
        ("x > 1 or y > 1", 0, NAN, NAN),
        ("not x > 1", NAN, 0, NAN),
        ("not x > 1", 0, 0, 1.0),
        ("0 < x < y", 1, 2, 1.0),
        ("0 < x < y", 3, 2, 0.0),
        ("x / y > 1", 1, 0, NAN),
        ("sqrt(x) > y", -1, 0, NAN),
        ("max(x, y) > 1", NAN, 5, NAN),
    ],
)
def test_what_is_not_known_is_not_guessed(text: str, x: float, y: float, wanted: float) -> None:
    found = value(text, x=x, y=y)
    assert found == wanted or (math.isnan(found) and math.isnan(wanted))


def test_windows_are_asked_at_every_evaluation_in_their_order() -> None:
    read: Expression = parse("n > 5 and mean(n, 60) > 0 and rate(n, 30) > 0", {"n": ()})
    asked: list[tuple[int, float]] = []
    assert [(w.function, w.seconds) for w in read.windows] == [("mean", 60.0), ("rate", 30.0)]
    read.evaluate({"n": 1.0}, lambda at, x: asked.append((at, x)) or 0.0)
    assert asked == [(0, 1.0), (1, 1.0)]
