"""PyPI `ocpp` plays a central system that looks after a `kerb-edge`: firmware, logs, certificates,
passwords and security profiles, with files on a loopback HTTP and FTP server and signatures and
certificates by PyCA's `cryptography`.
"""
import asyncio
import base64
import contextlib
import datetime
import hashlib
import http.server
import ipaddress
import re
import ssl
import tarfile
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
from test_ocpp16_csms import Central, System, now

LIMIT = 90  # seconds for the whole visit, whatever happens
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
    def on_security(self, type, timestamp, tech_info=None):
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
        from test_ocpp16_csms import Wire
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


def test_a_station_is_looked_after(tmp_path):
    async def visit():
        system = Guarded()
        async with asyncio.timeout(LIMIT):
            await system.open()
            visit = Visit(tmp_path, system)
            try:
                visit.site.start()
                await boots(visit)
                await roots_come_and_go(visit)
                await logs_are_sent(visit)
                await bad_firmware_is_refused(visit)
                await signed_firmware_is_installed(visit)
                await unsigned_firmware_is_installed(visit)
                await passwords_change(visit)
                await a_certificate_is_made(visit)
                await profiles_rise(visit)
                no_secret_is_left(visit)
            except BaseException:
                print(visit.site.logs())
                print(*system.events[-40:], sep="\n")
                raise
            finally:
                await asyncio.to_thread(visit.stop)
                await system.close()
        assert system.capture.check() > 60
    asyncio.run(visit())


async def boots(visit):
    system = visit.system
    await system.until("BootNotification", lambda f: True)
    assert (await system.security("StartupOfTheDevice"))["info"]
    keys = {entry["key"]: entry for entry in (
        await system.ask(call.GetConfiguration())).configuration_key}
    assert keys["SecurityProfile"] == {"key": "SecurityProfile", "readonly": False, "value": "1"}
    assert "value" not in keys["AuthorizationKey"]
    assert keys["CertificateSignedMaxChainSize"]["value"] == "10000"
    assert keys["CertificateStoreMaxLength"]["value"] == "16"
    assert keys["AdditionalRootCertificateCheck"]["value"] == "false"
    assert "FirmwareManagement" in keys["SupportedFeatureProfiles"]["value"]
    answer = await system.ask(call.ChangeConfiguration(key="CpoName", value="Operator"))
    assert answer.status == "Accepted"


async def roots_come_and_go(visit):
    system = visit.system
    kinds = ("ManufacturerRootCertificate", "CentralSystemRootCertificate")
    for kind in kinds:
        found = await system.ask(call.GetInstalledCertificateIds(certificate_type=kind))
        assert found.status == "NotFound" and found.certificate_hash_data is None
    for kind, authority in zip(kinds, (visit.maker, visit.operator)):
        answer = await system.ask(call.InstallCertificate(
            certificate_type=kind, certificate=authority.pem))
        assert answer.status == "Accepted"
        found = await system.ask(call.GetInstalledCertificateIds(certificate_type=kind))
        assert found.certificate_hash_data == [hash_data(authority.certificate, "SHA256")]
    extra = Authority("Extra")
    answer = await system.ask(call.InstallCertificate(
        certificate_type=kinds[1], certificate=extra.pem))
    assert answer.status == "Accepted"
    gone = hash_data(extra.certificate, "SHA512")
    for status in ("Accepted", "NotFound"):
        answer = await system.ask(call.DeleteCertificate(certificate_hash_data=gone))
        assert answer.status == status
    answer = await system.ask(call.InstallCertificate(
        certificate_type=kinds[0], certificate="-----BEGIN nonsense"))
    assert answer.status == "Rejected"


