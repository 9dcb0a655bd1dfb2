"""The RPM and the deb of the IPS in fresh roots: files, programs, and kept settings."""

import contextlib
import functools
import glob
import http.client
import json
import os
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import tempfile
import time
import unittest

import fresh_root
from listed import TOP, rows

PACKAGES = os.path.join(TOP, "dist", "packages")
NEXT = os.path.join(TOP, "dist", "packages-next")


def run(*args, check=True, **more):
    done = subprocess.run(args, capture_output=True, text=True, **more)
    if check and done.returncode != 0:
        raise AssertionError(f"{args} exited {done.returncode}: {done.stdout}{done.stderr}")
    return done


def package(folder, pattern):
    found = glob.glob(os.path.join(folder, pattern))
    if len(found) != 1:
        raise AssertionError(f"{folder}: want one {pattern}, found {found}; `make packages` builds them")
    return found[0]


@functools.cache
def next_version():
    """The same programs as the version after this one, with other default settings."""
    # A package of an earlier run may lack files that are in the list now.
    shutil.rmtree(NEXT, ignore_errors=True)
    with tempfile.TemporaryDirectory() as folder:
        copy = os.path.join(folder, "hps")
        ignore = shutil.ignore_patterns("target", ".git", "packages*")
        shutil.copytree(TOP, copy, ignore=ignore, symlinks=True)
        with open(os.path.join(copy, "packaging/ips/ips.toml"), "a") as file:
            file.write("# A line that the next version adds.\n")
        tools = os.path.join(TOP, "target", "tools", "bin")
        env = os.environ | {
            "HPS_VERSION": "99.0.0",
            "SOURCE_DATE_EPOCH": "1800000000",
            "PATH": f"{tools}:{os.environ['PATH']}",
        }
        run(os.path.join(copy, "packaging/build"), "--no-binaries", env=env)
        shutil.copytree(os.path.join(copy, "dist/packages"), NEXT)
    return NEXT


