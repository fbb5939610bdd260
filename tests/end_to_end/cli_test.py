"""What the command line says where something is in its way: told in its own words, and with what to do."""

import os
import shutil
import signal
import socket
import subprocess
import unittest

import harness
from harness import agent_pb2


class CommandLineTest(unittest.TestCase):

    def test_knows_the_destinations_that_were_added_later(self):
        with harness.Instance() as instance:
            instance.start()
            added = instance.root / "added"
            added.mkdir()
            instance.holdfast("settings", "set", "--add-destination", f"added=file://{added}")
            backup_id = instance.backup_now()
            checked = instance.holdfast("check", "--read-data")
            self.assertIn(f"added (file://{added}): all is well", checked.stdout.decode())
            self.assertIn(f"backups (file://{instance.destination}): all is well",
                          checked.stdout.decode())
            listed = instance.holdfast("backup", "list", "--from", "added", "--json").json
            self.assertEqual(listed["backups"][0]["backup_id"], backup_id)
            instance.holdfast("restore", "--from", "added", "--to", instance.root / "restored")

            instance.agent.stop()
            checked = instance.holdfast("check")
            self.assertNotIn("added", checked.stdout.decode())
            self.assertIn("the agent can't be asked", checked.stderr)
            refused = instance.holdfast("check", "--from", "added",
                                        expect=harness.EXIT_NOT_FOUND)
            self.assertIn("the agent, whose settings may have others", refused.stderr)

    def test_the_store_tells_of_its_backups_where_the_agent_is_gone(self):
        with harness.Instance() as instance:
            instance.start()
            instance.holdfast("doc", "put", "c", "i", stdin=b"{}")
            backup_id = instance.backup_now()
            instance.agent.kill()
            status = instance.holdfast("status", expect=harness.EXIT_UNREACHABLE)
            self.assertIn("main: the store runs", status.stdout.decode())
            self.assertIn(f"{backup_id}, taken ", status.stdout.decode())
            self.assertEqual(status.stderr.splitlines()[0],
                             f"holdfast: cannot reach holdfast-agent at {instance.agent_socket}: "
                             "is it running?")
            instance.store.stop()
            status = instance.holdfast("status", expect=harness.EXIT_UNREACHABLE)
            self.assertIn("cannot reach holdfast-agent", status.stderr)
            self.assertIn("cannot reach holdfast-store", status.stderr)

    def test_says_which_of_both_services_is_gone(self):
        with harness.Instance() as instance:
            instance.start()
            instance.store.stop()
            refused = instance.holdfast("backup", "accept", expect=harness.EXIT_UNREACHABLE)
            self.assertIn(f"cannot reach holdfast-store at {instance.store_socket}: is it running?",
                          refused.stderr)
            self.assertNotIn("cannot reach holdfast-agent", refused.stderr)
            self.assertNotIn("all addresses", refused.stderr)

    def test_a_backup_whose_agent_was_killed_is_found_again_by_its_request_id(self):
        with harness.Instance() as instance:
            instance.start()
            instance.store.popen.send_signal(signal.SIGSTOP)  # so that the run waits for it
            try:
                with subprocess.Popen(
                        [harness.HOLDFAST_PROGRAM, "--config", instance.config, "backup", "now",
                         "--request-id", "deploy-7"],
                        stdout=subprocess.PIPE, stderr=subprocess.PIPE) as waiting:
                    with instance.backup_agent() as agent:
                        while not agent.GetBackupStatus(
                                agent_pb2.GetBackupStatusRequest()).stores[0].HasField(
                                    "current_run"):
                            self.assertIsNone(waiting.poll())
                    instance.agent.kill()
                    _, told = waiting.communicate(timeout=harness.DEADLINE_SECONDS)
            finally:
                instance.store.popen.send_signal(signal.SIGCONT)
            self.assertEqual(waiting.returncode, harness.EXIT_UNREACHABLE, told)
            self.assertIn("the connection to holdfast-agent", told.decode())
            self.assertIn("the same --request-id deploy-7 finds it again", told.decode())
            instance.start_agent()
            instance.holdfast("backup", "now", "--request-id", "deploy-7")

    def test_ends_quietly_where_nobody_reads_on(self):
        with harness.Instance() as instance:
            instance.start_store()
            lines = b"".join(b'{"collection":"c","id":"%d","content":"%s"}\n' % (i, b"x" * 1000)
                             for i in range(1000))
            instance.holdfast("doc", "import", stdin=lines)
            with subprocess.Popen(
                    [harness.HOLDFAST_PROGRAM, "--config", instance.config, "doc", "export"],
                    stdout=subprocess.PIPE, stderr=subprocess.PIPE) as export:
                export.stdout.readline()
                export.stdout.close()
                self.assertEqual(export.stderr.read(), b"")
                self.assertEqual(export.wait(harness.DEADLINE_SECONDS), 141)

    def test_names_the_program_for_directories_where_that_does_not_work(self):
        with harness.Instance() as instance:
            programs = instance.root / "programs"
            programs.mkdir()
            shutil.copy(harness.HOLDFAST_PROGRAM, programs / "holdfast")
            host = programs / "holdfast-host"

            def check():
                result = instance.run(programs / "holdfast", "--config", instance.config, "check")
                self.assertIn(str(host), result.stderr)
                return result

            self.assertEqual(check().exit_code, harness.EXIT_NOT_FOUND)
            shutil.copy(harness.HOST_PROGRAM, host)
            host.chmod(0o644)
            self.assertIn("install it anew", check().stderr)
            host.unlink()
            host.symlink_to("/bin/true")
            self.assertIn("install it anew", check().stderr)

    def test_the_program_for_directories_refuses_another_version(self):
        ours, theirs = socket.socketpair()
        with ours, theirs:
            host = subprocess.run(
                ["sh", "-c", f'exec "$0" "$@" 3<&{theirs.fileno()}', harness.HOST_PROGRAM,
                 "--host-destination", "/", "0.0.9"], pass_fds=[theirs.fileno()], check=False)
            theirs.close()
            said = ours.recv(4096)
        self.assertEqual(host.returncode, harness.EXIT_REFUSED)
        self.assertIn(b"started it of version 0.0.9: install both together", said)
        alone = subprocess.run([harness.HOST_PROGRAM], capture_output=True, check=False)
        self.assertEqual(alone.returncode, harness.EXIT_USAGE)
        self.assertIn(b"which start it", alone.stderr)

    def test_the_services_end_as_the_command_line_does_for_the_same_fault(self):
        with harness.Instance() as instance:
            def exit_codes(config):
                results = [instance.run(harness.STORE_PROGRAM, "--config", config),
                           instance.run(harness.AGENT_PROGRAM, "--config", config),
                           instance.run(harness.HOLDFAST_PROGRAM, "--config", config,
                                        "key", "fingerprint")]
                for result in results:
                    self.assertNotEqual(result.stderr, "")
                return [result.exit_code for result in results]

            self.assertEqual(exit_codes(instance.home / "nothing.toml"), [harness.EXIT_USAGE] * 3)
            os.chmod(instance.key_file, 0o644)
            self.assertEqual(exit_codes(instance.config), [harness.EXIT_REFUSED] * 3)
            instance.key_file.unlink()
            self.assertEqual(exit_codes(instance.config), [harness.EXIT_NOT_FOUND] * 3)


if __name__ == "__main__":
    harness.main()