async def logs_are_sent(visit):
    system = visit.system
    since = len(system.events)
    answer = await system.ask(call.GetLog(
        log={"remoteLocation": visit.files.url("/in/")}, log_type="SecurityLog", request_id=11))
    assert answer.status == "Accepted" and answer.filename.startswith("kerb-PEER-1-security-")
    for status in ("Uploading", "Uploaded"):
        told = await system.until("Log", lambda f: f["status"] == status, since)
        assert told["request"] == 11
    text = visit.files.taken["/in/" + answer.filename].decode()
    assert "StartupOfTheDevice" in text and "ReconfigurationOfSecurityParameters" in text

    since = len(system.events)
    answer = await system.ask(call.GetDiagnostics(location=visit.ftp.url + "/"))
    await system.until("Diagnostics", lambda f: f["status"] == "Uploaded", since)
    with tarfile.open(visit.ftp.folder / answer.file_name) as archive:
        texts = {entry.name: archive.extractfile(entry).read().decode() for entry in archive}
    assert "HeartbeatInterval" in texts["kerb-edge/settings.json"]
    assert "PEER-1" in texts["kerb-edge/config.txt"]
    for text in texts.values():
        assert PASSWORD not in text and "let-me-in" not in text

    since = len(system.events)
    for location, status in (
            (visit.ftp.url.replace("let-me-in", "wrong") + "/", "PermissionDenied"),
            ("http://localhost:1/", "PermissionDenied"), ("file:///etc/passwd", "BadMessage")):
        await system.ask(call.GetLog(
            log={"remoteLocation": location}, log_type="DiagnosticsLog", request_id=12, retries=0))
        await system.until("Log", lambda f: f["status"] == status, since)
        since = len(system.events)
    for message, event in (("LogStatusNotification", "Log"),
                           ("FirmwareStatusNotification", "SignedFirmware")):
        answer = await system.ask(call.ExtendedTriggerMessage(requested_message=message))
        assert answer.status == "Accepted"
        await system.until(event, lambda f: f["status"] == "Idle", since)


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


async def bad_firmware_is_refused(visit):
    system = visit.system
    visit.files.offered["/firmware"] = FIRMWARE
    stranger = Authority("Maker's root")
    since = len(system.events)
    answer = await system.ask(signed_update(visit, "/firmware", 20, signer=stranger))
    assert answer.status == "InvalidCertificate"
    await system.security("InvalidFirmwareSigningCertificate", since)

    since = len(system.events)
    answer = await system.ask(signed_update(visit, "/firmware", 21, image=b"another"))
    assert answer.status == "Accepted"
    await system.until("SignedFirmware", lambda f: f["status"] == "InvalidSignature", since)
    await system.security("InvalidFirmwareSignature", since)
    assert system.statuses(since) == ["Downloading", "Downloaded", "InvalidSignature"]

    for path in ("/missing", "/away"):
        since = len(system.events)
        assert (await system.ask(signed_update(visit, path, 22))).status == "Accepted"
        await system.until("SignedFirmware", lambda f: f["status"] == "DownloadFailed", since)
        assert system.statuses(since) == ["Downloading", "DownloadFailed"]
    assert not (visit.folder / "installed").exists()