class Rooted(unittest.TestCase):
    """The common part of both kinds; a subclass installs and removes."""

    kept_beside = ""

    def setUp(self):
        self.root = tempfile.mkdtemp(prefix="hps-root.")
        os.chmod(self.root, 0o755)
        fresh_root.make(self.root)
        self.addCleanup(fresh_root.remove, self.root)

    def path(self, path):
        return self.root + path

    def chroot(self, *args, check=True, user=None):
        who = ["--userspec", f"{user}:{user}"] if user else []
        return run("/usr/sbin/chroot", *who, self.root, *args, check=check, env={"PATH": "/usr/bin:/bin:/usr/sbin"})

    def uid(self, name):
        with open(self.path("/etc/passwd")) as file:
            return next(int(line.split(":")[2]) for line in file if line.startswith(name + ":"))

    def serve(self):
        """The installed server, in the root, as its user; its pid."""
        log = open(self.path("/tmp/log"), "w")
        self.addCleanup(log.close)
        command = ["/usr/sbin/chroot", "--userspec", "hps-ips:hps-ips", self.root, "/usr/bin/ips-server", "serve", "--listen", "127.0.0.1:0"]
        child = subprocess.Popen(command, stderr=log, env={"PATH": "/usr/bin"} | self.environment_of_unit())

        def end():
            if child.poll() is None:
                child.send_signal(signal.SIGTERM)
                child.wait(10)

        self.addCleanup(end)
        for _ in range(500):
            with open(self.path("/tmp/log")) as file:
                text = file.read()
            if "listen=" in text:
                return child, text.split("listen=")[1].split()[0]
            if child.poll() is not None:
                raise AssertionError(f"the server ended: {text}")
            time.sleep(0.01)
        raise AssertionError("the server did not print its address")

    def environment_of_unit(self):
        with open(self.path("/usr/lib/systemd/system/ips-server.service")) as unit:
            lines = [line.strip().partition("=")[2] for line in unit if line.startswith("Environment=")]
        return dict(line.split("=", 1) for line in lines)

    def get(self, address, path):
        return run("curl", "-s", "-m", "10", f"http://{address}{path}").stdout

    # --- the cases ---

    def all_is_there(self):
        for kind, mode, owner, path, source in rows("ips.files"):
            found = os.lstat(self.path(path))
            if kind == "link":
                self.assertEqual(os.readlink(self.path(path)), source, path)
                continue
            self.assertEqual(oct(stat.S_IMODE(found.st_mode)), oct(int(mode, 8)), path)
            uid = 0 if owner == "root" else self.uid(owner)
            self.assertEqual(found.st_uid, uid, path)
        locks = os.stat(self.path("/run/hps/locks"))
        self.assertEqual((stat.S_IMODE(locks.st_mode), locks.st_uid), (0o700, 0), "made by the scriptlet")
        self.assertNotEqual(self.uid("hps-ips"), 0)

    def all_of_it_runs(self):
        self.assertRegex(self.chroot("ips-server", "--version").stdout, r"^ips-server \d")
        for kind, _, _, path, source in rows("ips.files"):
            if kind == "link" and source == "ips-server":
                done = self.chroot(path, "--help")
                self.assertIn("Usage: ", done.stdout, path)
        child, address = self.serve()
        self.assertEqual(json.loads(self.get(address, "/healthz"))["status"], "ok")
        # As root, while the server runs: new files belong to the server's user.
        self.chroot("o_vm", "define", "--id", "vm-1", "--name", "web", "--cpus", "1", "--ram", "64")
        self.assertEqual(json.loads(self.get(address, "/v1/vms/vm-1"))["name"], "web")
        for name in os.listdir(self.path("/var/lib/hps-ips")):
            found = os.stat(self.path("/var/lib/hps-ips/" + name))
            self.assertEqual((found.st_uid, stat.S_IMODE(found.st_mode)), (self.uid("hps-ips"), 0o600), name)
        self.many_who_list_everything_cost_little(child, address)
        child.send_signal(signal.SIGTERM)
        self.assertEqual(child.wait(10), 0)

    def many_who_list_everything_cost_little(self, child, address):
        """The allocator of this build is not that of the tests'; the unit allows 256 MiB."""
        with open(self.path("/tmp/many"), "w") as file:
            for number in range(300):
                file.write(f"vm_id=m{number}\nname=m{number}\ncpu_count=1\nram_mb=64\n")
                file.write(f"provision_method=virt-install\ntitle={'t' * 1000}\n\n")
        self.chroot("o_vm", "import", "/tmp/many")
        host, port = address.split(":")
        with contextlib.ExitStack() as kept:
            for _ in range(200):
                client = http.client.HTTPConnection(host, int(port), timeout=20)
                kept.callback(client.close)
                client.request("GET", "/v1/vms")
                answer = client.getresponse()
                self.assertEqual((answer.status, len(json.loads(answer.read())) > 300), (200, True))
            with open(f"/proc/{child.pid}/status") as file:
                resident = next(int(line.split()[1]) for line in file if line.startswith("VmRSS:"))
        self.assertLess(resident, 64 * 1024, "KiB")
        print(f"200 connections, each with a listing of 300 VMs: {resident} KiB resident", file=sys.stderr)

    def the_sweep_may_come_first(self):
        """On a fresh boot root's sweep, with its two capabilities, creates the registry."""
        caps = "-all,+chown,+dac_override"
        self.chroot("setpriv", "--bounding-set", caps, "--inh-caps", caps, "o_vm", "sweep", check=False)
        self.assertTrue(os.path.exists(self.path("/var/lib/hps-ips/registry.db")))
        for name in os.listdir(self.path("/var/lib/hps-ips")):
            self.assertEqual(os.stat(self.path("/var/lib/hps-ips/" + name)).st_uid, self.uid("hps-ips"), name)
        self.chroot("o_vm", "define", "--id", "early", "--name", "early", "--cpus", "1", "--ram", "64", user="hps-ips")
        self.assertIn("early", self.chroot("o_vm", "list").stdout)

    def an_upgrade_keeps_settings_and_registry(self):
        with open(self.path("/etc/hps/ips.toml"), "a") as file:
            file.write("restart = 'off' # edited\n")
        self.chroot("o_vm", "define", "--id", "kept", "--name", "kept", "--cpus", "1", "--ram", "64")
        before = self.chroot("o_vm", "show", "--json", "kept").stdout
        self.install(next_version(), upgrade=True)
        with open(self.path("/etc/hps/ips.toml")) as file:
            text = file.read()
        self.assertIn("restart = 'off' # edited\n", text)
        self.assertNotIn("next version", text)
        with open(self.path("/etc/hps/ips.toml" + self.kept_beside)) as file:
            self.assertIn("next version", file.read())
        self.assertEqual(self.chroot("o_vm", "show", "--json", "kept").stdout, before)
        self.all_is_there()

    def a_registry_of_an_older_schema_is_migrated(self):
        path = self.path("/var/lib/hps-ips/registry.db")
        for name in os.listdir(os.path.dirname(path)):
            os.unlink(os.path.join(os.path.dirname(path), name))
        older = os.path.join(TOP, "tests/fixtures/registry/schema_1.sql")
        with open(older) as file, sqlite3.connect(path) as database:
            database.executescript(file.read())
        os.chown(path, self.uid("hps-ips"), self.uid("hps-ips"))
        os.chmod(path, 0o600)
        self.assertIn("of-old", self.chroot("o_vm", "list").stdout)

    def removal_keeps_the_registry(self):
        self.remove()
        self.assertFalse(os.path.lexists(self.path("/usr/bin/ips-server")))
        self.assertFalse(os.path.lexists(self.path("/usr/bin/o_vm")))
        self.assertTrue(os.path.exists(self.path("/var/lib/hps-ips/registry.db")))


