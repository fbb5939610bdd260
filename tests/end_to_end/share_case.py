"""What the tests of network shares share: an instance with one destination here and one on a share.

The destinations are called `backups` (a directory) and `share`; unless a test says otherwise both
must hold a backup. What is at a destination is looked up where the server keeps it, not through a
mount.
"""

import pathlib
import tempfile
import threading
import time
import unittest

import harness
from kill_test import fill


class ShareCase(unittest.TestCase):

    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory(prefix="hf-")))
        self.instance = None

    def start_instance(self, share, *init_arguments):
        """Starts an instance with the directory `share` as its second destination."""
        self.instance = self.enterContext(
            harness.Instance("--destination", f"share=file://{share}", *init_arguments))
        return self.instance.start()

    # --- What the agent says

    def status(self):
        return self.instance.holdfast("status", "--json").json["stores"][0]

    def destination(self, name="share"):
        return next(each for each in self.status()["destinations"]
                    if each["destination_name"] == name)

    def put(self, number=0):
        """Writes something, so that a backup has something new."""
        self.instance.holdfast("doc", "put", "c", str(number), stdin=b"{}")

    def fail_to_back_up(self, *words):
        """Takes a backup that only the directory gets; the error must say why."""
        result = self.instance.holdfast("backup", "now", "--json", expect=None)
        self.assert_backup_failed(result, *words)
        return result

    def assert_backup_failed(self, result, *words):
        self.assertNotEqual(result.exit_code, harness.EXIT_OK, result)
        self.await_run_end()
        run = self.instance.runs()[0]
        for word in ("share: ", *words):
            self.assertIn(word, result.stderr)
            self.assertIn(word, run.error)
        share = self.destination()
        for word in words:
            self.assertIn(word, share["last_error"])
        self.assertEqual(self.newest_at(self.instance.destination), run.backup_id,
                         "the other destination has its backup")

    def await_run_end(self):
        """A caller is told that his backup can't succeed before the run has ended."""
        with self.instance.backup_agent() as agent:
            for _ in agent.WatchRun(harness.agent_pb2.WatchRunRequest(
                    run_id=self.instance.runs()[0].run_id), timeout=harness.DEADLINE_SECONDS):
                pass

    # --- What is where

    def newest_at(self, folder):
        """The newest backup in a repository, by the command line alone."""
        return self.offline("backup", "list", "--json", "--from",
                            f"file://{folder}").json["backups"][0]["backup_id"]

    def check_whole(self, folder):
        """Reads and proves every byte of a repository."""
        self.offline("check", "--read-data", "--destination", f"file://{folder}")

    def offline(self, *arguments):
        result = self.instance.run(harness.HOLDFAST_PROGRAM, *arguments, "--key",
                                   self.instance.key_file)
        self.assertEqual(result.exit_code, harness.EXIT_OK, result)
        return result

    def back_up_everywhere(self, *folders):
        """Takes a backup, which these folders and the directory must hold whole."""
        backup_id = self.instance.backup_now()
        for folder in (self.instance.destination, *folders):
            self.assertEqual(self.newest_at(folder), backup_id)
            self.check_whole(folder)
        return backup_id

    def catch_up(self, *folders):
        """As back_up_everywhere, when the share is back: at once, or as soon as it answers."""
        begin = time.monotonic()
        while self.instance.holdfast("backup", "now", expect=None).exit_code != harness.EXIT_OK:
            self.assertLess(time.monotonic() - begin, harness.DEADLINE_SECONDS, self.status())
        print(f"caught up after {time.monotonic() - begin:.1f} s")
        share = self.destination()
        self.assertEqual((share["consecutive_failures"], share["last_error"]), (0, ""))
        return self.back_up_everywhere(*folders)

    def assert_empty(self, folder):
        self.assertEqual([str(path) for path in folder.rglob("*")], [])

    # --- In the middle of a run

    def begin_run(self, server_folder, mebibytes=48):
        """Fills the store, starts a run, and returns it once an object is half at the server."""
        fill(self.instance, mebibytes)
        trigger = Trigger(self.instance)
        while not any(size > 4 << 20 for size in _sizes_of_temporary_files(server_folder)):
            self.assertTrue(trigger.is_alive(), trigger.result)
        return trigger


class Trigger(threading.Thread):
    """`holdfast backup now` in the background."""

    def __init__(self, instance):
        super().__init__(daemon=True)
        self._instance = instance
        self.result = None
        self.start()

    def run(self):
        self.result = self._instance.holdfast("backup", "now", "--json", expect=None)

    def outcome(self):
        """What the command left, once it has ended."""
        self.join()
        return self.result


def _sizes_of_temporary_files(folder):
    for path in folder.rglob(".tmp-*"):
        try:
            yield path.stat().st_size
        except FileNotFoundError:
            pass
