import pytest

from bridge.config.problems import (
    MOST_PROBLEMS,
    Code,
    Position,
    Problem,
    Problems,
    Source,
    TooManyProblems,
    did_you_mean,
    printable,
    quoted,
)


def noted(text: str, line: int, column: int, message: str = "what", hint: str | None = None) -> Problem:
    problems = Problems()
    problems.add(Code.UNKNOWN_KEY, Position(Source("bridge.yaml", text), line, column), message, hint)
    [problem] = problems
    return problem


def test_a_problem_shows_its_place_its_line_a_caret_and_help() -> None:
    problem = noted("a: 1\n  topci: x\n", 2, 3, "unknown key 'topci'", "did you mean 'topic'?")
    assert problem.render().splitlines() == [
        "bridge.yaml:2:3: error[E0102]: unknown key 'topci'",
        "    topci: x",
        "    ^",
        "  help: did you mean 'topic'?",
    ]
    assert str(problem) == "bridge.yaml:2:3: error[E0102]: unknown key 'topci'"


def test_colour_only_where_it_is_asked_for() -> None:
    problem = noted("a: 1", 1, 1)
    assert "\x1b" not in problem.render()
    assert "\x1b[31merror[E0102]\x1b[0m" in problem.render(colour=True)


def test_a_problem_for_machines() -> None:
    assert noted("a: 1", 1, 2, "what", "how").as_json() == {
        "file": "bridge.yaml",
        "line": 1,
        "column": 2,
        "severity": "error",
        "code": "E0102",
        "message": "what",
        "help": "how",
        "source": "a: 1",
    }


def test_codes_are_unique_and_have_a_title() -> None:
    assert len({code.number for code in Code}) == len(list(Code))
    assert all(code.title and code.number[0] in "EW" and len(code.number) == 5 for code in Code)
    assert Code.OLD_PROTOCOL.severity == "warning"


def test_what_could_steer_a_terminal_is_escaped_and_the_caret_still_fits() -> None:
    problem = noted("a\x1b]0;x\x07: \u202eb", 1, 11, "bad \x1b[31m key", "\x9b1m")
    shown = problem.render()
    assert shown.isprintable() is False  # its own line breaks
    assert all(line.isprintable() for line in shown.splitlines())
    assert problem.source_line[problem.caret] == "b"
    assert problem.message == "bad \\x1b[31m key"


def test_tabs_are_one_column() -> None:
    assert printable("a\tb") == "a b"


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("password: hunter2", "password: *******"),
        ("  password: hun,ter 2 # old", "  password: ***************"),
        ('password: "hunter2"   # x', "password: *********   # x"),
        ("{password: hunter2, usernme: x}", "{password: *******, usernme: x}"),
        ("{key: a, secret: 'b c', foo: 1}", "{key: *, secret: *****, foo: 1}"),
        ('secrets: ["one", "two"]', "secrets: **************"),
        ("Authorization: Bearer abc", "Authorization: **********"),
        ("  X-Api-Key: abc", "  X-Api-Key: ***"),
        ("api_key: abc", "api_key: ***"),
        ('url: "mqtt://me:pw@host"', 'url: "mqtt://*****@host"'),
        ("password: ${MQTT_PASSWORD}", "password: ${MQTT_PASSWORD}"),
        ('password: "${file:/p}"', 'password: "${file:/p}"'),
        ("topic: home/monkey: x", "topic: home/monkey: x"),
    ],
)
def test_what_looks_secret_is_masked_to_its_width(line: str, shown: str) -> None:
    problem = noted(line, 1, len(line))
    assert problem.source_line == shown
    assert problem.caret == len(line) - 1


def test_a_long_line_is_shown_around_the_column() -> None:
    text = "x" * 500 + "HERE" + "y" * 500
    problem = noted(text, 1, 501)
    assert problem.source_line[problem.caret :].startswith("HERE")
    assert len(problem.source_line) <= 160


def test_a_line_that_nobody_wrote_is_not_shown() -> None:
    assert noted("x" * 5000, 1, 4000).render() == "bridge.yaml:1:4000: error[E0102]: what"


def test_problems_come_by_file_line_and_column() -> None:
    problems = Problems()
    main, other = Source("z.yaml"), Source("a.yaml")
    for source, line, column in [(main, 9, 1), (main, 2, 7), (other, 1, 1), (main, 2, 3)]:
        problems.add(Code.BAD_VALUE, Position(source, line, column), "x")
    assert [(p.file, p.line, p.column) for p in problems] == [
        ("z.yaml", 2, 3),
        ("z.yaml", 2, 7),
        ("z.yaml", 9, 1),
        ("a.yaml", 1, 1),
    ]


def test_one_kind_of_problem_is_noted_once_per_place() -> None:
    problems = Problems()
    place = Position(Source("a"))
    problems.add(Code.SYNTAX, place, "x")
    problems.add(Code.SYNTAX, place, "y")
    problems.add(Code.BAD_VALUE, place, "z")
    assert [p.message for p in problems] == ["x", "z"]
    assert problems.errors == 2


def test_reading_ends_after_too_many_errors_but_not_after_warnings() -> None:
    problems = Problems()
    source = Source("a")
    for line in range(MOST_PROBLEMS + 5):
        problems.add(Code.NEVER_TRUE, Position(source, line), "x")
    assert len(list(problems)) == MOST_PROBLEMS
    with pytest.raises(TooManyProblems):
        problems.add(Code.BAD_VALUE, Position(source, 5000), "x")


def test_suggestions() -> None:
    assert did_you_mean("topci", ["topic", "payload"]) == "did you mean 'topic'?"
    assert did_you_mean("zzz", ["topic", "payload"]) is None
    assert did_you_mean("x" * 1_000_000, ["topic"]) is None


def test_long_words_are_shortened() -> None:
    assert quoted("x" * 100) == f"'{'x' * 60}…'"
    assert len(noted("a", 1, 1, "m" * 5000).message) == 300
