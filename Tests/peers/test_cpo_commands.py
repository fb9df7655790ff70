"""The command line of kerb-cpo as people and packages use it."""
import contextlib
import json
import pathlib
import re
import sqlite3
import stat
import subprocess
from datetime import datetime, timedelta, timezone

from cpo_server import BIN, Server

ROOT = pathlib.Path(__file__).resolve().parents[2]

MINIMAL = """
listeners:
  - port: 18999
party: {countryCode: IN, partyID: KRB, name: Test}
database: sqlite:%s
"""


def run(*words):
    return subprocess.run([str(BIN / "kerb-cpo"), *map(str, words)], capture_output=True, text=True,
                          timeout=60)


def keys(schema):
    for key, value in schema.get("properties", {}).items():
        yield key
        yield from keys(value)
        yield from keys(value.get("items", {}))


def with_files(text, folder):
    """The example with what it names in /etc/kerb: certificates and secrets of a throw-away kind."""
    text = text.replace("/etc/kerb/", f"{folder}/")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=x",
         "-keyout", folder / "server-key.pem", "-out", folder / "server.pem"], check=True, capture_output=True)
    for name in ("stations-ca.pem", "server-ca.pem", "partners-ca.pem", "mail-ca.pem", "alerts-ca.pem"):
        (folder / name).write_bytes((folder / "server.pem").read_bytes())
    (folder / "corrections.yaml").write_bytes((ROOT / "Config" / "corrections.yaml").read_bytes())
    secrets = ("beckn-key", "database-password", "mail-password", "alerts-url", "alerts-token")
    for name in (*secrets, "beckn-registry.json"):
        (folder / name).write_text("x")
    for name in ("server-key.pem", *secrets):
        (folder / name).chmod(0o600)
    return text


def test_every_key_is_explained_in_the_example(tmp_path):
    example = (ROOT / "Config" / "cpo.yaml").read_text("utf-8")
    schema = json.loads(run("config", "schema").stdout)
    missing = [key for key in keys(schema) if not re.search(rf"\b{key}\b", example)]
    assert missing == []
    (tmp_path / "cpo.yaml").write_text(with_files(example, tmp_path))
    assert run("config", "check", tmp_path / "cpo.yaml").returncode == 0


def test_the_example_holds_with_every_line_in_force(tmp_path):
    example = (ROOT / "Config" / "cpo.yaml").read_text("utf-8")
    # A commented line that is a key, not a sentence.
    full = re.sub(r"^(\s*)# (\s*(?:- )?[a-zA-Z]+:(?: |$).*)$", r"\1\2", example, flags=re.M)
    full = full.replace("clientCertificates: none", "clientCertificates: optional")
    (tmp_path / "cpo.yaml").write_text(with_files(full, tmp_path))
    checked = run("config", "check", tmp_path / "cpo.yaml")
    assert checked.returncode == 0, checked.stderr
    assert "subscriberID" in full and full != example


def test_mistakes_name_place_and_mend(tmp_path):
    file = tmp_path / "cpo.yaml"
    file.write_text((MINIMAL % "x.sqlite").replace("listeners", "listener"))
    checked = run("config", "check", file)
    assert checked.returncode == 2
    assert f"{file}:2:1: unknown key `listener`; did you mean `listeners`?" in checked.stderr
    assert run("config", "check", tmp_path / "nowhere.yaml").returncode == 2
    assert run("serve", "--config", file).returncode == 2
    assert run("bogus").returncode == 2
    assert run().returncode == 2
    assert run("--help").returncode == 0
    assert run("--version").stdout.startswith("kerb-cpo ")


def test_origin_is_told(tmp_path):
    file = tmp_path / "cpo.yaml"
    file.write_text(MINIMAL % "x.sqlite")
    settings = json.loads(run("config", "show", "--json", "--config", file).stdout)
    origin = {item["key"]: item["origin"] for item in settings}
    assert origin["party.partyID"].startswith(f"{file}:4:")
    assert origin["ocpp.pingSeconds"] == "default"


