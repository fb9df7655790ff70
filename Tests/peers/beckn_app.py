"""A driver's app (BAP) that signs with `cryptography` and checks every callback it gets."""
import base64
import hashlib
import http.server
import json
import queue
import threading
import time
import urllib.error
import urllib.request
import uuid
from datetime import datetime, timezone
from decimal import Decimal

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat


def signing_string(created, expires, body):
    digest = base64.b64encode(hashlib.blake2b(body, digest_size=64).digest()).decode()
    return f"(created): {created}\n(expires): {expires}\ndigest: BLAKE-512={digest}".encode()


def parse(header):
    """The attributes of a Signature header."""
    assert header.startswith("Signature ")
    return dict(part.split("=", 1) for part in
                (piece.strip() for piece in header[len("Signature "):].split(",")))


class App:
    def __init__(self, subscriber="bap.python.test", key_id="py-1"):
        self.subscriber, self.key_id = subscriber, key_id
        self.key = Ed25519PrivateKey.generate()
        self.bpp_key = None
        self.url = None
        self.callbacks = queue.Queue()
        self.kept = []
        self.findings = []
        self.server = None
        self.port = 0

    @property
    def public_key(self):
        raw = self.key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        return base64.b64encode(raw).decode()

    @property
    def record(self):
        return {"subscriber_id": self.subscriber, "type": "BAP", "unique_key_id": self.key_id,
                "url": f"http://127.0.0.1:{self.port}/bap", "signing_public_key": self.public_key}

    # MARK: Callbacks

    def start(self):
        app = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                app.take(self.path, self.headers, body)
                answer = b'{"message":{"ack":{"status":"ACK"}}}'
                self.send_response(200)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def stop(self):
        if self.server:
            self.server.shutdown()
            self.server.server_close()
            self.server = None

    def take(self, path, headers, body):
        try:
            self.verify(headers["Authorization"], body)
            message = json.loads(body, parse_float=Decimal)
            context = message["context"]
            assert path == f"/bap/{context['action']}", path
            assert context["bap_id"] == self.subscriber
            if order := message.get("message", {}).get("order"):
                check_sums(order)
            self.callbacks.put(message)
        except Exception as error:  # The handler's thread has nobody to tell; the test looks here.
            self.findings.append(f"{path}: {error!r} {body[:400]!r}")

    def verify(self, header, body):
        fields = {name: value.strip('"') for name, value in parse(header).items()}
        assert fields["algorithm"] == "ed25519"
        assert fields["headers"] == "(created) (expires) digest"
        assert fields["keyId"] == "bpp.kerb.demo|demo|ed25519", fields["keyId"]
        created, expires = int(fields["created"]), int(fields["expires"])
        assert created - 5 <= time.time() <= expires
        key = Ed25519PublicKey.from_public_bytes(base64.b64decode(self.bpp_key))
        key.verify(base64.b64decode(fields["signature"], validate=True),
                   signing_string(created, expires, body))

    def next(self, wanted, seconds=20):
        """The next callback that is wanted: by action or by a test of it; others are kept."""
        matches = wanted if callable(wanted) else lambda m: m["context"]["action"] == wanted
        for message in self.kept:
            if matches(message):
                self.kept.remove(message)
                return message
        deadline = time.monotonic() + seconds
        while True:
            assert not self.findings, self.findings
            try:
                message = self.callbacks.get(timeout=max(0.01, deadline - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"no callback; kept: {[m['context']['action'] for m in self.kept]}; "
                                     f"findings: {self.findings}") from None
            if matches(message):
                return message
            self.kept.append(message)

    # MARK: Requests

    def context(self, action, transaction, message_id=None, **more):
        return {"domain": "ev-charging:uei", "action": action, "version": "1.1.0",
                "bap_id": self.subscriber, "bap_uri": f"http://127.0.0.1:{self.port}/bap",
                "transaction_id": transaction, "message_id": message_id or str(uuid.uuid4()),
                "timestamp": datetime.now(timezone.utc).isoformat(timespec="milliseconds"),
                "ttl": "PT30S", **more}

    def header(self, body, created=None, expires=None, subscriber=None):
        created = created or int(time.time())
        expires = expires or created + 300
        signature = base64.b64encode(self.key.sign(signing_string(created, expires, body))).decode()
        return (f'Signature keyId="{subscriber or self.subscriber}|{self.key_id}|ed25519",'
                f'algorithm="ed25519",created="{created}",expires="{expires}",'
                f'headers="(created) (expires) digest",signature="{signature}"')

    def post(self, action, body, header):
        request = urllib.request.Request(
            f"{self.url}/{action}", data=body, method="POST",
            headers={"Content-Type": "application/json", **({"Authorization": header} if header else {})})
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read())

    def send(self, action, message, transaction, message_id=None):
        context = self.context(action, transaction, message_id)
        body = json.dumps({"context": context, "message": message}, ensure_ascii=False).encode()
        status, answer = self.post(action, body, self.header(body))
        return status, answer, context["message_id"]

    def ask(self, action, message, transaction, seconds=20):
        """Sends and gives the callback with the same message id."""
        status, answer, message_id = self.send(action, message, transaction)
        assert status == 200 and answer["message"]["ack"]["status"] == "ACK", answer
        return self.next(lambda m: m["context"]["message_id"] == message_id, seconds)


def check_sums(order):
    quote = order["quote"]
    total = sum(Decimal(line["price"]["value"]) for line in quote["breakup"])
    assert total == Decimal(quote["price"]["value"]), quote
    assert {line["price"]["currency"] for line in quote["breakup"]} == {quote["price"]["currency"]}


__all__ = ["App", "InvalidSignature", "check_sums"]