class Rpm(Rooted):
    kept_beside = ".rpmnew"

    def install(self, folder, upgrade=False):
        path = package(folder, "hps-ips-server-*.rpm")
        return run("rpm", "--root", self.root, "-U" if upgrade else "-i", "--nosignature", path)

    def remove(self):
        run("rpm", "--root", self.root, "-e", "hps-ips-server")

    def test_installed_run_upgraded_removed(self):
        said = self.install(PACKAGES).stdout
        self.assertIn("ips-server nginx", said, "it prints the remaining steps")
        self.all_is_there()
        verified = run("rpm", "--root", self.root, "-V", "hps-ips-server", check=False)
        self.assertEqual((verified.returncode, verified.stdout), (0, ""))
        self.the_sweep_may_come_first()
        self.all_of_it_runs()
        self.an_upgrade_keeps_settings_and_registry()
        self.a_registry_of_an_older_schema_is_migrated()
        self.removal_keeps_the_registry()

    def test_dnf_installs_it_from_the_repository(self):
        out = tempfile.mkdtemp(prefix="hps-repo.")
        self.addCleanup(shutil.rmtree, out)
        run(os.path.join(TOP, "packaging/repo"), PACKAGES, out)
        os.makedirs(self.path("/etc/yum.repos.d"))
        fresh_root.write(self.root, "etc/yum.repos.d/hps.repo", f"[hps]\nname=hps\nbaseurl=file://{out}/rocky\ngpgcheck=0\n")
        # The package has no dependency, so dnf queries no other repository.
        dnf = ["dnf", "--installroot", self.root, "--releasever=9", "--setopt=reposdir=" + self.path("/etc/yum.repos.d")]
        run(*dnf, "--setopt=install_weak_deps=False", "-y", "install", "hps-ips-server")
        self.all_is_there()
        self.assertRegex(self.chroot("o_vm", "--version").stdout, r"^o_vm \d")


class Deb(Rooted):
    kept_beside = ".dpkg-dist"

    def dpkg(self, *args):
        env = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        return run("dpkg", "--root", self.root, "--force-confold", *args, env=env)

    def setUp(self):
        super().setUp()
        for folder in ("info", "updates", "parts", "triggers"):
            os.makedirs(self.path(f"/var/lib/dpkg/{folder}"))
        for name in ("status", "available"):
            fresh_root.write(self.root, f"var/lib/dpkg/{name}", "")

    def install(self, folder, upgrade=False):
        return self.dpkg("-i", package(folder, "hps-ips-server_*.deb"))

    def remove(self):
        self.dpkg("-r", "hps-ips-server")

    def test_installed_run_upgraded_removed(self):
        self.install(PACKAGES)
        self.all_is_there()
        self.the_sweep_may_come_first()
        self.all_of_it_runs()
        self.an_upgrade_keeps_settings_and_registry()
        self.a_registry_of_an_older_schema_is_migrated()
        self.removal_keeps_the_registry()
        self.dpkg("-P", "hps-ips-server")
        self.assertTrue(os.path.exists(self.path("/var/lib/hps-ips/registry.db")), "a purge keeps it too")


del Rooted  # has no cases of its own
