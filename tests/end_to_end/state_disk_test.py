"""The disk of the agent's state is full: backups go on, and the status says so."""

import contextlib
import unittest

import harness
import shares

MEBIBYTES = 4


class StateDiskTest(unittest.TestCase):

    def test_backups_go_on_and_the_status_tells(self):
        with harness.Instance() as instance, shares.Tmpfs(
                instance.home / "agent", MEBIBYTES) as disk, contextlib.ExitStack() as processes:
            instance.start()
            processes.callback(lambda: instance.agent.kill())
            instance.backup_now()
            filler = disk.target / "filler"
            with self.assertRaises(OSError), open(filler, "wb", buffering=0) as file:
                while True:
                    file.write(b"x" * 4096)

            self.assertIn("can't save its state", self.reason_after_a_backup(instance))
            self.assertEqual(instance.agent.stop(), harness.EXIT_OK)
            instance.start_agent()
            self.assertIn("can't save its state", self.reason_after_a_backup(instance))

            filler.unlink()
            self.assertNotIn("can't save its state", self.reason_after_a_backup(instance))
            instance.agent.kill()
            instance.start_agent()
            self.assertEqual(len(instance.runs()), 3, "that before the disk was full, and the "
                             "two of the agent that could save in the end")

    def reason_after_a_backup(self, instance):
        """What the status is not content with, once a backup was taken."""
        instance.backup_now()
        return instance.holdfast("status", "--json").json["stores"][0]["reason"]


if __name__ == "__main__":
    harness.main()
