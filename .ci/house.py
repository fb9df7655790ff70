#!/usr/bin/env python3
"""Holds the tree against the rules of the house (Sources/README.md). Exit 1 on any breach.

1. Arrows: every `import` is declared in Package.swift, every declared arrow points down a floor.
2. Words: nothing public, no Foundation, no crash on purpose, no floating money, reasons beside doubtful constructs.
3. Machines: decisions do no I/O, read no clock, never wait.
4. Sizes: at most 600 lines a file and 70 a function outside tests; tables say so with `// house: table`.
5. Tests do not sleep.
"""
import json
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
FILE_LIMIT, FUNCTION_LIMIT = 600, 70
TOOLCHAIN = {"Swift", "Glibc", "Synchronization", "_Concurrency", "Testing", "PackageDescription"}
FLOORS = [
    {"CModbus", "CSQLite", "CPostgres", "COpenSSL", "CYAML", "CCurl", "CWeb", "CLinux"},
    {"Charging", "JSON", "Crypto", "Service"},
    {"SQL", "SQLPostgres", "Web", "HTTPClient", "HAL", "LinuxHAL", "OCPP", "OCPP16"},
    {"Station", "CPO", "Simulation"},
    {"CSMS", "OCPI", "Beckn", "Console", "Alerts"},
    {"kerb-edge", "kerb-cpo", "kerb-sim"},
]
# Arrows within a floor, each with its reason in Sources/README.md.
LEVEL_ARROWS = {
    ("JSON", "Charging"), ("Service", "Charging"), ("LinuxHAL", "HAL"), ("OCPP16", "OCPP"),
    ("SQLPostgres", "SQL"),
}
EXACT_ONLY = {
    "Charging", "CPO", "CSMS", "OCPI", "Beckn", "Console", "Alerts", "OCPP", "OCPP16", "Station", "SQL", "SQLPostgres"}
IMPORT = re.compile(
    r"^\s*(?:@\w+(?:\([^)]*\))?\s+)*(?:public |package |internal |private |fileprivate )?import\s+"
    r"(?:(?:struct|class|enum|protocol|func|let|var|typealias|actor)\s+)?([A-Za-z_]\w*)", re.M)
FORBIDDEN = [
    (re.compile(r"(?<![\w.\"])public\s+(?:let|var|func|struct|enum|class|actor|protocol|extension|init|typealias|static|final)\b"),
     "nothing is public: use `package`"),
    (re.compile(r"\btry!"), "`try!` crashes: handle the error or rethrow it"),
    (re.compile(r"\bfatalError\("), "`fatalError` crashes: use a typed error, or `precondition` for a programmer's mistake"),
]
NEEDS_REASON = re.compile(r"\btry\?|@unchecked Sendable|nonisolated\(unsafe\)|Task\.detached")
breaches, notices = [], []


def breach(path, line, text):
    breaches.append(f"{path.relative_to(ROOT)}:{line}: {text}")


