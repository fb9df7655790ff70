"""What all long tests share: their figures are shown, whatever the verbosity."""
import os
import pathlib
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "peers")]

import debian_root  # noqa: E402  (found by the line above)
import figures  # noqa: E402


@pytest.fixture(scope="session")
def packages():
    """The three packages, built once for all tests of a run; KERB_DEBS names a folder of some made before."""
    found = debian_root.made_packages()
    assert "KERB_DEBS" in os.environ or set(found) == {"kerb-edge", "kerb-cpo", "kerb-sim"}
    return found


def pytest_terminal_summary(terminalreporter):
    for title, values in ((title, values) for title, values in figures.NOTED.items() if values):
        terminalreporter.section(f"figures: {title}")
        for name, value in values.items():
            terminalreporter.write_line(f"  {name}: {value}")
