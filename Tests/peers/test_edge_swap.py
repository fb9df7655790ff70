"""A controller is swapped: the new board has the package, the backup and nothing else, and is the old one.

PyPI `ocpp` is the operator; it changed the station's password before the old board died, and lets nobody
in with the first one.
"""
import asyncio
import json
import os
import pathlib
import shutil
import sqlite3
import subprocess

from ocpp.v16 import call

from edge_site import BIN, ENVIRONMENT
from upkeep_visit import PASSWORD, Authority, Guarded, Visit, change

LIMIT = 120  # seconds for the whole swap
NEW = "00112233445566778899aabbccddeeff0011"


def command(folder, *words):
    """Started in the folder of the configuration, which is named as a person would."""
    return subprocess.run(
        [BIN / "kerb-edge", *map(str, words), "--config", "edge.yaml"], cwd=folder, capture_output=True, text=True,
        env=ENVIRONMENT)


def with_relative_paths(visit):
    """Secrets and data beside the configuration, so that another folder can be another board."""
    folder = visit.folder
    text = (folder / "edge.yaml").read_text().replace(f"{folder}/data", "data").replace(
        f"passwordFile: {folder}/password", "passwordFile: secrets/password").replace(
        "fuseAmperes: 63", "fuseAmperes: 40")
    (folder / "secrets").mkdir()
    shutil.move(folder / "password", folder / "secrets" / "password")
    (folder / "edge.yaml").write_text(text.replace(
        "acceptUnsigned: true", "acceptUnsigned: true\n  rootFile: secrets/maker.pem"))
    (folder / "secrets" / "maker.pem").write_text(visit.maker.pem)


def locks_the_fuse(data):
    """As `commission` leaves it."""
    (data / "commissioned.json").write_text(json.dumps({
        "passed": True, "board": "modbus-cabinet", "fuseAmperes": 40, "phases": 3,
        "maximumAmperes": {"1": 32, "2": 32}}))


def moved(visit, folder):
    """The same hardware, another controller."""
    visit.site.folder = folder
    visit.folder = folder


def test_a_swapped_board_connects_with_the_changed_password_and_keeps_lock_and_journal(tmp_path):
    async def swap():
        old, new = tmp_path / "old", tmp_path / "new"
        old.mkdir()
        new.mkdir()
        system = Guarded()
        async with asyncio.timeout(LIMIT):
            await system.open()
            visit = Visit(old, system)
            with_relative_paths(visit)
            try:
                visit.site.start()
                await lives(visit)
                target = await asyncio.to_thread(is_saved, visit, tmp_path)
                before = system.central
                await asyncio.to_thread(comes_up_empty, visit, target, new)
                system.refused.clear()
                visit.site.start_edge()
                await system.back(before, 40)
                assert system.refused == [], "the first password is tried no more"
                await system.until("StopTransaction", lambda f: True, 0, 30)
                assert [f["id_tag"] for a, f in system.events if a == "StartTransaction"] == ["GOOD"]
                roots = await system.ask(call.GetInstalledCertificateIds(
                    certificate_type="CentralSystemRootCertificate"))
                assert len(roots.certificate_hash_data) == 1
            except BaseException:
                print(visit.site.logs())
                print(*system.events[-40:], sep="\n")
                raise
            finally:
                await asyncio.to_thread(visit.stop)
                await system.close()
    asyncio.run(swap())


async def lives(visit):
    """The old board's life: a root, a new password, a charge that nobody ends."""
    system = visit.system
    await system.until("BootNotification", lambda f: True)
    answer = await system.ask(call.InstallCertificate(
        certificate_type="CentralSystemRootCertificate", certificate=Authority("Operator's root").pem))
    assert answer.status == "Accepted"
    before = system.central
    assert await change(system, "AuthorizationKey", NEW) == "Accepted"
    system.passwords = {bytes.fromhex(NEW)}
    await system.back(before)
    locks_the_fuse(visit.folder / "data")
    visit.site.plug_in(1)
    await system.until("StatusNotification", lambda f: f["status"] == "Preparing", 0, 30)
    visit.site.show_token("GOOD")
    await system.until("StartTransaction", lambda f: True, 0, 30)


