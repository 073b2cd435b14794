from hypothesis import given
from hypothesis import strategies as st
from jinja2 import UndefinedError, nodes

from bridge.errors import RenderError
from bridge.routing.expression import Expression, compile_expression, evaluator
from bridge.routing.scope import Scope
from bridge.routing.syntax import parse
from bridge.routing.template import Place, compile_template
from tests.support.deliveries import webhook

KEYS = ("a", "b", "items", "keys", "upper", "__class__", "_id", "format", "0")
SCALARS = st.none() | st.booleans() | st.integers(-9, 9) | st.floats(allow_nan=False) | st.text(max_size=3)
BODIES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
)
STEPS = st.sampled_from([f".{key}" for key in KEYS] + [f"['{key}']" for key in KEYS] + ["[0]", "[1]", "[2]"])
PATHS = st.tuples(st.sampled_from(["body", "header", "query", "raw", "method"]), st.lists(STEPS, max_size=4))


def expression(source: str) -> nodes.Expr:
    (output,) = parse(f"{{{{ {source} }}}}").body
    assert isinstance(output, nodes.Output)
    (node,) = output.nodes
    return node


def outcome(evaluate: Expression, scope: Scope) -> tuple[str, object]:
    try:
        return "value", evaluate(scope)
    except (RenderError, UndefinedError):  # the two fail in different words
        return "failed", None


@given(BODIES, PATHS)
def test_a_walked_path_means_what_it_means_to_jinja(body: object, path: tuple[str, list[str]]) -> None:
    hook = webhook(headers={"a": ("1",), "x-items": ("2",)}, query_string="a=1&items=2")
    object.__setattr__(hook, "_json", body)
    scope, source = Scope(hook, "r"), path[0] + "".join(path[1])
    walked, evaluated = compile_expression(expression(source)), evaluator(expression(source))
    assert outcome(walked, scope) == outcome(evaluated, scope)


def test_plain_paths_are_walked_and_other_expressions_are_not() -> None:
    def walked(source: str) -> bool:
        return compile_expression(expression(source)).__qualname__.startswith("_walker")

    assert walked("body.a[0]['b c']")
    assert not walked("body.a | lower")
    assert not walked("body[method]")
    assert not walked("body.a[1:]")


@given(BODIES)
def test_a_template_agrees_with_jinja_on_the_text_of_any_value(body: object) -> None:
    hook = webhook()
    object.__setattr__(hook, "_json", body)
    texts = []
    for source in ("{{ body }}", "{% if true %}{{ body }}{% endif %}", "{{ body | string }}"):
        try:
            texts.append(compile_template(source, Place.TEXT).render(Scope(hook, "r")))
        except RenderError:
            texts.append("failed")
    assert len(set(texts)) == 1
