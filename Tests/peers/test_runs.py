"""`.ci/test` itself: what it counts, and that a long run leaves nothing out in silence."""
import importlib.machinery
import importlib.util
import pathlib

ROOT = pathlib.Path(__file__).resolve().parents[2]
PYTEST = """\
SKIPPED [2] Tests/long/test_arm64.py:14: no qemu-aarch64-static: .ci/setup deb installs it
SKIPPED [1] Tests/long/test_power_cut.py: needs user-mode-linux
3 passed, 3 skipped in 1.0s
"""
SWIFT = """\
◇ Test run started.
➜ Test `priced cases` skipped: "the cases are absent"
✔ Test `sums` passed after 0.1 seconds.
"""


def script():
    loader = importlib.machinery.SourceFileLoader("ci_test", str(ROOT / ".ci" / "test"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("ci_test", loader))
    loader.exec_module(module)
    return module


def test_skips_are_counted_with_their_reasons():
    ci = script()
    skips = ci.python_skips(PYTEST) + ci.swift_skips("ChargingTests", SWIFT)
    assert [name for name, _ in skips] == ["test_arm64", "test_arm64", "test_power_cut", "ChargingTests"]
    lines, code = ci.verdict(3, 0, skips, set(), is_long=False)
    assert code == 0 and lines[-2:] == ["4 skipped", "3 passed, 0 failed"]
    assert "skipped: Tests/long/test_power_cut.py: needs user-mode-linux" in lines


def test_a_long_run_fails_on_a_skip_that_is_not_named_as_permitted():
    ci = script()
    skips = ci.python_skips(PYTEST)
    lines, code = ci.verdict(3, 0, skips, ci.permitted(["--long", "--may-skip", "test_arm64"]), is_long=True)
    assert code == 1 and lines[-2:] == ["3 skipped, 1 of them not permitted", "3 passed, 1 failed"]
    _, code = ci.verdict(3, 0, skips, ci.permitted(["--may-skip", "test_arm64,test_power_cut"]), is_long=True)
    assert code == 0


def test_a_run_of_nothing_is_no_success():
    assert script().verdict(0, 0, [], set(), is_long=False) == (["0 passed, 0 failed"], 1)


def test_a_suite_that_is_ended_names_the_test_it_hung_in():
    text = (
        '◇ Test run started.\n◇ Test "sums" started.\n◇ Test case passing 1 argument seed → 1 to "sums" started.\n'
        '✔ Test "sums" with 2 test cases passed after 0.1 seconds.\n◇ Test "waits" started.\n')
    assert script().unfinished(text) == '; not ended: "waits"'
    assert script().unfinished(text + '✘ Test "waits" failed after 1 seconds with 1 issue.\n') == ""