def targets():
    text = subprocess.run(
        ["swift", "package", "dump-package"], cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout
    for target in json.loads(text)["targets"]:
        arrows = {d["byName"][0] for d in target["dependencies"] if "byName" in d}
        yield target["name"], target["type"], ROOT / target["path"], arrows


def check_arrows(name, arrows, floor_of):
    if name not in floor_of:
        return
    for to in arrows:
        if to not in floor_of:
            breach(ROOT / "Package.swift", 1, f"{name} → {to}: {to} stands on no floor; add it to .ci/house.py")
        elif floor_of[to] > floor_of[name]:
            breach(ROOT / "Package.swift", 1, f"{name} → {to} points up")
        elif floor_of[to] == floor_of[name] and (name, to) not in LEVEL_ARROWS:
            breach(ROOT / "Package.swift", 1, f"{name} → {to} stays on its floor without a reason in LEVEL_ARROWS")


def check_board(arrows_of):
    """Nothing that the board's agent is made of reaches the server's database client."""
    seen, open_names = set(), ["kerb-edge"]
    while open_names:
        name = open_names.pop()
        if name not in seen:
            seen.add(name)
            open_names += arrows_of.get(name, ())
    for name in sorted(seen & {"SQLPostgres", "CPostgres"}):
        breach(ROOT / "Package.swift", 1, f"kerb-edge reaches {name}, which is the server's")


def without_comments(line):
    return re.sub(r"//.*", "", line)


def has_reason(lines, index):
    """A comment on the line itself, or in the lines just above it."""
    if re.search(r"//\s*\S", lines[index]):
        return True
    return any(lines[i].strip().startswith("//") for i in range(max(0, index - 3), index))


def check_words(name, path, lines, is_test):
    for number, line in enumerate(lines, 1):
        code = without_comments(line)
        for word in ("/root/", "/home/", "/.library"):
            if word in line:
                breach(path, number, f"`{word}` is a path of one machine")
        if is_test:
            if re.search(r"\bTask\.sleep\(|(?<![\w.])(?<!func )(?:usleep|nanosleep|sleep)\(", code) and not has_reason(lines, number - 1):
                breach(path, number, "a test sleeps: wait for the event, or inject the clock")
            continue
        for pattern, text in FORBIDDEN:
            if pattern.search(code):
                breach(path, number, text)
        if NEEDS_REASON.search(code) and not has_reason(lines, number - 1):
            breach(path, number, f"`{NEEDS_REASON.search(code).group(0)}` needs its reason in a comment beside it")
        if name in EXACT_ONLY and re.search(r"\b(?:Double|Float|Float32|Float64)\b", code) and not has_reason(lines, number - 1):
            breach(path, number, "money and energy are exact: no floating point here without a reason beside it")


def check_machine(path, lines):
    for number, line in enumerate(lines, 1):
        code = without_comments(line)
        if re.search(r"\basync\b|\bawait\b|\.now\b|ServiceClock|import (?:SQL|Web|HTTPClient|LinuxHAL|Glibc)", code):
            breach(path, number, "a machine decides: no I/O, no clock, no waiting")


def check_sizes(path, lines, is_test):
    if any("// house: table" in line for line in lines[:12]):
        return
    if len(lines) > FILE_LIMIT:
        breach(path, 1, f"{len(lines)} lines; at most {FILE_LIMIT}")
    elif len(lines) > 300:
        notices.append(f"{path.relative_to(ROOT)}: {len(lines)} lines (soft limit 300)")
    start = indent = None
    for number, line in enumerate(lines, 1):
        head = re.match(r"^(\s*)(?:[\w@().]+\s+)*(?:func\s+\S|init[?(<]|subscript)", line)
        if head and start is None and line.rstrip().endswith(("{", "(")):
            start, indent = number, head.group(1)
        elif start is not None and line.rstrip() == f"{indent}}}":
            # A test tells one story; how long that is, its author knows.
            if number - start + 1 > FUNCTION_LIMIT and not is_test:
                breach(path, start, f"a function of {number - start + 1} lines; at most {FUNCTION_LIMIT}")
            start = None


def main():
    floor_of = {name: level for level, names in enumerate(FLOORS) for name in names}
    arrows_of = {}
    for name, kind, folder, arrows in targets():
        arrows_of[name] = arrows
        check_arrows(name, arrows, floor_of)
        is_test = kind == "test" or "Tests" in folder.relative_to(ROOT).parts
        for path in sorted(folder.rglob("*.swift")):
            text = path.read_text(encoding="utf-8")
            lines = text.splitlines()
            for match in IMPORT.finditer(text):
                module = match.group(1)
                if module not in arrows and module not in TOOLCHAIN:
                    line = text.count("\n", 0, match.start(1)) + 1
                    breach(path, line, f"{name} imports {module}, which Package.swift does not declare for it")
            check_words(name, path, lines, is_test)
            check_sizes(path, lines, is_test)
            if path.stem.endswith("Machine") and not is_test:
                check_machine(path, lines)
    check_board(arrows_of)
    for notice in notices:
        print("notice:", notice)
    for line in breaches:
        print("breach:", line)
    print(f"house: {len(breaches)} breaches, {len(notices)} notices")
    return 1 if breaches else 0


if __name__ == "__main__":
    sys.exit(main())
