"""A destination is a share that is not mounted, goes in the middle of a run, or loses its server.

Not a byte may go to the local disk at the mount point, and all goes on once the share is back.
"""

import harness
import share_case
import shares

NOT_MOUNTED = "seems not to be mounted"


class AwayTest(share_case.ShareCase):

    def setUp(self):
        super().setUp()
        self.server = self.enterContext(shares.Sshd(self.folder / "server"))
        self.mount = self.enterContext(self.server.mount_sshfs(self.folder / "share"))
        self.start_instance(self.mount.target)
        self.put()
        self.back_up_everywhere(self.server.folder)

    def come_back(self):
        if not shares.is_mounted(self.mount.target):
            self.assert_empty(self.mount.target)
        self.mount.vanish()
        self.mount.mount()
        self.catch_up(self.server.folder)

    def test_it_is_not_mounted_when_a_run_begins(self):
        self.mount.vanish()
        self.put(1)
        self.fail_to_back_up(NOT_MOUNTED)
        self.assert_empty(self.mount.target)
        # The agent starts without it, too.
        self.assertEqual(self.instance.agent.stop(), harness.EXIT_OK)
        self.instance.start_agent()
        self.fail_to_back_up(NOT_MOUNTED)
        self.come_back()

    def test_not_even_its_mount_point_is_there(self):
        self.mount.vanish()
        self.mount.target.rmdir()
        self.put(1)
        self.fail_to_back_up(NOT_MOUNTED)
        self.assertFalse(self.mount.target.exists())
        self.mount.target.mkdir()
        self.come_back()

    def test_it_is_unmounted_in_the_middle_of_a_run(self):
        trigger = self.begin_run(self.server.folder)
        self.mount.lazy_unmount()
        self.assert_backup_failed(trigger.outcome(), NOT_MOUNTED)
        self.assert_empty(self.mount.target)
        self.come_back()

    def test_another_disk_is_in_its_place(self):
        trigger = self.begin_run(self.server.folder)
        with shares.Tmpfs(self.mount.target, 8):
            self.assert_backup_failed(trigger.outcome(), NOT_MOUNTED)
            self.assert_empty(self.mount.target)
            self.fail_to_back_up(NOT_MOUNTED)
            self.assert_empty(self.mount.target)
        self.come_back()

    def test_the_program_that_mounted_it_is_killed_in_the_middle_of_a_run(self):
        trigger = self.begin_run(self.server.folder)
        self.mount.process.kill()
        self.assert_backup_failed(trigger.outcome())
        self.fail_to_back_up("has ended", "mount it again")
        checked = self.instance.holdfast("check", "--from", "share",
                                         expect=harness.EXIT_UNREACHABLE)
        self.assertIn("mount it again", checked.stderr)
        self.assertNotIn("holdfast-host", checked.stderr, "it is the share that is gone")
        self.come_back()

    def test_its_server_is_killed_in_the_middle_of_a_run(self):
        trigger = self.begin_run(self.server.folder)
        self.server.kill()
        self.assert_backup_failed(trigger.outcome())
        self.fail_to_back_up()
        self.server.start()
        self.catch_up(self.server.folder)


if __name__ == "__main__":
    harness.main()
