"""One destination of two is a share whose server hangs, in a run of the agent or for a command.

The tests wait for the limits of the agent, 30 s without a byte, and of the command line, 3 minutes
without an answer (HOLDFAST_TEST_HEAVY=1 alone does): each is a ctest entry of its own, so that they
run side by side.
"""

import os
import signal
import subprocess
import time
import unittest

import harness
import share_case
import shares
from harness import agent_pb2

# What a run may take at most where a destination hangs: its limit of 30 s, and the rest.
RUN_SECONDS_MAX = 50
STATUS_SECONDS_MAX = 1
STOP_SECONDS_MAX = 10
LATER_RUN_SECONDS_MAX = 10

# What a command may take after a signal.
COMMAND_END_SECONDS_MAX = 5


class HangCase(share_case.ShareCase):

    # When sshfs gives a server up that hangs: three times that.
    server_alive_interval = 15

    def setUp(self):
        super().setUp()
        self.server = self.enterContext(shares.Sshd(self.folder / "server"))
        mount = self.enterContext(
            self.server.mount_sshfs(self.folder / "share", self.server_alive_interval))
        self.start_instance(mount.target)
        self.addCleanup(self.server.cont_signal)

    def hosts(self):
        """The processes that work on the share, or are to make it."""
        return (shares.processes_with(str(self.folder / "share"), "--host-destination") +
                shares.processes_with(str(self.folder / "share"), "--make-destination"))


class HangTest(HangCase):

    # --- Parts

    def status(self):
        """The status, which must come at once whatever hangs."""
        begin = time.monotonic()
        status = super().status()
        self.assertLess(time.monotonic() - begin, STATUS_SECONDS_MAX)
        return status

    def hang_in_mid_run(self):
        trigger = self.begin_run(self.server.folder)
        self.server.stop_signal()
        self.assertTrue(self.hosts())
        return trigger

    def watch(self, trigger):
        """Asks for the status until the run has ended."""
        begin = time.monotonic()
        while self.status().get("current_run") or trigger.is_alive():
            self.assertLess(time.monotonic() - begin, RUN_SECONDS_MAX)
            trigger.join(0.3)
        print(f"the run ended after {time.monotonic() - begin:.1f} s")

    def stop_agent(self):
        self.gone_in_time(lambda: self.assertEqual(self.instance.agent.stop(), harness.EXIT_OK,
                                                   self.instance.agent.log()))

    def gone_in_time(self, end_agent):
        begin = time.monotonic()
        end_agent()
        took = time.monotonic() - begin
        print(f"the agent was gone after {took:.1f} s")
        self.assertLess(took, STOP_SECONDS_MAX)

    def go_on(self):
        """The server answers again; nothing else is done for the share."""
        self.server.cont_signal()
        self.catch_up(self.server.folder)
        self.instance.holdfast("check", "--read-data")
        # Nothing is left of what was stuck, of any agent, nor of what has worked since.
        begin = time.monotonic()
        while self.hosts() or len(shares.process_tree(self.instance.agent.popen.pid)) > 1:
            self.assertLess(time.monotonic() - begin, harness.DEADLINE_SECONDS)

    # --- Tests

    def test_one_is_required(self):
        self.instance.holdfast("settings", "set", "--required", "1")
        trigger = self.hang_in_mid_run()
        self.watch(trigger)
        self.assertEqual(trigger.result.exit_code, harness.EXIT_OK, trigger.result)
        backup = trigger.result.json["backup"]
        self.assertEqual(backup["destination_names"], ["backups"])
        self.assertEqual(self.newest_at(self.instance.destination), backup["backup_id"])
        status = self.status()
        self.assertEqual(status["verdict"], "VERDICT_DEGRADED")
        self.assertIn("unresponsive", status["reason"])
        share = self.destination("share")
        self.assertEqual(share["consecutive_failures"], 1)
        self.assertIn("unresponsive", share["last_error"])

        # Later runs do not wait for it again.
        begin = time.monotonic()
        self.instance.backup_now()
        self.assertLess(time.monotonic() - begin, LATER_RUN_SECONDS_MAX)
        self.assertIn("unresponsive", self.destination("share")["last_error"])

        self.stop_agent()
        self.instance.start_agent()  # although a call of the one before is stuck still
        self.status()
        self.instance.holdfast("settings", "set", "--required", "2")
        self.go_on()

    def test_both_are_required(self):
        trigger = self.hang_in_mid_run()
        self.watch(trigger)
        # The run has failed, for two must hold it; but the place that works has its backup.
        self.assert_backup_failed(trigger.result, "unresponsive")
        run = self.instance.runs()[0]
        self.assertEqual(run.state, agent_pb2.Run.STATE_FAILED)
        self.assertEqual([result.state for result in run.destinations],
                         [agent_pb2.DestinationResult.STATE_SUCCEEDED,
                          agent_pb2.DestinationResult.STATE_FAILED])
        status = self.status()
        self.assertEqual(status["verdict"], "VERDICT_FAILING")
        self.assertIn("unresponsive", status["reason"])
        self.assertEqual(self.destination("backups")["consecutive_failures"], 0)
        self.go_on()
        self.assertEqual(self.status()["verdict"], "VERDICT_DEGRADED")  # the key is not confirmed

    def test_the_agent_is_stopped_meanwhile(self):
        trigger = self.hang_in_mid_run()
        self.status()
        self.stop_agent()
        trigger.join()
        self.instance.start_agent()
        self.status()
        self.stop_agent()  # while it lists what is at the share
        self.instance.start_agent()
        self.go_on()

    def test_the_agent_is_killed_meanwhile(self):
        trigger = self.hang_in_mid_run()
        self.gone_in_time(self.instance.agent.kill)
        trigger.join()
        self.instance.start_agent()
        self.status()
        self.go_on()