def test_backup_and_restore(tmp_path):
    file = tmp_path / "cpo.yaml"
    file.write_text(MINIMAL % "kerb.sqlite")
    assert run("migrate", "--config", file).returncode == 0
    assert run("migrate", "--config", file).returncode == 0
    with contextlib.closing(sqlite3.connect(tmp_path / "kerb.sqlite", isolation_level=None)) as database:
        database.execute("INSERT INTO sequence VALUES ('mark', 7)")
    copy = tmp_path / "copy.sqlite"
    assert run("backup", copy, "--config", file).returncode == 0
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    with contextlib.closing(sqlite3.connect(tmp_path / "kerb.sqlite", isolation_level=None)) as database:
        database.execute("DELETE FROM sequence")
        # Whoever has it open would go on with the one that is put aside.
        refused = run("restore", copy, "--config", file)
        assert refused.returncode == 4 and "another program has" in refused.stderr
    assert run("restore", copy, "--config", file).returncode == 0
    with contextlib.closing(sqlite3.connect(tmp_path / "kerb.sqlite", isolation_level=None)) as database:
        assert database.execute("SELECT value FROM sequence WHERE name = 'mark'").fetchall() == [(7,)]
    copy.write_bytes(b"SQLite format 3\0" + b"\x55" * 4000)
    assert run("restore", copy, "--config", file).returncode == 1
    assert run("doctor", "--config", file).stdout.count("database: sound") == 1


def test_an_export_is_whole_or_not_there(tmp_path):
    """What it holds is shown where stations charge: the restore drill, and the console's tests."""
    file = tmp_path / "cpo.yaml"
    file.write_text(MINIMAL % (tmp_path / "kerb.sqlite"))
    for kind, first in ("bills", "bill"), ("sessions", "id"):
        out = tmp_path / f"{kind}.csv"
        done = run("export", kind, out, "--config", file, "--from", "2026-11-01T00:00:00Z")
        assert done.returncode == 0 and f"0 {kind} from 2026-11-01T00:00:00Z" in done.stdout, done
        assert out.read_bytes().startswith(first.encode() + b",") and out.read_bytes().count(b"\r\n") == 1
        assert stat.S_IMODE(out.stat().st_mode) == 0o600
        # A bill that arrived a moment ago may not be in the rows yet.
        until = datetime.fromisoformat(done.stdout.split(" to ")[1].strip())
        assert 59 <= (datetime.now(timezone.utc) - until).total_seconds() <= 90, done.stdout
    soon = (datetime.now(timezone.utc) - timedelta(seconds=5)).strftime("%Y-%m-%dT%H:%M:%SZ")
    for words, said in (
            (["bills", out], "is there already"), (["invoices", tmp_path / "x"], "write one of them"),
            (["bills", tmp_path / "x", "--from", "November"], "--from: November is no time"),
            (["bills", tmp_path / "x", "--from", "2999-01-01T00:00:00Z"], "must be before --until"),
            (["bills", tmp_path / "x", "--until", soon], "as a bill may be on its way"),
            (["bills", tmp_path / "none" / "x"], "No such file or directory")):
        done = run("export", *words, "--config", file)
        assert done.returncode != 0 and said in done.stderr, (words, done)
    assert sorted(path.name for path in tmp_path.iterdir() if "part" in path.name or path.name == "x") == []


def test_a_signing_key_is_never_overwritten(tmp_path):
    file = tmp_path / "key"
    made = run("beckn", "keygen", "--out", file)
    assert made.returncode == 0 and "private_key" not in json.loads(made.stdout)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    kept = file.read_bytes()
    assert run("beckn", "keygen", "--out", file).returncode == 4
    assert file.read_bytes() == kept


def test_the_demo_ends_cleanly_and_starts_again(tmp_path):
    with Server(tmp_path / "data") as server:
        port = server.port
    with Server(tmp_path / "data", port):
        pass
    assert stat.S_IMODE((tmp_path / "data" / "server-key.pem").stat().st_mode) == 0o600
