"""A central system, made of PyPI `ocpp`, that looks after a `kerb-edge`: its files on a loopback HTTP and
FTP server, its signatures and certificates by PyCA's `cryptography`.
"""
import asyncio
import base64
import contextlib
import datetime
import hashlib
import http.server
import ipaddress
import re
import threading

import websockets
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from ocpp.routing import on
from ocpp.v16 import call, call_result
from pyftpdlib.authorizers import DummyAuthorizer
from pyftpdlib.handlers import FTPHandler
from pyftpdlib.servers import FTPServer

from edge_site import EdgeSite, free_port
from test_ocpp16_csms import Central, System, Wire, now

PASSWORD = "first-password-16"
FIRMWARE = b"\x7fKERB" + bytes(range(256)) * 800


# Certificates

def name(common, organisation=None):
    parts = [x509.NameAttribute(NameOID.COMMON_NAME, common)]
    if organisation:
        parts.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation))
    return x509.Name(parts)


class Authority:
    """A root that signs servers, stations and firmware signers."""

    def __init__(self, common):
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.subject = name(common)
        self.certificate = self.make(self.subject, self.key.public_key(), authority=True)
        self.pem = pem(self.certificate)

    def make(self, subject, public_key, authority=False, usage=None, names=()):
        start = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(hours=1)
        builder = (
            x509.CertificateBuilder().subject_name(subject).issuer_name(self.subject)
            .public_key(public_key).serial_number(x509.random_serial_number())
            .not_valid_before(start).not_valid_after(start + datetime.timedelta(days=90))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True))
        if usage:
            builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return builder.sign(self.key, hashes.SHA256())

    def server(self, folder):
        """Files of a certificate for 127.0.0.1."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self.make(
            name("127.0.0.1"), key.public_key(), usage=ExtendedKeyUsageOID.SERVER_AUTH,
            names=[x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
        name_of = f"server-{certificate.serial_number}"
        (folder / f"{name_of}.pem").write_text(pem(certificate))
        (folder / f"{name_of}-key.pem").write_bytes(key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption()))
        return folder / f"{name_of}.pem", folder / f"{name_of}-key.pem"

    def sign(self, csr):
        return pem(self.make(
            csr.subject, csr.public_key(), usage=ExtendedKeyUsageOID.CLIENT_AUTH))


def pem(certificate):
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def hash_data(certificate, algorithm):
    """What `GetInstalledCertificateIds` must say of a root, made by hand."""
    digest = {"SHA256": hashlib.sha256, "SHA512": hashlib.sha512}[algorithm]
    point = certificate.public_key().public_bytes(
        serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
    return {
        "hash_algorithm": algorithm,
        "issuer_name_hash": digest(certificate.issuer.public_bytes()).hexdigest(),
        "issuer_key_hash": digest(point).hexdigest(),
        "serial_number": format(certificate.serial_number, "x"),
    }


# Files

class Files(http.server.ThreadingHTTPServer):
    """Gives and takes files; remembers what came."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), FileHandler)
        self.offered = {}
        self.taken = {}
        self.ranges = []
        self.breaks = set()
        self.thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05})
        self.thread.start()

    def url(self, path):
        return f"http://127.0.0.1:{self.server_port}{path}"

    def stop(self):
        self.shutdown()
        self.thread.join()
        self.server_close()


