"""A fresh root to install packages into: busybox, and the machine's systemd-sysusers and
systemd-tmpfiles with their libraries. Nothing else, so that what a package needs and does
not bring is found out. No network, made in a second."""

import os
import re
import shutil
import subprocess

BORROWED = ["/usr/bin/systemd-sysusers", "/usr/bin/systemd-tmpfiles", "/usr/bin/setpriv", "/usr/sbin/nologin"]


def borrow(root, program):
    """Copies a program and the libraries it is linked with, at the same paths."""
    program = os.path.realpath(program)
    linked = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    for path in [program, *re.findall(r"(/\S+) \(0x", linked)]:
        to = root + path
        os.makedirs(os.path.dirname(to), exist_ok=True)
        if not os.path.exists(to):
            shutil.copy2(os.path.realpath(path), to)


def make(root):
    for folder in ("usr/bin", "usr/sbin", "usr/lib64", "usr/lib", "etc", "run", "tmp", "var/lib", "dev", "proc", "root"):
        os.makedirs(os.path.join(root, folder))
    for name in ("bin", "sbin", "lib", "lib64"):
        os.symlink(f"usr/{name}", os.path.join(root, name))
    shutil.copy2("/bin/busybox", os.path.join(root, "usr/bin/busybox"))
    for applet in ("sh", "cat", "id", "printf", "ls", "cp", "rm", "true"):
        os.symlink("busybox", os.path.join(root, "usr/bin", applet))
    for program in BORROWED:
        borrow(root, program)
        link = os.path.join(root, program.lstrip("/"))
        if not os.path.exists(link):
            os.symlink(os.path.realpath(program), link)
    write(root, "etc/passwd", "root:x:0:0:root:/root:/bin/sh\n")
    write(root, "etc/group", "root:x:0:\n")
    os.mknod(os.path.join(root, "dev/null"), 0o20666, os.makedev(1, 3))
    os.mknod(os.path.join(root, "dev/urandom"), 0o20666, os.makedev(1, 9))
    os.chmod(os.path.join(root, "dev/null"), 0o666)
    os.chmod(os.path.join(root, "dev/urandom"), 0o666)
    subprocess.run(["mount", "-t", "proc", "proc", os.path.join(root, "proc")], check=True)


def remove(root):
    subprocess.run(["umount", os.path.join(root, "proc")], check=True)
    shutil.rmtree(root)


def write(root, path, text):
    with open(os.path.join(root, path), "w") as file:
        file.write(text)
