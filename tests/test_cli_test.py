"""`relay-bridge test` and `relay-bridge check --tests`: the routing file's own tests."""

from pathlib import Path

import pytest

from tests.support.cli import Done, call

FILE = """\
relay: {key: a, secret: b}
routes:
  - {name: r, match: {bucket: b}, send: [{mqtt: "t/{{ body.door }}"}]}
tests:
  - {name: it arrives, given: {bucket: b, body: {door: x}}, expect: [{route: r, mqtt: t/x}]}
"""
FAILS = FILE + '  - {name: "it \\e[31m fails", given: {bucket: "c\\a"}, expect: [{route: r, mqtt: t/x}]}\n'


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "bridge.yaml"


def run_tests(file: Path, text: str, *arguments: str) -> Done:
    file.write_text(text)
    return call(*(arguments or ("test",)), "-c", file)


def test_tests_that_pass(file: Path) -> None:
    done = run_tests(file, FILE)
    assert (done.status, done.out, done.err) == (0, "ok   it arrives\n1 test, 0 failed\n", "")


def test_a_test_that_fails_says_what_came_instead(file: Path) -> None:
    done = run_tests(file, FAILS)
    assert (done.status, done.err) == (1, "")
    assert done.out == (
        "ok   it arrives\n"
        f"FAIL it \\x1b[31m fails ({file}:6)\n"
        "     expected r to send mqtt t/x; instead: mismatch: bucket eq 'b' - saw 'c\\x07', ''\n"
        "2 tests, 1 failed\n"
    )


def test_the_same_for_machines(file: Path) -> None:
    done = run_tests(file, FAILS, "test", "--format", "json")
    assert done.status == 1
    passed, failed = done.json()
    assert passed == {"name": "it arrives", "passed": True, "complaints": [], "file": str(file), "line": 5}
    assert (failed["passed"], failed["line"], len(failed["complaints"])) == (False, 6, 1)


def test_a_file_without_tests(file: Path) -> None:
    done = run_tests(file, FILE.partition("tests:")[0])
    assert (done.status, done.out) == (0, "the file has no tests\n")


def test_a_file_that_can_not_be_used(file: Path) -> None:
    done = run_tests(file, FILE.replace("expect", "expected"))
    assert (done.status, done.out) == (78, "")
    assert "did you mean 'expect'?" in done.err


def test_tests_of_an_included_file_run_too(file: Path) -> None:
    (file.parent / "more.yaml").write_text(
        "routes: [{name: more, match: {bucket: m}, send: [{mqtt: m}]}]\n"
        "tests: [{name: the other, given: {bucket: m}, expect: [{route: r, mqtt: m}]}]\n"
    )
    done = run_tests(file, FILE + "include: [more.yaml]\n")
    assert done.status == 1
    assert f"FAIL the other ({file.parent / 'more.yaml'}:2)" in done.out


def test_check_runs_them_where_it_is_asked_to(file: Path) -> None:
    assert run_tests(file, FAILS, "check").status == 0
    done = run_tests(file, FAILS, "check", "--tests")
    assert done.status == 1
    assert done.out.splitlines()[0] == "no problems"
    assert done.out.splitlines()[-1] == "2 tests, 1 failed"
    assert run_tests(file, FILE, "check", "--tests").status == 0
    answer = run_tests(file, FAILS, "check", "--tests", "--format", "json").json()
    assert (answer["ok"], [test["passed"] for test in answer["tests"]]) == (True, [True, False])


def test_check_runs_no_test_of_a_file_with_a_mistake(file: Path) -> None:
    done = run_tests(file, FILE.replace("mqtt: t/x", "mqtt: 5"), "check", "--tests")
    assert done.status == 78
    assert done.out.splitlines()[-1] == "1 error"