class FileHandler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        if self.path.startswith("/away"):
            self.send_response(302)
            self.send_header("Location", "http://localhost:9/secret")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        body = self.server.offered.get(self.path)
        if body is None:
            self.send_error(404)
            return
        start = 0
        if wanted := re.match(r"bytes=(\d+)-", self.headers.get("Range", "")):
            start = int(wanted[1])
            self.server.ranges.append(start)
        self.send_response(206 if start else 200)
        self.send_header("ETag", '"one"')
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        self.send_header("Content-Length", str(len(body) - start))
        self.end_headers()
        if self.path in self.server.breaks:
            # The line breaks in the middle, once.
            self.server.breaks.remove(self.path)
            self.wfile.write(body[start:len(body) // 2])
            self.close_connection = True
            return
        self.wfile.write(body[start:])

    def do_PUT(self):
        self.server.taken[self.path] = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(201)
        self.send_header("Content-Length", "0")
        self.end_headers()


class FTP:
    """A folder behind FTP with a log-in."""

    def __init__(self, folder):
        folder.mkdir()
        self.folder = folder
        authorizer = DummyAuthorizer()
        authorizer.add_user("kerb", "let-me-in", str(folder), perm="elrw")

        class Handler(FTPHandler):
            pass
        Handler.authorizer = authorizer
        self.server = FTPServer(("127.0.0.1", 0), Handler)
        port = self.server.socket.getsockname()[1]
        self.url = f"ftp://kerb:let-me-in@127.0.0.1:{port}"
        self.thread = threading.Thread(
            target=self.server.serve_forever, kwargs={"timeout": 0.05, "handle_exit": False})
        self.thread.start()

    def stop(self):
        self.server.close_all()
        self.thread.join()


# The central system

class Keeper(Central):
    """A central system that looks after its station."""

    @on("SignedFirmwareStatusNotification")
    def on_signed_firmware(self, status, request_id=None):
        self.note("SignedFirmware", status=status, request=request_id)
        return call_result.SignedFirmwareStatusNotification()

    @on("DiagnosticsStatusNotification")
    def on_diagnostics(self, status):
        self.note("Diagnostics", status=status)
        return call_result.DiagnosticsStatusNotification()

    @on("LogStatusNotification")
    def on_log(self, status, request_id=None):
        self.note("Log", status=status, request=request_id)
        return call_result.LogStatusNotification()

    @on("SecurityEventNotification")
    async def on_security(self, type, timestamp, tech_info=None):
        # A busy operator: what comes behind this is read only after its answer.
        await asyncio.sleep(0.1)
        self.note("Security", type=type, info=tech_info)
        return call_result.SecurityEventNotification()

    @on("SignCertificate")
    def on_sign(self, csr):
        self.note("SignCertificate", csr=csr)
        return call_result.SignCertificate("Accepted")


class Guarded(System):
    """The server with its log-in, which changes its mind about passwords and TLS."""

    def __init__(self):
        super().__init__()
        self.passwords = {PASSWORD.encode()}
        self.refused = []
        self.server = None
        self.port = free_port()
        self.makes = Keeper

    def admit(self, connection, request):
        if self.passwords is None:
            return None
        words = request.headers.get("Authorization", "").partition("Basic ")[2]
        user, _, password = base64.b64decode(words or "Og==").partition(b":")
        if user == b"PEER-1" and password in self.passwords:
            return None
        self.refused.append(password)
        return connection.respond(401, "no\n")

    async def open(self, context=None):
        self.server = await websockets.serve(
            self.handle, "127.0.0.1", self.port, subprotocols=["ocpp1.6"], ssl=context,
            process_request=self.admit)

    async def close(self):
        self.server.close()
        await self.server.wait_closed()

    async def handle(self, socket):
        assert socket.subprotocol == "ocpp1.6"
        self.central = self.makes(self, Wire(socket, self.capture))
        self.peer = socket.transport.get_extra_info("peercert")
        self.socket = socket
        self.connected.set()
        with contextlib.suppress(websockets.ConnectionClosed):
            await self.central.start()
        if self.socket is socket:
            self.connected.clear()

    async def back(self, before, seconds=20):
        """The station's next connection after `before`."""
        async with asyncio.timeout(seconds):
            while self.central is before or not self.connected.is_set():
                await asyncio.sleep(0.02)

    async def ask(self, message):
        return await self.central.call(message)

    async def security(self, kind, since=0, seconds=20):
        return await self.until("Security", lambda f: f["type"] == kind, since, seconds)

    def statuses(self, since):
        return [fields["status"] for action, fields in self.events[since:]
                if action in ("Firmware", "SignedFirmware")]


class Visit:
    def __init__(self, folder, system):
        self.folder = folder
        self.system = system
        self.files = Files()
        self.ftp = FTP(folder / "ftp")
        self.maker = Authority("Maker's root")
        self.operator = Authority("Operator's root")
        self.site = EdgeSite(folder, system.port)
        (folder / "password").write_text(PASSWORD + "\n")
        path = folder / "edge.yaml"
        path.write_text(path.read_text().replace(
            "securityProfile: 0", f"securityProfile: 1\n  passwordFile: {folder}/password") + f"""
serial: SERIAL-1
transfers:
  hosts: [127.0.0.1]
firmware:
  installCommand: [/bin/cp, "{{file}}", {folder}/installed]
  rollbackCommand: [/bin/touch, {folder}/rolled-back]
  acceptUnsigned: true
""")

    def stop(self):
        self.site.stop()
        self.files.stop()
        self.ftp.stop()

    async def logs(self, text, seconds=20):
        """Waits until the agent's log holds a text."""
        async with asyncio.timeout(seconds):
            while text not in (self.folder / "kerb-edge.log").read_text(errors="replace"):
                await asyncio.sleep(0.05)

    async def restarts(self):
        """The supervisor's part: the agent has ended by itself and is started again."""
        before = self.system.central
        process = self.site.processes["kerb-edge"]
        async with asyncio.timeout(30):
            while process.poll() is None:
                await asyncio.sleep(0.05)
        assert process.returncode == 0
        self.site.start_edge()
        await self.system.back(before)


def signed_update(visit, path, request, signer=None, image=FIRMWARE, sign=None, **more):
    authority = signer or visit.maker
    key = rsa.generate_private_key(65537, 2048) if sign == "pss" else \
        ec.generate_private_key(ec.SECP256R1())
    certificate = authority.make(name("Signer"), key.public_key())
    if sign == "pss":
        signature = key.sign(
            image, padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256())
    else:
        signature = key.sign(image, ec.ECDSA(hashes.SHA256()))
    return call.SignedUpdateFirmware(request_id=request, retries=2, retry_interval=1, firmware={
        "location": visit.files.url(path), "retrieveDateTime": now(),
        "signingCertificate": pem(certificate),
        "signature": base64.b64encode(signature).decode(), **more})


async def change(system, key, value):
    return (await system.ask(call.ChangeConfiguration(key=key, value=value))).status