def is_saved(visit, folder):
    target = folder / "board.backup"
    made = command(visit.folder, "backup", target)
    assert made.returncode == 0, made.stderr
    assert "0600" in made.stdout and target.stat().st_mode & 0o777 == 0o600
    assert "a charge is open at connector 1" in made.stderr
    bundle = folder / "bundle.tar"
    command(visit.folder, "doctor", "--bundle", bundle)
    for secret in (PASSWORD.encode(), NEW.encode(), bytes.fromhex(NEW)):
        assert secret not in bundle.read_bytes(), "support sees no secret"
    visit.site.kill_edge()
    return target


def comes_up_empty(visit, target, new):
    moved(visit, new)
    refused = command(new, "restore", target)
    assert refused.returncode != 0 and "--identity" in refused.stderr
    assert list(new.iterdir()) == []
    done = command(new, "restore", target, "--identity")
    assert done.returncode == 0, done.stderr + done.stdout
    assert "1 charges to close" in done.stdout
    assert (new / "secrets" / "password").read_text() == PASSWORD + "\n"
    assert (new / "secrets" / "maker.pem").read_text() == visit.maker.pem
    for path in [new / "secrets" / "password", *(new / "data").rglob("*.json"), *(new / "data").rglob("*.pem")]:
        assert path.stat().st_mode & 0o077 == 0, path
    assert "fuseAmperes is" in exceeded(new).stderr, "the fuse is still locked"
    journal = sqlite3.connect(new / "data" / "journal.db")
    assert not journal.execute("SELECT name FROM sqlite_master WHERE name LIKE 'board_%'").fetchall()
    journal.close()


def exceeded(folder):
    """What the configuration's check says of a larger fuse."""
    text = (folder / "edge.yaml").read_text()
    (folder / "larger.yaml").write_text(text.replace("fuseAmperes: 40", "fuseAmperes: 63"))
    done = subprocess.run(
        [BIN / "kerb-edge", "config", "check", folder / "larger.yaml"], capture_output=True, text=True,
        env=ENVIRONMENT)
    (folder / "larger.yaml").unlink()
    pathlib.Path(folder / "larger.yaml.safe-lines").unlink(missing_ok=True)
    assert done.returncode != 0
    return done


def test_a_restore_that_does_not_fit_changes_nothing_and_one_cut_off_starts_no_agent(tmp_path):
    async def swap():
        old, new = tmp_path / "old", tmp_path / "new"
        old.mkdir()
        new.mkdir()
        system = Guarded()
        await system.open()
        visit = Visit(old, system)
        with_relative_paths(visit)
        try:
            visit.site.start()
            await system.until("BootNotification", lambda f: True)
            target = tmp_path / "board.backup"
            assert (await asyncio.to_thread(command, old, "backup", target)).returncode == 0
            visit.site.kill_edge()
            await asyncio.to_thread(stays_what_it_is, target, new)
        finally:
            await asyncio.to_thread(visit.stop)
            await system.close()
    asyncio.run(swap())


def stays_what_it_is(target, new):
    (new / "edge.yaml").write_text("stationID: ANOTHER\n")
    done = subprocess.run(
        [BIN / "kerb-edge", "restore", target, "--identity", "--config", "edge.yaml"], cwd=new, capture_output=True,
        text=True, env={**ENVIRONMENT, "KERB_STATIONID": "THIRD"})
    assert done.returncode != 0 and "nothing was changed" in done.stderr, done.stderr
    assert (new / "edge.yaml").read_text() == "stationID: ANOTHER\n"
    assert sorted(path.name for path in new.rglob("*") if path.is_file()) == ["edge.yaml", "lock"]
    # As the power leaves it in the middle.
    (new / "edge.yaml.restore-incomplete").touch()
    cut = command(new, "run")
    assert cut.returncode == 2 and "once more" in cut.stderr
    # The journal alone would take the mark away from half a board.
    plain = command(new, "restore", target)
    assert plain.returncode == 4 and "repeat it with --identity" in plain.stderr, plain.stderr
    assert (new / "edge.yaml.restore-incomplete").exists()
    done = command(new, "restore", target, "--identity")
    assert done.returncode == 0, done.stderr
    assert not (new / "edge.yaml.restore-incomplete").exists()
    assert list(new.glob("edge.yaml.before-restore-*"))


