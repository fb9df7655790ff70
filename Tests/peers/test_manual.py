"""Manual pages and completions: what the programs print of themselves, read by `groff` and by the shells."""
import os
import pathlib
import re
import shutil
import subprocess

import pytest

BIN = pathlib.Path(os.environ.get("KERB_BIN", ".build/debug")).absolute()
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("KERB_")}
PAGES = [
    ("kerb-edge", "kerb-edge"), ("kerb-edge", "edge.yaml"), ("kerb-cpo", "kerb-cpo"),
    ("kerb-cpo", "cpo.yaml"), ("kerb-sim", "kerb-sim"),
]
PROGRAMS = ["kerb-edge", "kerb-cpo", "kerb-sim"]


def printed(program, *words):
    return subprocess.run(
        [str(BIN / program), *words], capture_output=True, text=True, env=ENVIRONMENT, check=True).stdout


@pytest.mark.parametrize("program,page", PAGES)
def test_a_page_is_set_without_a_warning(program, page):
    done = subprocess.run(
        ["groff", "-man", "-Tutf8", "-ww", "-z"], input=printed(program, "help", "--man", page),
        capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("page,program", [("edge.yaml", "kerb-edge"), ("cpo.yaml", "kerb-cpo")])
def test_a_file_format_page_has_every_key_of_the_example(page, program):
    import yaml

    text = printed(program, "help", "--man", page).replace("\\-", "-")
    root = pathlib.Path(__file__).resolve().parents[2]

    def keys(value, path=""):
        if isinstance(value, dict):
            for key, inner in value.items():
                yield f"{path}{key}"
                yield from keys(inner, f"{path}{key}.")
        elif isinstance(value, list):
            for inner in value:
                if isinstance(inner, dict):
                    yield from keys(inner, f"{path[:-1]}[].")

    for key in keys(yaml.safe_load((root / "Config" / page).read_text())):
        assert f"\\fB{key}\\fR" in text or f"\\fB{key}:\\fR" in text, key


def test_the_commands_that_ask_the_agent_are_commands():
    page = printed("kerb-edge", "help", "--man", "kerb-edge").replace("\\-", "-")
    said = re.search(r"The commands (.*) ask a running agent", page).group(1)
    for words in re.split(", | and ", said):
        assert printed("kerb-edge", *words.split(), "--help").startswith(f"kerb-edge {words.split()[0]}"), words


@pytest.mark.parametrize("program", PROGRAMS)
def test_the_help_says_how_to_print_pages_and_completions(program):
    said = printed(program, "--help")
    assert "--man PAGE" in said and "--completion SHELL" in said
    for page in re.search(r"\(PAGE: (.*)\)", said).group(1).split(", "):
        assert printed(program, "help", "--man", page).startswith(".TH")


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_completion_is_correct_for_its_shell(program, shell):
    if not shutil.which(shell):
        pytest.skip(f"no {shell} here")
    done = subprocess.run(
        [shell, "-n"], input=printed(program, "help", "--completion", shell), capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def completed(program, *words):
    """What bash offers for the last of the words."""
    script = printed(program, "help", "--completion", "bash")
    line = " ".join(f"'{word}'" for word in (program, *words))
    function = "_" + program.replace("-", "_")
    ask = f"{script}\nCOMP_WORDS=({line}); COMP_CWORD={len(words)}; {function}; printf '%s\\n' \"${{COMPREPLY[@]}}\""
    done = subprocess.run(["bash", "-c", ask], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_bash_offers_commands_options_and_values():
    assert {"run", "status", "doctor", "config"} <= completed("kerb-edge", "")
    assert completed("kerb-edge", "do") == {"doctor"}
    assert completed("kerb-edge", "config", "") == {"check", "keys", "schema", "show"}
    assert "--watch" in completed("kerb-edge", "status", "--")
    assert completed("kerb-edge", "status", "--log-level", "w") == {"warning"}
    # The value of an option is no command.
    assert "--bundle" in completed("kerb-edge", "--config", "/etc/hosts", "doctor", "--b")
    assert completed("kerb-edge", "status", "--config", "/etc/hostn") == {"/etc/hostname"}
