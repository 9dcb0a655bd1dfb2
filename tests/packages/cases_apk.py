"""The APKs, read as apk reads them; and the repository built from them."""

import base64
import glob
import hashlib
import io
import os
import shutil
import subprocess
import tarfile
import tempfile
import unittest
import zlib

from listed import TOP, rows, sections

PACKAGES = os.path.join(TOP, "dist", "packages")
BUDGET = 400 * 1024


def segments(data):
    """(packed, plain) of each gzip member, to the last byte."""
    found = []
    while data:
        inflate = zlib.decompressobj(wbits=31)
        plain = inflate.decompress(data) + inflate.flush()
        assert inflate.eof, "cut off"
        found.append((data[: len(data) - len(inflate.unused_data)], plain))
        data = inflate.unused_data
    return found


def members(plain):
    with tarfile.open(fileobj=io.BytesIO(plain + bytes(1024))) as tar:
        return {info.name: (info, tar.extractfile(info).read() if info.isreg() else None) for info in tar}


def pairs(text):
    found = {}
    for line in text.decode().splitlines():
        key, equals, value = line.partition(" = ")
        if equals and not key.startswith("#"):
            found.setdefault(key, []).append(value)
    return found


class Apk(unittest.TestCase):
    def read(self, name):
        path = glob.glob(os.path.join(PACKAGES, f"{name}-[0-9]*.apk"))
        self.assertEqual(len(path), 1, f"{name}: {path}; `make packages` builds them")
        with open(path[0], "rb") as file:
            return path[0], segments(file.read())

    def test_each_package_of_the_list_is_as_listed(self):
        for name in sections("node.files"):
            with self.subTest(name):
                _, parts = self.read(name)
                self.assertEqual(len(parts), 2, "unsigned: control and data")
                control, data = parts
                info = pairs(members(control[1])[".PKGINFO"][1])
                self.assertEqual(info["pkgname"], [name])
                self.assertEqual(info["arch"], ["x86_64"])
                self.assertEqual(info["datahash"], [hashlib.sha256(data[0]).hexdigest()])
                self.assertEqual(info["license"], ["MIT OR Apache-2.0"])
                self.data_is_as_listed(name, members(data[1]))

    def data_is_as_listed(self, name, found):
        listed = rows("node.files", name)
        for kind, mode, owner, path, source in listed:
            entry, data = found[path.lstrip("/")]
            if kind == "link":
                self.assertTrue(entry.issym(), path)
                self.assertEqual(entry.linkname, source)
                continue
            self.assertEqual(oct(entry.mode & 0o7777), oct(int(mode, 8)), path)
            self.assertEqual((entry.uname, entry.gname), (owner, owner), path)
            self.assertEqual(entry.isdir(), kind == "dir", path)
            if data is not None:
                # apk compares each file with this.
                self.assertEqual(entry.pax_headers["APK-TOOLS.checksum.SHA1"], hashlib.sha1(data).hexdigest(), path)
        names = {row[3].lstrip("/") for row in listed}
        surplus = {entry for entry, (info, _) in found.items() if not info.isdir()} - names
        self.assertEqual(surplus, set())

    def test_its_needs_have_alpines_names(self):
        _, (control, _) = self.read("hps-node-tool")
        info = pairs(members(control[1])[".PKGINFO"][1])
        want = ["libvirt-client", "libvirt-daemon", "libvirt-qemu", "virt-install", "qemu-img", "qemu-system-x86_64"]
        self.assertEqual(info["depend"], want)
        with open(os.path.join(TOP, "packaging/apk/APKBUILD")) as file:
            text = file.read()
        for name in want:
            self.assertIn(name, text)

    def test_it_keeps_its_budget(self):
        path, _ = self.read("hps-node-tool")
        self.assertLessEqual(os.path.getsize(path), BUDGET)

    def test_the_program_in_it_runs_alone(self):
        _, (_, data) = self.read("hps-node-tool")
        with tempfile.TemporaryDirectory() as root:
            with tarfile.open(fileobj=io.BytesIO(data[1] + bytes(1024))) as tar:
                tar.extractall(root)
            done = subprocess.run(["/usr/sbin/chroot", root, "/usr/bin/n_vm", "--version"], capture_output=True, text=True)
            self.assertRegex(done.stdout, r"^n_vm \d")
            for link in ("n_vm_create", "n_vm_stop"):
                done = subprocess.run(["/usr/sbin/chroot", root, f"/usr/bin/{link}", "--help"], capture_output=True, text=True)
                self.assertIn("Usage: n_vm ", done.stdout)

    def test_the_repository_is_what_apk_asks_for(self):
        with tempfile.TemporaryDirectory() as folder:
            key = os.path.join(folder, "key.pem")
            subprocess.run(["openssl", "genrsa", "-out", key, "2048"], check=True, capture_output=True)
            public = os.path.join(folder, "key.pub")
            subprocess.run(["openssl", "rsa", "-in", key, "-pubout", "-out", public], check=True, capture_output=True)
            env = os.environ | {"HPS_APK_KEY": key, "HPS_APK_KEY_NAME": "site"}
            apks = os.path.join(folder, "apks")
            os.mkdir(apks)
            for path in glob.glob(os.path.join(PACKAGES, "*.apk")):
                shutil.copy(path, apks)
            out = os.path.join(folder, "out")
            subprocess.run([os.path.join(TOP, "packaging/repo"), apks, out], env=env, check=True, capture_output=True)
            served = os.path.join(out, "alpine", "x86_64")
            with open(os.path.join(served, "APKINDEX.tar.gz"), "rb") as file:
                signature, index = segments(file.read())
            self.signed(members(signature[1])[".SIGN.RSA.site.rsa.pub"][1], index[0], public, folder)
            self.indexed(members(index[1])["APKINDEX"][1].decode(), served)

    def signed(self, signature, data, public, folder):
        path = os.path.join(folder, "signature")
        with open(path, "wb") as file:
            file.write(signature)
        verify = ["openssl", "dgst", "-sha1", "-verify", public, "-signature", path]
        done = subprocess.run(verify, input=data, capture_output=True)
        self.assertEqual(done.returncode, 0, done.stdout)

    def indexed(self, text, served):
        blocks = [dict(line.split(":", 1) for line in block.splitlines()) for block in text.strip().split("\n\n")]
        self.assertEqual(sorted(block["P"] for block in blocks), sorted(sections("node.files")))
        for block in blocks:
            path = os.path.join(served, f"{block['P']}-{block['V']}.apk")
            with open(path, "rb") as file:
                data = file.read()
            self.assertEqual(block["S"], str(len(data)))
            checksum = base64.b64encode(hashlib.sha1(segments(data)[0][0]).digest()).decode()
            self.assertEqual(block["C"], "Q1" + checksum)
            self.assertEqual(block["A"], "x86_64")
