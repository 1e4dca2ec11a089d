"""README: its Python example calls existing functions with valid arguments."""

import ast
import inspect
import re
from pathlib import Path

import cgatjax

README = Path(__file__).resolve().parents[1] / "README.md"


def example() -> ast.Module:
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(), flags=re.DOTALL)
    assert len(blocks) == 1
    return ast.parse(blocks[0])


def resolved(node: ast.expr) -> object:
    """Return the object `cg.a.b`, or None if the expression does not begin with `cg`."""
    if isinstance(node, ast.Name):
        return cgatjax if node.id == "cg" else None
    if isinstance(node, ast.Attribute):
        owner = resolved(node.value)
        return None if owner is None else getattr(owner, node.attr)
    return None


def test_calls_of_the_example_match_the_signatures() -> None:
    calls = [node for node in ast.walk(example()) if isinstance(node, ast.Call)]
    checked = 0
    for call in calls:
        function = resolved(call.func)
        if callable(function):
            keywords = {k.arg: None for k in call.keywords if k.arg}
            inspect.signature(function).bind(*call.args, **keywords)
            checked += 1
    assert checked >= 10


def test_the_example_is_short() -> None:
    text = README.read_text().split("```python\n")[1].split("```")[0]
    assert len([line for line in text.splitlines() if line.strip()]) <= 25
