"""A machine is lost; another one takes its store over with a share and the master key alone."""

import os
import shutil
import subprocess
import unittest

import harness


class Machine(harness.Instance):
    """A machine that nothing was installed on yet; it sees the share at a path of its own."""

    def __init__(self, share):
        super().__init__()
        self.destination = share

    def __enter__(self):
        return self

    def adopt(self, *arguments, key, expect=harness.EXIT_OK):
        result = self.run(harness.HOLDFAST_PROGRAM, "init", "--directory", self.home, "--adopt",
                          f"file://{self.destination}", *arguments, stdin=key)
        assert expect is None or result.exit_code == expect, result
        return result


def lose(machine, folder):
    """The machine is gone; what is left is the share, now mounted in `folder`, and the key."""
    key = machine.key_file.read_bytes()
    for process in (machine.agent, machine.store):
        if process:
            process.kill()
    share = folder / "mounted-here"
    shutil.move(machine.destination, share)
    shutil.rmtree(machine.home)
    return share, key


class AdoptTest(unittest.TestCase):

    def test_the_new_machine_goes_on_where_the_lost_one_stopped(self):
        with harness.Instance() as lost:
            lost.start()
            other = lost.root / "second-share"
            other.mkdir()
            lost.holdfast("settings", "set", "--interval", "6h", "--start", "02:00", "--zone",
                          "Europe/Berlin", "--keep-daily", "9", "--required", "1",
                          "--add-destination", f"second=file://{other}")
            lost.holdfast("doc", "import", "-", stdin=b"".join(
                b'{"collection":"c%d","id":"%d","content":%d}\n' % (n % 3, n, n)
                for n in range(300)))
            first = lost.backup_now()
            lost.holdfast("doc", "delete", "c0", "0")
            exported = lost.export()
            second = lost.backup_now()
            settings = lost.holdfast("settings", "show", "--json").json
            second_manifest = lost.holdfast("backup", "show", second, "--json").json
            share, key = lose(lost, lost.root)
            shutil.rmtree(other)  # lost too: that must not hinder

            with Machine(share) as machine:
                adopted = machine.adopt("--json", key=key).json
                self.assertEqual(adopted["backup_id"], second)
                self.assertEqual(adopted["data"], "restored")
                self.assertTrue(adopted["key_confirmed"])
                machine.start()
                self.assertEqual(machine.export(), exported)

                after = machine.holdfast("settings", "show", "--json").json
                for part in ("schedule", "retention", "required_destinations"):
                    self.assertEqual(after[part], settings[part], part)
                self.assertEqual([d["name"] for d in after["destinations"]],
                                 ["backups", "second"])
                self.assertEqual(after["destinations"][0]["url"], f"file://{share}")
                self.assertEqual(after["destinations"][1]["url"], f"file://{other}")
                self.assertEqual([d["repository_id"] for d in after["destinations"]],
                                 [d["repository_id"] for d in settings["destinations"]])

                third = machine.backup_now()
                shown = machine.holdfast("backup", "show", third, "--json").json
                self.assertEqual(shown["ordinal"], "3", "the chain goes on")
                self.assertEqual(shown["store_id"], second_manifest["store_id"])
                self.assertNotEqual(shown["incarnation"], second_manifest["incarnation"])
                self.assertGreater(int(shown["revision"]), int(second_manifest["revision"]))
                listed = [backup["backup_id"] for backup in machine.holdfast(
                    "backup", "list", "--json").json["backups"]]
                self.assertEqual(listed, [third, second, first], "the history is there")

                # The chain holds, link by link, and every byte of it.
                check = machine.run(harness.HOLDFAST_PROGRAM, "check", "--read-data", "--from",
                                    share, "--key", machine.key_file)
                self.assertEqual(check.exit_code, harness.EXIT_OK, check)
                status = machine.holdfast("status", "--json").json["stores"][0]
                self.assertNotIn("master key", status["reason"], "it was proven kept elsewhere")
                self.assertEqual(status["verdict"], "VERDICT_DEGRADED")
                self.assertIn("destination second", status["reason"])
                machine.holdfast("settings", "set", "--remove-destination", "second")
                machine.backup_now()
                status = machine.holdfast("status", "--json").json["stores"][0]
                self.assertEqual(status["verdict"], "VERDICT_HEALTHY", status)

    def test_a_share_that_is_set_back_after_the_adoption_is_noticed(self):
        with harness.Instance() as lost:
            lost.start()
            lost.holdfast("doc", "put", "a", "b", stdin=b"1")
            lost.backup_now()
            early = lost.root / "early-copy"
            shutil.copytree(lost.destination, early)
            lost.holdfast("doc", "put", "a", "b", stdin=b"2")
            lost.backup_now()
            share, key = lose(lost, lost.root)
            with Machine(share) as machine:
                machine.adopt(key=key)
                shutil.rmtree(share)
                shutil.move(early, share)
                machine.start()
                machine.backup_now()
                self.assertIn("gone", machine.runs()[0].destinations[0].warning)
                backup = machine.holdfast("backup", "show", "--json").json
                self.assertEqual(backup["ordinal"], "3", "never one that was given before")

    def test_it_is_safe_to_run_again_wherever_it_was_killed(self):
        with harness.Instance() as lost:
            lost.start()
            lost.holdfast("doc", "import", "-", stdin=b"".join(
                b'{"collection":"c","id":"%d","content":"%s"}\n' % (n, os.urandom(500).hex().encode())
                for n in range(3000)))
            exported = lost.export()
            lost.backup_now()
            share, key = lose(lost, lost.root)
            with Machine(share) as machine:
                command = [harness.HOLDFAST_PROGRAM, "init", "--directory", machine.home,
                           "--adopt", f"file://{share}"]
                killed = finished = 0
                delay = 0.01
                while not finished:
                    process = subprocess.Popen(command, stdin=subprocess.PIPE,
                                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
                    process.stdin.write(key)
                    process.stdin.close()
                    try:
                        process.wait(delay)
                        finished = 1
                        self.assertEqual(process.returncode, harness.EXIT_OK,
                                         process.stderr.read())
                    except subprocess.TimeoutExpired:
                        process.kill()
                        process.wait()
                        killed += 1
                        # Written last: where it is there, so is all else.
                        finished = machine.config.exists()
                    process.stdout.close()
                    process.stderr.close()
                    delay *= 1.25
                self.assertGreater(killed, 3)
                machine.start()
                self.assertEqual(machine.export(), exported)
                machine.backup_now()
                self.assertEqual(machine.holdfast("backup", "show", "--json").json["ordinal"], "2")

    def test_nothing_is_made_with_a_wrong_key_or_where_something_is(self):
        with harness.Instance() as lost, harness.Instance() as stranger:
            lost.start()
            lost.holdfast("doc", "put", "a", "b", stdin=b"1")
            lost.backup_now()
            share, key = lose(lost, lost.root)
            with Machine(share) as machine:
                machine.adopt(key=stranger.key_file.read_bytes(), expect=harness.EXIT_WRONG_KEY)
                self.assertFalse(machine.home.exists())
                machine.adopt(key=key)
                machine.adopt(key=key, expect=harness.EXIT_REFUSED)
                machine.start()


if __name__ == "__main__":
    harness.main()
