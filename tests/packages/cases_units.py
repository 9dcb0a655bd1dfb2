"""Units, scripts and lists, checked by systemd, rpmlint, a shell and the programs."""

import glob
import os
import re
import subprocess
import tempfile
import unittest

from listed import TOP, rows

PACKAGES = os.path.join(TOP, "dist", "packages")


def run(*args, **more):
    return subprocess.run(args, capture_output=True, text=True, cwd=TOP, **more)


class Units(unittest.TestCase):
    def installed(self):
        """The IPS installed by packaging/install, for tools that check a tree."""
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        done = run("packaging/install", "ips", env=os.environ | {"DESTDIR": folder.name})
        self.assertEqual(done.returncode, 0, done.stderr)
        return folder.name

    def test_systemd_finds_nothing_wrong(self):
        root = self.installed()
        units = sorted(os.path.basename(path) for path in glob.glob(f"{root}/usr/lib/systemd/system/*"))
        self.assertEqual(len(units), 4)
        # With --root it looks there for the units that a unit pulls in, too.
        for target in ("sysinit", "basic", "shutdown", "sockets", "timers", "multi-user", "network"):
            with open(f"{root}/usr/lib/systemd/system/{target}.target", "w") as file:
                file.write(f"[Unit]\nDescription={target}\n")
        done = run("systemd-analyze", "verify", "--man=no", f"--root={root}", *units)
        self.assertEqual((done.returncode, done.stdout + done.stderr), (0, ""))

    def test_the_servers_exposure_is_small(self):
        done = run("systemd-analyze", "security", "--offline=true", "--threshold=15", "packaging/systemd/ips-server.service")
        verdict = done.stdout.strip().splitlines()[-1]
        print(f"systemd-analyze security: {verdict}")
        self.assertEqual(done.returncode, 0, verdict)

    def test_the_openrc_script_is_parsed(self):
        with tempfile.TemporaryDirectory() as folder:
            # As openrc-run does: source the script, then call a function of it.
            probe = os.path.join(folder, "probe")
            with open(probe, "w") as file:
                file.write(
                    "need() { echo need $*; }\nuse() { echo use $*; }\nafter() { :; }\n"
                    "checkpath() { echo checkpath $*; }\n"
                    ". packaging/openrc/ips-server\ndepend\nstart_pre\n"
                    'echo "$supervisor $command $command_args $command_user"\n'
                )
            done = run("busybox", "sh", "-eu", probe)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("supervise-daemon /usr/bin/ips-server serve hps-ips:hps-ips", done.stdout)
        self.assertIn("need localmount", done.stdout)
        self.assertEqual(done.stdout.count("checkpath --directory"), 4)

    def test_rpmlint_has_no_errors(self):
        rpm = glob.glob(os.path.join(PACKAGES, "*.rpm"))
        self.assertEqual(len(rpm), 1, "`make packages` builds it")
        done = run("rpmlint", "-r", "packaging/rpmlintrc", *rpm)
        self.assertIn(" 0 errors", done.stdout, done.stdout)

    def test_the_lists_have_every_link_of_the_programs(self):
        for name, program, sources in (
            # The rows of the verbs, and the links that are no verb of a node.
            (
                "ips.files",
                "ips-server",
                (
                    ("ips-server/src/verbs/*.rs", r'Spec::on_owner\("[a-z-]+", "(o_\w+)"\)'),
                    ("ips-server/src/links.rs", r'^    \("(o_\w+)", &\['),
                ),
            ),
            # Another test compares this table with the rows of the verbs.
            ("node.files", "n_vm", (("node-tool/src/links.rs", r'^ +"(n_\w+) [a-z-]+",$'),)),
        ):
            want = set()
            for pattern, row in sources:
                found = set()
                for path in glob.glob(os.path.join(TOP, pattern)):
                    with open(path) as file:
                        found.update(re.findall(row, file.read(), flags=re.M))
                self.assertGreater(len(found), 5, pattern)
                want |= found
            found = {os.path.basename(row[3]) for row in rows(name) if row[0] == "link" and row[4] == program and row[3].startswith("/usr/bin/")}
            self.assertEqual(found, want, name)

    def test_the_shell_functions_call_the_programs(self):
        for name, functions in (("ips.files", "ips-functions.sh"), ("node.files", "node-functions.sh")):
            links = [os.path.basename(row[3]) for row in rows(name) if row[0] == "link" and row[3].startswith("/usr/bin/")]
            links = [link for link in links if link != "o_vm"]
            self.assertGreater(len(links), 5)
            with tempfile.TemporaryDirectory() as folder:
                for link in links:
                    path = os.path.join(folder, link)
                    with open(path, "w") as file:
                        file.write(f'#!/bin/sh\nprintf "{link}<%s>" "$@"; exit 7\n')
                    os.chmod(path, 0o755)
                for link in links:
                    # The old library defines the functions; ours is sourced after it.
                    script = f'{link}() {{ echo old; }}; . packaging/hps/{functions}; {link} "a  b" "" "*"'
                    for shell in ("bash", "dash"):
                        done = run(shell, "-c", script, env={"PATH": f"{folder}:/usr/bin:/bin"})
                        self.assertEqual(done.stdout, f"{link}<a  b>{link}<>{link}<*>", (shell, link))
                        self.assertEqual(done.returncode, 7)


class Install(unittest.TestCase):
    """`make install` installs the files of the packages, and keeps an edited settings file."""

    def install(self, what, folder, **more):
        done = run("packaging/install", what, env=os.environ | {"DESTDIR": folder} | more)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def test_all_of_the_list_below_destdir_and_prefix(self):
        for what in ("node", "ips"):
            with tempfile.TemporaryDirectory() as folder:
                self.install(what, folder, PREFIX="/opt/hps")
                for kind, _, _, path, source in rows(f"{what}.files"):
                    path = folder + re.sub("^/usr/", "/opt/hps/", path)
                    self.assertTrue(os.path.lexists(path), path)
                    if kind == "link":
                        self.assertEqual(os.readlink(path), source)
                if what == "ips":
                    with open(f"{folder}/opt/hps/lib/systemd/system/ips-server.service") as file:
                        self.assertIn("ExecStart=/opt/hps/bin/ips-server serve", file.read())

    def test_an_edited_settings_file_is_kept(self):
        with tempfile.TemporaryDirectory() as folder:
            self.install("node", folder)
            path = f"{folder}/etc/hps/node.conf"
            with open(path, "w") as file:
                file.write("ips=http://10.0.0.9\n")
            said = self.install("node", folder)
            self.assertIn(f"kept {path}; the new file is {path}.new", said)
            with open(path) as file:
                self.assertEqual(file.read(), "ips=http://10.0.0.9\n")
            self.assertTrue(os.path.exists(path + ".new"))

    def test_what_is_missing_is_named(self):
        with tempfile.TemporaryDirectory() as folder:
            done = run("packaging/install", "node", env=os.environ | {"DESTDIR": folder, "BIN": folder})
            self.assertEqual(done.returncode, 1)
            self.assertIn("n_vm is missing", done.stderr)
        self.assertEqual(run("packaging/install", "both").returncode, 2)
