"""PyPI `ocpp` plays a central system that looks after a `kerb-edge`: firmware, logs, certificates,
passwords and security profiles, with files on a loopback HTTP and FTP server and signatures and
certificates by PyCA's `cryptography`.
"""
import asyncio
import datetime
import ssl
import tarfile

from cryptography import x509
from ocpp.v16 import call

from test_ocpp16_csms import now
from upkeep_visit import FIRMWARE, PASSWORD, Authority, Guarded, Visit, change, hash_data, name, signed_update

LIMIT = 90  # seconds for the whole visit, whatever happens


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
