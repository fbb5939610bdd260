"""Destinations that rclone reaches: OpenSSH by SFTP and Samba by SMB, with nothing mounted."""

import os
import pathlib
import select
import subprocess
import tempfile
import unittest

import harness
import shares
from kill_test import fill

REMOTE = "nas"
KINDS = (shares.Sshd, shares.Samba)


class RemoteInstance(harness.Instance):
    """An installation whose only destination is a URL."""

    def __init__(self, url):
        super().__init__()
        self.url = url

    def __enter__(self):
        self.init_result = self.run(harness.HOLDFAST_PROGRAM, "init", "--directory", self.home,
                                    "--destination", self.url)
        assert self.init_result.exit_code == harness.EXIT_OK, self.init_result
        return self

    def run_restore(self, target, key, *arguments, expect=harness.EXIT_OK):
        result = self.run(harness.HOLDFAST_PROGRAM, "restore", "--from", self.url, "--key", key,
                          "--to", target, *arguments)
        assert expect is None or result.exit_code == expect, (arguments, result)
        return result


class RcloneTest(unittest.TestCase):

    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory(prefix="hf-")))
        self.config = self.folder / "rclone.conf"
        before = dict(os.environ)
        self.addCleanup(lambda: (os.environ.clear(), os.environ.update(before)))
        os.environ["RCLONE_CONFIG"] = str(self.config)
        # What others of this machine have set up is not used.
        os.environ.pop("SSH_AUTH_SOCK", None)

    # --- Servers of a folder, and what its place is called

    def serve(self, server):
        """Starts it, and makes it the remote."""
        self.enterContext(server)
        self.config.write_text(server.rclone_config(REMOTE))
        os.chmod(self.config, 0o600)
        return server

    @staticmethod
    def place(server, name="holdfast"):
        """Where rclone finds `name`, which is below the folder that is served."""
        top = f"{server.SHARE}/" if isinstance(server, shares.Samba) else ""
        return f"rclone:{REMOTE}:{top}{name}"

    def start_instance(self, url):
        return self.enterContext(RemoteInstance(url)).start()

    def init(self, url, **environment):
        """What an init that is to fail says."""
        result = harness.Result(subprocess.run(
            [harness.HOLDFAST_PROGRAM, "init", "--directory", self.folder / "refused",
             "--destination", url], capture_output=True, check=False,
            env={**os.environ, **environment}, timeout=harness.DEADLINE_SECONDS))
        self.assertFalse((self.folder / "refused" / "holdfast.toml").exists())
        return result

    def assert_backup_fails(self, instance, *words):
        result = instance.holdfast("backup", "now", expect=None)
        self.assertNotEqual(result.exit_code, harness.EXIT_OK, result)
        for word in words:
            self.assertIn(word, result.stderr)
        # The caller is told before the run has tidied up.
        with instance.backup_agent() as agent:
            for _ in agent.WatchRun(harness.agent_pb2.WatchRunRequest(
                    run_id=instance.runs()[0].run_id), timeout=harness.DEADLINE_SECONDS):
                pass

    def assert_no_leftovers(self, served):
        self.assertEqual([str(path) for path in served.rglob(".tmp-*")], [])

    # --- The main job

    def test_what_is_backed_up_is_restored(self):
        for kind in KINDS:
            with self.subTest(server=kind.__name__):
                served = self.folder / kind.__name__
                server = self.serve(kind(served))
                url = self.place(server)
                instance = self.start_instance(url)
                self.assertIn("made the directory", instance.init_result.stdout.decode())
                fill(instance, 8)
                first_state = instance.export()
                first = instance.backup_now()
                instance.holdfast("doc", "put", "users", "ada", stdin=b'{"name": "Ada"}')
                second_state = instance.export()
                second = instance.backup_now()

                listed = instance.holdfast("backup", "list", "--from", url, "--json").json
                self.assertEqual([backup["backup_id"] for backup in listed["backups"]],
                                 [second, first])
                checked = instance.holdfast("check", "--from", url, "--read-data")
                self.assertIn(b"all is well", checked.stdout)
                for backup_id, state in ((first, first_state), (second, second_state)):
                    target = instance.root / f"restored-{backup_id}"
                    instance.restore(target, "--backup", backup_id)
                    with instance.serving(target) as restored:
                        self.assertEqual(restored.export(), state)
                self.assert_no_leftovers(served)

                # What is damaged there is named.
                victim = next(path for path in served.glob("holdfast/stores/*/objects/*/*")
                              if path.stat().st_size > 1 << 20)
                with open(victim, "r+b") as file:
                    file.truncate(1 << 20)
                damaged = instance.holdfast("check", "--from", url, expect=harness.EXIT_DAMAGED)
                self.assertIn(victim.name, damaged.stdout.decode() + damaged.stderr)
                # It is sent again.
                third = instance.backup_now()
                instance.restore(instance.root / "third", "--backup", third)

    def test_a_destination_is_added_to_the_settings(self):
        server = self.serve(shares.Sshd(self.folder / "served"))
        url = self.place(server)
        with harness.Instance() as instance:
            instance.start()
            add = ("settings", "set", "--add-destination", f"{REMOTE}={url}")
            refused = instance.holdfast(*add, expect=harness.EXIT_REFUSED)
            self.assertIn(f"{url} does not exist", refused.stderr)
            (self.folder / "served" / "holdfast").mkdir()
            instance.holdfast(*add)
            self.assertIn(url.encode(), instance.holdfast("settings", "show").stdout)
            backup_id = instance.backup_now()
            result = instance.run(harness.HOLDFAST_PROGRAM, "restore", "--from", url, "--key",
                                  instance.key_file, "--to", instance.root / "restored")
            self.assertEqual(result.exit_code, harness.EXIT_OK, result)
            self.assertIn(backup_id, result.stdout.decode() + result.stderr)

    # --- Servers that fail

    def test_a_server_that_was_gone_is_used_again(self):
        for kind in KINDS:
            with self.subTest(server=kind.__name__):
                server = self.serve(kind(self.folder / kind.__name__))
                url = self.place(server)
                instance = self.start_instance(url)
                first = instance.backup_now()
                server.kill()
                self.assert_backup_fails(instance, url, "connection refused")
                unreachable = instance.holdfast("backup", "list", "--from", url,
                                                expect=harness.EXIT_UNREACHABLE)
                self.assertIn("connection refused", unreachable.stderr)
                server.start()
                second = instance.backup_now()
                instance.restore(instance.root / "restored")
                self.assertNotEqual(first, second)

    def test_a_server_that_hangs_holds_up_neither_status_nor_exit(self):
        server = self.serve(shares.Sshd(self.folder / "served"))
        instance = self.start_instance(self.place(server))
        instance.backup_now()
        server.stop_signal()
        self.addCleanup(server.cont_signal)
        trigger = subprocess.Popen(
            [harness.HOLDFAST_PROGRAM, "--config", instance.config, "backup", "now"],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        rclone = self.await_child(instance.agent.popen.pid, "rclone")
        instance.holdfast("status")
        self.assertEqual(instance.agent.stop(), 0)
        self.assert_ends(rclone)
        trigger.communicate()
        server.cont_signal()
        instance.start_agent()
        instance.backup_now()

        # And who waits is told.
        server.stop_signal()
        self.assert_backup_fails(instance, "no answer from rclone")

    def test_rclone_dies_with_an_agent_that_is_killed(self):
        server = self.serve(shares.Sshd(self.folder / "served"))
        instance = self.start_instance(self.place(server))
        fill(instance, 8)
        server.stop_signal()
        self.addCleanup(server.cont_signal)
        trigger = subprocess.Popen(
            [harness.HOLDFAST_PROGRAM, "--config", instance.config, "backup", "now"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        rclone = self.await_child(instance.agent.popen.pid, "rclone")
        instance.agent.kill()
        self.assert_ends(rclone)
        trigger.wait(harness.DEADLINE_SECONDS)
        server.cont_signal()
        instance.start_agent()
        instance.backup_now()
        instance.restore(instance.root / "restored")

    def await_child(self, parent, name):
        """Returns a descriptor of the child of that name, once there is one."""
        while True:
            for pid in shares.process_tree(parent)[1:]:
                try:
                    descriptor = os.pidfd_open(pid)
                except ProcessLookupError:
                    continue
                self.addCleanup(os.close, descriptor)
                try:
                    if pathlib.Path(f"/proc/{pid}/comm").read_text().strip() == name:
                        return descriptor
                except OSError:
                    pass

    def assert_ends(self, descriptor):
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        self.assertTrue(poll.poll(harness.DEADLINE_SECONDS * 1000), "it lives on")

    def test_a_full_disk_is_said_to_be_full(self):
        for kind in KINDS:
            with self.subTest(server=kind.__name__):
                served = self.folder / kind.__name__
                disk = self.enterContext(shares.Tmpfs(served, 4))
                server = self.serve(kind(served))
                instance = self.start_instance(self.place(server))
                instance.backup_now()
                fill(instance, 16)
                self.assert_backup_fails(
                    instance, "no space left" if kind is shares.Sshd else "disk was full")
                self.assert_no_leftovers(served)
                disk.resize(200)
                instance.backup_now()
                instance.restore(instance.root / "restored")

    def test_a_share_that_cannot_be_written_to_is_said_to_be_so(self):
        for kind in KINDS:
            with self.subTest(server=kind.__name__):
                served = self.folder / kind.__name__
                server = self.serve(kind(served))
                instance = self.start_instance(self.place(server))
                backup_id = instance.backup_now()
                server.become_read_only()
                self.assert_backup_fails(instance, "permission denied")
                # What is there can be used.
                instance.restore(instance.root / "restored", "--backup", backup_id)
                refused = self.init(self.place(server, "another"))
                self.assertIn("permission denied", refused.stderr)
                self.assertEqual(refused.exit_code, harness.EXIT_OTHER, refused)

    def test_a_disk_that_is_no_longer_mounted_on_the_server_is_not_written_past(self):
        served = self.folder / "served"
        mount_point = served / "disk"
        with shares.Tmpfs(mount_point, 64) as disk:
            for name, place in (("at its top", "disk"), ("in a folder", "disk/holdfast")):
                with self.subTest(name):
                    server = self.serve(shares.Sshd(served))
                    instance = self.start_instance(self.place(server, place))
                    instance.backup_now()
                    disk.unmount()
                    self.assert_backup_fails(instance, "seems not to be mounted")
                    self.assertEqual(list(mount_point.iterdir()), [])
                    disk.mount()

    # --- What is set up wrongly

    def test_what_has_to_be_set_up_first_is_said(self):
        server = self.serve(shares.Samba(self.folder / "served"))
        url = self.place(server)

        unknown = self.init("rclone:unknown:x")
        self.assertIn("rclone's configuration has no remote unknown", unknown.stderr)
        self.assertEqual(unknown.exit_code, harness.EXIT_REFUSED)

        absent = self.init(url, PATH=str(self.folder))
        self.assertIn("install Debian's package rclone", absent.stderr)
        self.assertEqual(absent.exit_code, harness.EXIT_REFUSED)

        no_parent = self.init(self.place(server, "none/holdfast"))
        self.assertIn("neither", no_parent.stderr)
        self.assertEqual(no_parent.exit_code, harness.EXIT_NOT_FOUND)

        wrong = subprocess.run(["rclone", "obscure", "wrong"], check=True, capture_output=True,
                               text=True).stdout.strip()
        self.config.write_text("\n".join(
            f"pass = {wrong}" if line.startswith("pass") else line
            for line in self.config.read_text().splitlines()) + "\n")
        denied = self.init(url)
        self.assertIn("logon is invalid", denied.stderr)
        self.assertEqual(denied.exit_code, harness.EXIT_REFUSED)

    def test_a_password_in_a_url_is_refused_and_not_repeated(self):
        for url in ("rclone::sftp,host=nas,pass=hunter2:x", "rclone:nas,pass=hunter2:x"):
            refused = self.init(url)
            self.assertEqual(refused.exit_code, harness.EXIT_USAGE, refused)
            self.assertNotIn("hunter2", refused.stderr + refused.stdout.decode())


if __name__ == "__main__":
    harness.main()
