"""`kerb-cpo` tells of a station that stays away: to aiosmtpd over TLS with a log-in, and to a webhook."""
import email
import email.policy
import http.server
import json
import os
import queue
import sqlite3
import ssl
import subprocess
import threading
import time

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult
from websockets.sync.client import connect

from cpo_server import BIN
from enrolment_site import Authority
from ports import free_port

PATIENCE = 30
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("KERB_")}


class Mailbox:
    """An SMTP server that keeps what it takes."""

    def __init__(self, authority):
        self.letters = queue.Queue()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(authority.chain, authority.server_key)
        port = free_port()

        def authenticate(server, session, envelope, mechanism, data):
            is_right = (data.login, data.password) == (b"kerb", b"letter-box")
            return AuthResult(success=is_right, handled=False)

        class Implicit(Controller):
            def factory(self):
                return SMTP(self.handler, authenticator=authenticate, auth_required=True, auth_require_tls=False)

        self.controller = Implicit(self, hostname="127.0.0.1", port=port, ssl_context=context)
        self.controller.start()
        self.url = f"smtps://127.0.0.1:{port}"

    async def handle_DATA(self, server, session, envelope):
        self.letters.put((envelope.mail_from, envelope.rcpt_tos, envelope.content))
        return "250 kept"

    def letter(self):
        sender, recipients, content = self.letters.get(timeout=PATIENCE)
        return sender, recipients, email.message_from_bytes(content, policy=email.policy.default)


class Hook(http.server.ThreadingHTTPServer):
    def __init__(self):
        self.calls = queue.Queue()
        super().__init__(("127.0.0.1", 0), self.handler())
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handler(self):
        calls = self.calls

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                calls.put((self.path, self.headers["Authorization"], json.loads(body)))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_):
                pass

        return Handler


class Operator:
    def __init__(self, folder, alerts):
        self.folder, self.port = folder, free_port()
        self.configuration = folder / "cpo.yaml"
        self.configuration.write_text(f"""\
listeners: [{{name: main, port: {self.port}}}]
database: sqlite:{folder}/kerb.sqlite
party: {{countryCode: IN, partyID: KRB, name: Kärb}}
ocpp: {{unknownStations: adopt, lowestSecurityProfile: 0}}
drainSeconds: 0
alerts:
  offlineMinutes: 5
{alerts}
""")

    def __enter__(self):
        with open(self.folder / "cpo.log", "ab") as log:
            self.process = subprocess.Popen(
                [str(BIN / "kerb-cpo"), "serve", "--config", str(self.configuration)], stdout=log, stderr=log,
                env=ENVIRONMENT)
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(20)

    def station(self, name):
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                return connect(f"ws://127.0.0.1:{self.port}/ocpp/{name}", subprotocols=["ocpp1.6"])
            except OSError:
                assert time.monotonic() < deadline, "kerb-cpo does not answer"
                time.sleep(0.05)


def lose(operator, name):
    """A station comes, goes, and has been away for ten minutes."""
    with operator:
        socket = operator.station(name)
        until_online(operator, 1)
        socket.close()
        until_online(operator, 0)
    with sqlite3.connect(operator.folder / "kerb.sqlite") as database:
        database.execute("UPDATE station SET link_changed_at = link_changed_at - 600000")


def until_online(operator, value):
    deadline = time.monotonic() + PATIENCE
    with sqlite3.connect(operator.folder / "kerb.sqlite") as database:
        while database.execute("SELECT is_online FROM station").fetchall() != [(value,)]:
            assert time.monotonic() < deadline, f"the station's row never said {value}"
            time.sleep(0.02)


def secret(path, text):
    path.write_text(text + "\n")
    path.chmod(0o600)
    return path


def test_a_lost_station_is_told_by_mail_and_webhook(tmp_path):
    authority = Authority(tmp_path, "mail")
    mailbox, hook = Mailbox(authority), Hook()
    alerts = f"""\
  mail:
    url: {mailbox.url}
    from: kerb@example.in
    to: [ops@example.in, night@example.in]
    user: kerb
    passwordFile: {secret(tmp_path / "password", "letter-box")}
    caFile: {authority.ca}
  webhook:
    urlFile: {secret(tmp_path / "url", f"http://127.0.0.1:{hook.server_port}/alarm?key=1")}
    tokenFile: {secret(tmp_path / "token", "hook-token")}
    allowPlain: true"""
    try:
        operator = Operator(tmp_path, alerts)
        check = subprocess.run(
            [str(BIN / "kerb-cpo"), "config", "check", str(operator.configuration)], capture_output=True, text=True,
            env=ENVIRONMENT)
        assert check.returncode == 0, check.stderr
        lose(operator, "CS-%C3%BC")
        with operator:
            sender, recipients, letter = mailbox.letter()
            assert (sender, recipients) == ("kerb@example.in", ["ops@example.in", "night@example.in"])
            assert letter["Subject"] == "[Kärb] station offline: CS-ü"
            assert letter["To"] == "ops@example.in, night@example.in"
            assert "station offline: CS-ü, no connection since" in letter.get_content()
            path, authorization, body = hook.calls.get(timeout=PATIENCE)
            assert (path, authorization) == ("/alarm?key=1", "Bearer hook-token")
            assert body["operator"] == "Kärb"
            assert [(one["kind"], one["subject"], one["state"]) for one in body["alerts"]] == [
                ("stationOffline", "CS-ü", "raised")]
        # It is told once, whatever ends between; and that it is over.
        with operator, operator.station("CS-%C3%BC"):
            pass
        log = (tmp_path / "cpo.log").read_text()
        assert "letter-box" not in log and "hook-token" not in log and "key=1" not in log
    finally:
        mailbox.controller.stop()
        hook.shutdown()
    assert mailbox.letters.empty()


@pytest.mark.parametrize("user, ca, words", [
    ("stranger", True, "refused user or password"), ("kerb", False, "not trusted")])
def test_why_a_mail_cannot_go_is_said_without_the_secret(tmp_path, user, ca, words):
    authority = Authority(tmp_path, "mail")
    mailbox = Mailbox(authority)
    trust = f"\n    caFile: {authority.ca}" if ca else ""
    alerts = f"""\
  mail:
    url: {mailbox.url}
    from: kerb@example.in
    to: [ops@example.in]
    user: {user}
    passwordFile: {secret(tmp_path / "password", "letter-box")}{trust}"""
    try:
        operator = Operator(tmp_path, alerts)
        lose(operator, "CS-1")
        with operator:
            deadline = time.monotonic() + PATIENCE
            while words not in (log := (tmp_path / "cpo.log").read_text()):
                assert time.monotonic() < deadline, log
                time.sleep(0.05)
            assert "letter-box" not in log
        # It stays owed.
        with sqlite3.connect(tmp_path / "kerb.sqlite") as database:
            assert database.execute("SELECT channel, tries FROM alert_message").fetchall() == [("mail", 1)]
    finally:
        mailbox.controller.stop()
    assert mailbox.letters.empty()