async def signed_firmware_is_installed(visit):
    system = visit.system
    since = len(system.events)
    later = (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=1)).strftime(
        "%Y-%m-%dT%H:%M:%SZ")
    answer = await system.ask(signed_update(visit, "/firmware", 30, installDateTime=later))
    assert answer.status == "Accepted"
    await system.until("SignedFirmware", lambda f: f["status"] == "InstallScheduled", since)
    since = len(system.events)
    visit.files.breaks.add("/firmware")
    answer = await system.ask(signed_update(visit, "/firmware", 31, sign="pss"))
    assert answer.status == "AcceptedCanceled"
    await system.until("SignedFirmware", lambda f: f["status"] == "InstallRebooting", since)
    await visit.restarts()
    told = await system.until("SignedFirmware", lambda f: f["status"] == "Installed", since)
    assert told["request"] == 31
    await system.security("FirmwareUpdated", since)
    assert system.statuses(since) == [
        "Downloading", "Downloaded", "SignatureVerified", "Installing", "InstallRebooting",
        "Installed"]
    assert (visit.folder / "installed").read_bytes() == FIRMWARE
    assert visit.files.ranges == [len(FIRMWARE) // 2], "the broken download went on"
    (visit.folder / "installed").unlink()


async def unsigned_firmware_is_installed(visit):
    system = visit.system
    (visit.ftp.folder / "image").write_bytes(FIRMWARE[:1000])
    since = len(system.events)
    await system.ask(call.UpdateFirmware(
        location=visit.ftp.url + "/image", retrieve_date=now()))
    await system.until("Firmware", lambda f: f["status"] == "Installing", since)
    await visit.restarts()
    await system.until("Firmware", lambda f: f["status"] == "Installed", since)
    assert system.statuses(since) == ["Downloading", "Downloaded", "Installing", "Installed"]
    assert (visit.folder / "installed").read_bytes() == FIRMWARE[:1000]


async def change(system, key, value):
    return (await system.ask(call.ChangeConfiguration(key=key, value=value))).status


async def passwords_change(visit):
    system = visit.system
    for bad in ("short", "zz" * 16, "00" * 21):
        assert await change(system, "AuthorizationKey", bad) == "Rejected"
    before, new = system.central, "00112233445566778899aabbccddeeff0011"
    assert await change(system, "AuthorizationKey", new) == "Accepted"
    system.passwords = {bytes.fromhex(new)}
    await system.back(before)
    # A password that the operator then refuses: the old one still opens.
    before, since = system.central, len(system.events)
    assert await change(system, "AuthorizationKey", "ff" * 16) == "Accepted"
    await system.back(before, 40)
    assert system.refused[-2:] == [b"\xff" * 16] * 2
    info = await system.until(
        "Security", lambda f: f["info"] == "rolled back", since)
    assert info["type"] == "ReconfigurationOfSecurityParameters"
    await system.security("FailedToAuthenticateAtCentralSystem", since)


async def a_certificate_is_made(visit):
    system = visit.system
    since = len(system.events)
    answer = await system.ask(call.ExtendedTriggerMessage(
        requested_message="SignChargePointCertificate"))
    assert answer.status == "Accepted"
    told = await system.until("SignCertificate", lambda f: True, since)
    csr = x509.load_pem_x509_csr(told["csr"].encode())
    assert csr.is_signature_valid
    assert csr.subject == name("SERIAL-1", "Operator")
    stranger = Authority("Operator's root").sign(csr)
    assert (await system.ask(call.CertificateSigned(certificate_chain=stranger))).status == \
        "Rejected"
    await system.security("InvalidChargePointCertificate", since)
    good = visit.operator.sign(csr)
    assert (await system.ask(call.CertificateSigned(certificate_chain=good))).status == "Accepted"
    assert (await system.ask(call.CertificateSigned(certificate_chain=good))).status == "Rejected"


async def profiles_rise(visit):
    system = visit.system
    assert await change(system, "SecurityProfile", "0") == "Rejected"
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    files = visit.operator.server(visit.folder)
    context.load_cert_chain(*files)
    context.load_verify_locations(cadata=visit.operator.pem)
    stranger = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    stranger.load_cert_chain(*Authority("Operator's root").server(visit.folder))
    before, since = system.central, len(system.events)
    assert await change(system, "SecurityProfile", "2") == "Accepted"
    await system.close()
    await system.open(stranger)
    await visit.logs("server's certificate")
    await system.close()
    await system.open(context)
    await system.back(before, 30)
    event = await system.security("InvalidCentralSystemCertificate", since)
    assert "certificate" in event["info"]
    assert system.peer == {} or system.peer is None

    strict = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    strict.load_cert_chain(*files)
    strict.load_verify_locations(cadata=visit.operator.pem)
    strict.verify_mode = ssl.CERT_REQUIRED
    before = system.central
    assert await change(system, "SecurityProfile", "3") == "Accepted"
    await system.close()
    system.passwords = None
    await system.open(strict)
    await system.back(before, 30)
    subject = {key: value for part in system.peer["subject"] for key, value in part}
    assert subject["commonName"] == "SERIAL-1"
    for lower in ("2", "1", "0"):
        assert await change(system, "SecurityProfile", lower) == "Rejected"
    found = await system.ask(call.GetConfiguration(key=["SecurityProfile"]))
    assert found.configuration_key[0]["value"] == "3"


def no_secret_is_left(visit):
    log = (visit.folder / "kerb-edge.log").read_text(errors="replace")
    secrets = (PASSWORD, "let-me-in", "00112233445566778899aabbccddeeff0011", "PRIVATE KEY")
    for secret in secrets:
        assert secret not in log
    for path in (visit.folder / "data").rglob("*"):
        if path.is_file() and path.suffix in (".pem", ".json"):
            assert path.stat().st_mode & 0o777 == 0o600, path
