"""A clean Debian in a folder, and our packages for it. Needs root and a Debian mirror."""
import os
import pathlib
import re
import shutil
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("KERB_")}
SUITE = "bookworm"


def run(*words, **more):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, **more)
    assert done.returncode == 0, f"{words}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return done.stdout


def made_packages():
    """{name: file} of what `make deb` makes; it ends with lintian, which fails on an error or a warning."""
    made = os.environ.get("KERB_DEBS")
    if not made:
        run("make", "deb", cwd=ROOT, env=ENVIRONMENT)
    return {path.name.split("_")[0]: path for path in pathlib.Path(made or ROOT / "dist").glob("*.deb")}


def newer(package, folder):
    """The same package with a higher version, as an upgrade brings it."""
    run("dpkg-deb", "-R", package, folder / "raw")
    control = folder / "raw/DEBIAN/control"
    control.write_text(re.sub(r"^Version: (.*)$", r"Version: \1+next", control.read_text(), flags=re.M))
    out = folder / package.name.replace("_", "-next_", 1)
    run("dpkg-deb", "--root-owner-group", "-b", folder / "raw", out)
    return out


class System:
    def __init__(self, folder, include="systemd,udev"):
        self.folder = folder
        run("debootstrap", "--variant=minbase", f"--include={include}", SUITE, folder,
            run("python3", ROOT / ".ci" / "debian_mirror.py").strip())
        # Nothing is started in a chroot.
        (folder / "usr/sbin/policy-rc.d").write_text("#!/bin/sh\nexit 101\n")
        (folder / "usr/sbin/policy-rc.d").chmod(0o755)
        shutil.copy("/etc/resolv.conf", folder / "etc/resolv.conf")

    def sh(self, script):
        return run(
            "unshare", "--mount", "--pid", "--fork", "--mount-proc", "chroot", self.folder, "sh", "-ec",
            f"mount -t proc proc /proc; {script}",
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"})

    def get(self, *names):
        """Debian's own packages."""
        return self.sh(f"apt-get -qq update; apt-get install -y --no-install-recommends {' '.join(names)} 2>&1")

    def install(self, *packages):
        names = []
        for package in packages:
            shutil.copy(package, self.folder / "tmp")
            names.append(f"/tmp/{package.name}")
        return self.get(*names)

    def path(self, name):
        return self.folder / name.lstrip("/")


def depends(package):
    """The names a package needs; of alternatives the first."""
    listed = run("dpkg-deb", "-f", package, "Depends").split(",")
    return [re.split(r"[ |(]", each.strip())[0] for each in listed]
