"""First-boot identity by a one-time code: `kerb-edge` with an operator that is written in Python."""
import http.server
import json
import ssl
import threading

import pytest
import yaml

from enrolment_site import Authority, board, enrol, nothing_changed
from ports import free_port


class Impostor(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer(self.server.shows.pem.encode())

    def do_POST(self):
        self.server.heard.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.answer(self.server.identity)

    def answer(self, body):
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def serve(authority, shows=None, identity=b"{}"):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Impostor)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.chain, authority.server_key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.shows, server.identity, server.heard = shows or authority, identity, []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


@pytest.fixture
def authorities(tmp_path_factory):
    folder = tmp_path_factory.mktemp("authorities")
    return Authority(folder, "good"), Authority(folder, "evil")


def uri(server, authority):
    return f"kerb:enrol?cpo=https://127.0.0.1:{server.server_port}&code=0000-0000-0000-0000&ca={authority.fingerprint}"


def test_a_python_operator_enrols_the_board(authorities, tmp_path):
    good, _ = authorities
    server = serve(good, identity=json.dumps({"station": "PY", "url": "wss://cpo.example.com/ocpp"}).encode())
    path = board(tmp_path)
    done = enrol(path, uri(server, good), "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["station"] == "PY" and yaml.safe_load(path.read_text())["csms"]["url"] == told["url"]
    sent = json.loads(server.heard[0])
    assert sent == {"code": "0000-0000-0000-0000", "password": open(told["passwordFile"]).read().strip()}
    server.shutdown()


@pytest.mark.parametrize("shows", ["own", "stolen"])
def test_nothing_is_sent_to_one_with_another_authority(authorities, tmp_path, shows):
    """His own authority has another fingerprint; with the right one his certificate does not fit."""
    good, evil = authorities
    server = serve(evil, shows=evil if shows == "own" else good)
    path = board(tmp_path)
    before = path.read_bytes()
    done = enrol(path, uri(server, good))
    assert done.returncode == 4, done.stderr
    assert server.heard == [] and nothing_changed(path, before)
    server.shutdown()


@pytest.mark.parametrize("identity", [
    b"", b"{", b"[]", b'{"station":"X"}', b'{"station":"X","url":"ws://open/ocpp"}',
    b'{"station":"a b","url":"wss://a/ocpp"}', b'{"station":"X","url":"wss://a/ocpp\\nboard: none"}',
])
def test_an_identity_that_is_none_changes_nothing(authorities, tmp_path, identity):
    good, _ = authorities
    server = serve(good, identity=identity)
    path = board(tmp_path)
    before = path.read_bytes()
    done = enrol(path, uri(server, good))
    assert done.returncode in (1, 2), (done.stdout, done.stderr)
    assert nothing_changed(path, before)
    server.shutdown()


def test_nobody_at_the_address_is_said_as_such(tmp_path):
    path = board(tmp_path)
    before = path.read_bytes()
    done = enrol(path, f"kerb:enrol?cpo=https://127.0.0.1:{free_port()}&code=0000-0000-0000-0000")
    assert done.returncode == 3 and "nobody answers there" in done.stderr
    assert nothing_changed(path, before)
