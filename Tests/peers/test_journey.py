"""The whole of Kerb, thin: a booking and a roaming charge against the real programs."""
import os
import pathlib
import socket
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAMS = pathlib.Path(os.environ.get("KERB_BIN", ROOT / ".build" / "debug"))
# The programs' own port, its TLS port, the app's and the eMSP's stand side by side.
PORTS_NEEDED = 4
LONGEST_SECONDS = 180


def free_ports():
    """The first of a run of ports that nobody listens on now."""
    for first in range(27_000, 32_000, PORTS_NEEDED):
        held = []
        try:
            for port in range(first, first + PORTS_NEEDED):
                probe = socket.socket()
                held.append(probe)
                probe.bind(("127.0.0.1", port))
            return first
        except OSError:
            continue
        finally:
            for probe in held:
                probe.close()
    raise RuntimeError("no four free ports in a row")


def test_every_account_of_both_charges_agrees(tmp_path):
    run = subprocess.run(
        [PROGRAMS / "kerb-sim", "journey", "--port", str(free_ports()), "--data", tmp_path / "site"],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        timeout=LONGEST_SECONDS)
    assert run.returncode == 0, run.stdout
    assert run.stdout.splitlines()[-1].startswith("journey complete:"), run.stdout
    # Two kills, two charges: each bill was found again by `tariffs test`.
    assert run.stdout.count("all accounts agree to the Wh") == 2, run.stdout
    assert "kill -9 of kerb-cpo" in run.stdout and "kill -9 of kerb-edge" in run.stdout
