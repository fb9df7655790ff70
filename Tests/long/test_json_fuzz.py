"""Two minutes of libFuzzer with the address sanitizer on the JSON reader, the tree and the decimals."""
import pathlib
import re
import shutil
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
SECONDS = 120
SEEDS = [
    '{"a":[1,-0,1.5e3,0.1,null,true,"\\u00e9\\ud83d\\ude00\\n"]}',
    '[2,"id","MeterValues",{"timestamp":"2026-11-21T09:42:00.5+05:30","value":"1234.5"}]',
    '"2026-11-21T09:42:00Z"', "-12345678901234567890.123456789",
]


def test_no_bytes_crash_the_reader(tmp_path):
    # SwiftPM renames the entry point of executables, so the modules are compiled as one by hand.
    for module in ["Charging", "JSON"]:
        for source in (ROOT / "Sources" / module).glob("*.swift"):
            text = re.sub(r"^import (Charging|JSON)$", "", source.read_text("utf-8"), flags=re.M)
            (tmp_path / source.name).write_text(text, "utf-8")
    shutil.copy(ROOT / "Tests" / "long" / "JSONFuzz.swift", tmp_path)
    build = subprocess.run(
        ["swiftc", "-O", "-wmo", "-sanitize=fuzzer,address", "-parse-as-library", "-package-name", "kerb",
         "-swift-version", "6", "-enable-upcoming-feature", "ExistentialAny",
         "-enable-experimental-feature", "Lifetimes", "-o", "fuzz",
         *(path.name for path in tmp_path.glob("*.swift"))],
        cwd=tmp_path, capture_output=True, text=True)
    assert build.returncode == 0, build.stderr
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    for number, seed in enumerate(SEEDS):
        (corpus / str(number)).write_text(seed, "utf-8")
    run = subprocess.run(
        ["./fuzz", "corpus", f"-max_total_time={SECONDS}", "-max_len=600"], cwd=tmp_path,
        capture_output=True, text=True, timeout=SECONDS + 120)
    assert run.returncode == 0, run.stderr[-4000:]
