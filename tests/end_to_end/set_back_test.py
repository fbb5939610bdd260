"""A store or a destination that is not what it was is not backed up, or not used, until somebody says so."""

import shutil
import unittest

import harness


class SetBackTest(unittest.TestCase):

    def test_a_store_that_was_set_back_waits_for_the_operators_word(self):
        with harness.Instance() as instance:
            instance.start()
            instance.holdfast("doc", "put", "c", "a", stdin=b"1")
            instance.backup_now()
            instance.store.stop()
            shutil.copytree(instance.data_directory, instance.root / "snapshot")
            instance.start_store()
            instance.holdfast("doc", "put", "c", "a", stdin=b"2")
            lost = instance.backup_now()
            instance.store.stop()
            shutil.rmtree(instance.data_directory)
            shutil.copytree(instance.root / "snapshot", instance.data_directory)
            instance.start_store()

            refused = instance.holdfast("backup", "now", expect=harness.EXIT_REFUSED)
            self.assertIn("went back from revision 2 to 1", refused.stderr)
            self.assertIn("holdfast backup accept", refused.stderr)
            accepted = instance.holdfast("backup", "accept", "--json").json
            self.assertEqual(accepted["revision"], "1")
            again = instance.holdfast("backup", "accept").stdout
            self.assertIn(b"nothing to accept", again)

            # Revision 2 means another write now: the backup that was lost does not hold it.
            instance.holdfast("doc", "put", "c", "a", stdin=b"3")
            backup = instance.holdfast("backup", "now", "--min-revision", "2", "--json").json
            self.assertFalse(backup.get("already_there"))
            self.assertNotEqual(backup["backup"]["backup_id"], lost)
            instance.holdfast("check", "--read-data")
            instance.restore(instance.root / "restored")
            with instance.serving(instance.root / "restored") as restored:
                self.assertEqual(restored.holdfast("doc", "get", "c", "a").stdout, b"3")

    def test_an_empty_place_where_a_share_should_be_is_left_alone(self):
        with harness.Instance() as instance:
            instance.destination.rename(instance.root / "unmounted")
            instance.destination.mkdir()
            instance.start()
            refused = instance.holdfast("backup", "now", expect=harness.EXIT_REFUSED)
            self.assertIn("seems not to be mounted", refused.stderr)
            self.assertEqual(list(instance.destination.iterdir()), [])
            instance.destination.rmdir()
            (instance.root / "unmounted").rename(instance.destination)
            instance.backup_now()


if __name__ == "__main__":
    harness.main()
