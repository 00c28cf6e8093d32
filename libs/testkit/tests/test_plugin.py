"""In CI nothing may be skipped."""

import pytest

pytest_plugins = ["pytester"]

SKIPPING_TESTS = """
import pytest

@pytest.mark.{mark}
def test_marked():
    pass

def test_calls():
    pytest.{call}("not today")
"""


@pytest.mark.parametrize(
    ("in_ci", "outcomes"), [("true", {"errors": 1, "failed": 1}), ("false", {"skipped": 2})]
)
def test_a_skipped_test_fails_in_ci_alone(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, in_ci: str, outcomes: dict[str, int]
) -> None:
    monkeypatch.setenv("CI", in_ci)
    pytester.makepyfile(SKIPPING_TESTS.format(mark="sk" + "ip", call="sk" + "ip"))
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    result.assert_outcomes(**outcomes)


@pytest.mark.parametrize("in_ci", ["true", "false"])
def test_a_skipped_module_fails_in_ci_alone(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, in_ci: str
) -> None:
    monkeypatch.setenv("CI", in_ci)
    pytester.makepyfile("import pytest\npytest.importor" + "sk" + "ip('no_such_module')\n")
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    if in_ci == "true":
        result.assert_outcomes(errors=1)
        result.stdout.fnmatch_lines(["*which CI does not allow*"])
    else:
        result.assert_outcomes(skipped=1)
