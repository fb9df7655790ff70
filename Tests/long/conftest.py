"""What all long tests share: their figures are shown, whatever the verbosity."""
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "peers")]

import figures  # noqa: E402  (found by the line above)


def pytest_terminal_summary(terminalreporter):
    for title, values in figures.NOTED.items():
        terminalreporter.section(f"figures: {title}")
        for name, value in values.items():
            terminalreporter.write_line(f"  {name}: {value}")