class CommandTest(HangCase):
    """The command line has nobody who gives the share up for it."""

    server_alive_interval = 1000

    def setUp(self):
        super().setUp()
        self.put()
        self.instance.backup_now()
        self.instance.agent.stop()
        self.server.stop_signal()

    def begin(self, *arguments):
        command = self.enterContext(
            subprocess.Popen([harness.HOLDFAST_PROGRAM, *arguments], stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE))
        self.addCleanup(command.kill)
        return command

    def await_stuck(self, command):
        """Returns once a host of the command waits for the share."""
        begin = time.monotonic()
        while not any(map(shares.waits_for_a_mount, shares.process_tree(command.pid)[1:])):
            self.assertLess(time.monotonic() - begin, harness.DEADLINE_SECONDS)

    def test_a_command_can_be_ended(self):
        config = ("--config", self.instance.config)
        commands = [
            ("check", *config),
            ("backup", "list", "--from", "share", *config),
            ("restore", "--from", "share", "--to", self.folder / "target", *config),
            ("copy", "--from", "backups", "--to", "share", *config),
            ("init", "--directory", self.folder / "home", "--destination",
             f"new={self.folder}/share/new"),
        ]
        for arguments in commands:
            command = self.begin(*arguments)
            if arguments[0] == "check":  # that of the other destination is shown at once
                self.assertIn(b"all is well", command.stdout.readline())
            self.await_stuck(command)
            begin = time.monotonic()
            command.send_signal(signal.SIGTERM)
            _, error = command.communicate(timeout=harness.DEADLINE_SECONDS)
            took = time.monotonic() - begin
            print(f"{arguments[0]} had ended after {took:.1f} s")
            self.assertEqual(command.returncode, harness.EXIT_INTERRUPTED, error)
            self.assertLess(took, COMMAND_END_SECONDS_MAX)
        self.server.cont_signal()
        begin = time.monotonic()
        while self.hosts():
            self.assertLess(time.monotonic() - begin, harness.DEADLINE_SECONDS)

    @unittest.skipUnless(os.environ.get("HOLDFAST_TEST_HEAVY"), "waits for 3 minutes")
    def test_a_command_gives_up(self):
        result = self.instance.holdfast("check", expect=harness.EXIT_UNREACHABLE)
        self.assertIn(b"all is well", result.stdout)
        self.assertIn(f"holdfast: share (file://{self.folder}/share): ", result.stderr)
        self.assertIn("does not answer", result.stderr)


if __name__ == "__main__":
    harness.main()