def test_root_follows_no_link_of_the_agents_user(tmp_path):
    """The data directory is the agent's user's: he could point at any file that only root may read or write."""
    async def swap():
        folder = tmp_path / "board"
        folder.mkdir()
        system = Guarded()
        await system.open()
        visit = Visit(folder, system)
        with_relative_paths(visit)
        try:
            visit.site.start()
            await system.until("BootNotification", lambda f: True)
            target = tmp_path / "board.backup"
            assert (await asyncio.to_thread(command, folder, "backup", target)).returncode == 0
            visit.site.kill_edge()
            await asyncio.to_thread(reads_through_no_link, folder, tmp_path)
            await asyncio.to_thread(writes_through_no_link, folder, tmp_path, target)
        finally:
            await asyncio.to_thread(visit.stop)
            await system.close()
    asyncio.run(swap())


def reads_through_no_link(folder, outside):
    """`backup` carries nothing that is elsewhere; a check by root waits at no pipe."""
    data = folder / "data"
    secret = outside / "of-root.pem"
    secret.write_text("nobody's but root's")
    (outside / "folder").mkdir()
    (outside / "folder" / "key.pem").write_text("nobody's but root's")
    (data / "credentials").mkdir(exist_ok=True)
    for link, target in [
            (data / "credentials" / "certificate-1.pem", secret), (data / "certificates", outside / "folder"),
            (data / "commissioned.json", secret), (data / "journal.db", outside / "journal.db")]:
        aside = link.with_name(link.name + ".aside")
        if link.exists():
            link.rename(aside)
            if link.name == "journal.db":
                shutil.copy(aside, target)
        link.symlink_to(target)
        copy = outside / "copy.backup"
        done = command(folder, "backup", copy)
        assert done.returncode != 0 and f"{link.name}: is a link" in done.stderr, (link, done.stderr, done.stdout)
        assert not copy.exists()
        link.unlink()
        if aside.exists():
            aside.rename(link)
    (folder / "secrets" / "password").chmod(0o600)
    os.mkfifo(data / "commissioned.json")
    done = subprocess.run(
        [BIN / "kerb-edge", "config", "check", "edge.yaml"], cwd=folder, capture_output=True, text=True, timeout=20,
        env=ENVIRONMENT)
    assert done.returncode != 0 and "commissioned.json" in done.stderr
    (data / "commissioned.json").unlink()


def writes_through_no_link(folder, outside, target):
    """The lock, a restored folder and a record of commissioning are made here or nowhere."""
    data = folder / "data"
    victim = outside / "victim"
    (data / "lock").unlink(missing_ok=True)
    (data / "lock").symlink_to(victim)
    for words in ("run",), ("restore", target), ("restore", target, "--identity"):
        done = command(folder, *words)
        assert done.returncode != 0 and "lock: is a link" in done.stderr, done.stderr
    assert not victim.exists()
    (data / "lock").unlink()
    # What a restore that was cut off would have left.
    victim.mkdir()
    (victim / "key.pem").write_text("untouched")
    for name in "credentials.restoring", "certificates.restoring", "journal.db.restoring", "commissioned.json.restoring":
        (data / name).symlink_to(victim)
    done = command(folder, "restore", target, "--identity")
    assert done.returncode == 0, done.stderr
    assert [path.name for path in victim.iterdir()] == ["key.pem"]
    assert (victim / "key.pem").read_text() == "untouched"
    assert not any((data / name).is_symlink() for name in ("credentials", "certificates", "journal.db"))
    # Where another user owns the folder, what root restores is his, and nothing else becomes it.
    if os.geteuid() == 0:
        for path in [data, *data.rglob("*")]:
            os.chown(path, 12345, 12345)
        assert command(folder, "restore", target, "--identity").returncode == 0
        owners = {path: path.stat().st_uid for path in data.rglob("*") if path.is_file()}
        assert set(owners.values()) == {12345}, owners
        assert (victim / "key.pem").stat().st_uid == 0
    (data / "commissioned.json").write_text("{}")
    shutil.rmtree(data / "commissioning", ignore_errors=True)
    (data / "commissioning").symlink_to(victim)
    done = command(folder, "decommission", "--by", "a technician")
    assert done.returncode != 0 and "commissioning: is a link" in done.stderr, done.stderr
    assert [path.name for path in victim.iterdir()] == ["key.pem"]
