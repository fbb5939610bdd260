"""Backups are proven: a drill restores one for real; damage is named, marked, and made good by the next run."""

import unittest

import harness
from kill_test import fill


class ProvingTest(unittest.TestCase):

    def test_drill_proves_a_backup_and_is_remembered(self):
        with harness.Instance() as instance:
            instance.start()
            instance.holdfast("doc", "put", "c", "a", stdin=b"1")
            backup_id = instance.backup_now()
            drill = instance.holdfast("drill", "--json").json
            self.assertEqual(drill["state"], "STATE_SUCCEEDED")
            self.assertEqual(drill["backup_id"], backup_id)
            self.assertEqual(drill["documents_done"], "1")
            status = instance.holdfast("status").stdout.decode()
            self.assertIn("proven restorable", status)
            self.assertNotIn("never proven", status)
            self.assertIn("proven restorable", instance.holdfast("backup", "list").stdout.decode())
            self.assertEqual(list((instance.home / "agent" / "scratch").rglob("*")), [],
                             "nothing of it is left")
            # Both are remembered: by the agent, and with the backup.
            instance.agent.kill()
            instance.start_agent()
            proofs = instance.holdfast("proofs", "--json").json["proofs"]
            self.assertEqual([proof["proof_id"] for proof in proofs], [drill["proof_id"]])
            listed = instance.holdfast("backup", "list", "--from", instance.destination,
                                       "--json").json["backups"]
            self.assertIn("drill_time", listed[0])
            instance.holdfast("drill", "20000101T000000.000Z-00000000",
                              expect=harness.EXIT_NOT_FOUND)
            instance.holdfast("drill", "--destination", "nowhere", expect=harness.EXIT_NOT_FOUND)

    def test_damage_is_named_and_marked_and_the_next_run_makes_it_good(self):
        with harness.Instance() as instance:
            instance.start()
            fill(instance, 40)
            first = instance.backup_now()
            instance.holdfast("doc", "put", "c", "a", stdin=b"1")
            second = instance.backup_now()
            # A table, which both use.
            path = max((instance.destination / name for name in instance.repository_files()),
                       key=lambda file: file.stat().st_size)
            content = bytearray(path.read_bytes())
            content[len(content) // 2] ^= 1
            path.write_bytes(content)

            result = instance.holdfast("drill", expect=harness.EXIT_DAMAGED)
            self.assertIn(str(path.relative_to(instance.destination)), result.stdout.decode())
            listed = instance.holdfast("backup", "list", "--json").json["backups"]
            self.assertEqual({backup["backup_id"]: backup.get("damaged_destination_names")
                              for backup in listed}, {first: ["backups"], second: ["backups"]})
            status = instance.holdfast("status", "--json").json["stores"][0]
            self.assertNotEqual(status["verdict"], "VERDICT_HEALTHY")
            self.assertIn(path.name, status["reason"])
            self.assertNotIn("last_backup", status, "none that is there can be restored")

            third = instance.backup_now()
            warning = instance.runs()[0].destinations[0].warning
            self.assertIn("1 object of ", warning)
            drill = instance.holdfast("drill", "--json").json
            self.assertEqual((drill["state"], drill["backup_id"]), ("STATE_SUCCEEDED", third))
            instance.restore(instance.root / "restored")
            with instance.serving(instance.root / "restored") as restored:
                self.assertEqual(restored.export(), instance.export())
            # The damaged object is still there, and so are the marks of the backups that need it.
            instance.holdfast("check", "--read-data", expect=harness.EXIT_DAMAGED)
            instance.restore(instance.root / "lost", "--backup", first,
                             expect=harness.EXIT_DAMAGED)

    def test_damage_is_mended_from_another_destination(self):
        with harness.Instance() as instance:
            instance.start()
            second = instance.root / "second"
            second.mkdir()
            instance.holdfast("settings", "set", "--add-destination", f"second=file://{second}")
            fill(instance, 20)
            backup_id = instance.backup_now()
            path = max((instance.destination / name for name in instance.repository_files()),
                       key=lambda file: file.stat().st_size)
            whole = path.read_bytes()
            path.write_bytes(whole[:-20])
            drill = instance.holdfast("drill", "--json", expect=harness.EXIT_DAMAGED).json
            self.assertEqual(drill["damages"][0]["repaired_from"], "second")
            self.assertEqual(path.read_bytes(), whole, "byte for byte")
            listed = instance.holdfast("backup", "list", "--json").json["backups"]
            self.assertFalse(listed[0].get("damaged_destination_names"), "it was mended in time")
            drill = instance.holdfast("drill", "--json").json
            self.assertEqual((drill["state"], drill["backup_id"]), ("STATE_SUCCEEDED", backup_id))


if __name__ == "__main__":
    harness.main()
