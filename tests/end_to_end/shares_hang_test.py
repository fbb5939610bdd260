"""One destination of two is a share whose server hangs in the middle of a run.

The tests wait for the agent's own limit, 30 s without a byte: each is a ctest entry of its own, so
that they run side by side.
"""

import time

import harness
import share_case
import shares
from harness import agent_pb2

# What a run may take at most where a destination hangs: its limit of 30 s, and the rest.
RUN_SECONDS_MAX = 50
STATUS_SECONDS_MAX = 1
STOP_SECONDS_MAX = 10
LATER_RUN_SECONDS_MAX = 10


class HangTest(share_case.ShareCase):

    def setUp(self):
        super().setUp()
        self.server = self.enterContext(shares.Sshd(self.folder / "server"))
        mount = self.enterContext(self.server.mount_sshfs(self.folder / "share"))
        self.start_instance(mount.target)
        self.addCleanup(self.server.cont_signal)

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
        self.assertTrue(
            shares.processes_with(str(self.folder / "share"), "--host-destination"))
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
        while shares.processes_with(str(self.folder / "share"), "--host-destination") or len(
                shares.process_tree(self.instance.agent.popen.pid)) > 1:
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


if __name__ == "__main__":
    harness.main()
