"""From functions of scalars (`scalars.py`) to the body of a loop: a dtype given, and all calls written out.

`Body` takes calls one after the other and turns each into plain statements on local variables, so that a generated
kernel is one self-contained function (what Numba's disk cache needs) that a person can read:

    body = Body("float32", library)
    y = body.call("silu", ["x"])       # body.lines is now ["v1 = x / (c1 + exp((-x)))"], and y is "v1"

`library` says what each name of the subset is on a target: a function to be written out likewise, or a text with the
places of the arguments, such as "np.sqrt({})". Constants (`body.constants`) are defined by the generated module.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

Library = Mapping[str, "Callable[..., Any] | str"]


@cache
def _definition(function: Callable[..., Any]) -> ast.FunctionDef:
    tree = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]
    assert isinstance(tree, ast.FunctionDef)
    return tree


class Body:
    """The statements of a loop's body in the making; see the module.

    dtype: "float32" or "float64", that of every literal.
    """

    def __init__(self, dtype: str, library: Library) -> None:
        self.dtype = dtype
        self.lines: list[str] = []
        self.constants: dict[str, str] = {}  # value as written -> name
        self._library = library
        self._known: dict[str, str] = {}  # expression -> the variable that holds it
        self._count = 0

    def constant(self, value: float) -> str:
        """The name of a constant of the dtype."""
        return self.constants.setdefault(repr(float(value)), f"c{len(self.constants) + 1}")

    def assign(self, expression: str) -> str:
        """The variable that holds `expression`: a new one, unless it is one or has been computed already."""
        if expression.isidentifier():
            return expression
        if expression[0] == "(" and _closes_at_the_end(expression):
            expression = expression[1:-1]
        name = self._known.get(expression)
        if name is None:
            self._count += 1
            name = self._known[expression] = f"v{self._count}"
            self.lines.append(f"{name} = {expression}")
        return name

    def call(self, name: str, arguments: Sequence[str]) -> str:
        """Write out the call of function `name`; the arguments are names of variables or constants. Its result's name.

        Raises KeyError if the library has no such function.
        """
        return self.assign(self._written_out(name, arguments))

    def _written_out(self, name: str, arguments: Sequence[str]) -> str:
        """The call as an expression, what it needs first being written before."""
        function = self._library[name]
        if isinstance(function, str):
            return function.format(*arguments)
        definition = _definition(function)
        variables = dict(zip([a.arg for a in definition.args.args], map(self.assign, arguments), strict=True))
        for statement in definition.body:
            if isinstance(statement, ast.Return):
                assert statement.value is not None
                return self._expression(statement.value, variables)
            if isinstance(statement, ast.Assign):
                (target,) = statement.targets
                assert isinstance(target, ast.Name)
                variables[target.id] = self.assign(self._expression(statement.value, variables))
            elif not isinstance(statement, ast.Expr):  # An expression alone is the docstring.
                raise TypeError(
                    f"{name}: {ast.unparse(statement)!r} is not in the subset of Python of scalar functions"
                )
        raise TypeError(f"{name}: a scalar function must return its value")

    def _expression(self, node: ast.expr, variables: dict[str, str]) -> str:
        """The expression with the variables of the loop, in brackets where it has an operator."""

        def part(child: ast.expr) -> str:
            return self._expression(child, variables)

        match node:
            case ast.Name(id=name):
                return variables[name]
            case ast.Constant(value=int(value) | float(value)):
                return self.constant(value)
            case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int(value) | float(value))):
                return self.constant(-value)
            case ast.UnaryOp(op=op, operand=operand):
                return f"({_SIGNS[type(op)]}{part(operand)})"
            case ast.BinOp(left=left, op=op, right=right) | ast.Compare(left=left, ops=[op], comparators=[right]):
                return f"({part(left)} {_SIGNS[type(op)]} {part(right)})"
            case ast.BoolOp(op=op, values=values):
                # Both sides are computed: `&` keeps the loop free of branches.
                sign = " & " if isinstance(op, ast.And) else " | "
                return f"({sign.join(part(v) for v in values)})"
            case ast.IfExp(test=test, body=body, orelse=orelse):
                # A choice between two numbers at hand is one instruction; between computations it is a branch.
                chosen, other = self.assign(part(body)), self.assign(part(orelse))
                return f"({chosen} if {part(test)} else {other})"
            case ast.Call(func=ast.Name(id=name), args=arguments):
                return self._written_out(name, [part(a) for a in arguments])
            case _:
                raise TypeError(f"{ast.unparse(node)!r} is not in the subset of Python of scalar functions")

    def define_constants(self) -> list[str]:
        """The lines of the generated module that define the constants."""
        return [f"{name} = {self.dtype}({value})" for value, name in self.constants.items()]


def _closes_at_the_end(expression: str) -> bool:
    """Whether the bracket that begins the expression is closed by its last character."""
    depth = 0
    for place, character in enumerate(expression):
        depth += (character == "(") - (character == ")")
        if depth == 0:
            return place == len(expression) - 1
    return False


_SIGNS: dict[type, str] = {
    ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.USub: "-",
    ast.Gt: ">", ast.GtE: ">=", ast.Lt: "<", ast.LtE: "<=", ast.Eq: "==", ast.NotEq: "!=",
}  # fmt: skip
