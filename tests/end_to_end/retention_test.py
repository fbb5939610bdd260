"""Old backups go by the rule, can be seen coming, and what is kept restores."""

import unittest

import harness


class RetentionTest(unittest.TestCase):

    def test_only_what_retention_keeps_stays_listed(self):
        with harness.Instance() as instance:
            instance.start()
            backups = []
            for number in range(4):
                instance.holdfast("doc", "put", "c", "a", stdin=str(number).encode())
                backups.append(instance.backup_now())
            # All of today by default.
            dry = instance.holdfast("prune", "--dry-run", "--json").json
            self.assertEqual([decision["backup_id"] for decision in
                              dry["destinations"][0]["decisions"] if decision.get("kept")],
                             backups[::-1])
            instance.holdfast("settings", "set", "--keep-within", "0", "--keep-daily", "0",
                              "--keep-weekly", "0", "--keep-monthly", "0", "--keep-yearly", "0",
                              "--keep-last", "2")
            self.assertIn(f"delete  {backups[0]}  no rule keeps it",
                          instance.holdfast("prune", "--dry-run").stdout.decode())
            self.assertEqual(len(self.listed(instance)), 4, "nothing was deleted yet")
            instance.holdfast("prune")
            self.assertEqual(self.listed(instance), backups[:1:-1])
            instance.holdfast("check", "--read-data")
            instance.restore(instance.root / "kept", "--backup", backups[2])
            # A deleted backup can still be restored by its id for a week.
            instance.restore(instance.root / "deleted", "--backup", backups[0])
            with instance.serving(instance.root / "deleted") as restored:
                self.assertEqual(restored.holdfast("doc", "get", "c", "a").stdout, b"0")

    def test_pins_and_what_was_deleted_can_be_taken_back(self):
        with harness.Instance() as instance:
            instance.start()
            instance.holdfast("doc", "put", "c", "a", stdin=b"1")
            backups = [instance.backup_now() for _ in range(3)]
            instance.holdfast("backup", "pin", backups[0])
            self.assertIn("pinned", instance.holdfast("backup", "list").stdout.decode())
            instance.holdfast("backup", "delete", backups[0], expect=harness.EXIT_REFUSED)
            instance.holdfast("backup", "delete", backups[2], expect=harness.EXIT_REFUSED)
            instance.holdfast("backup", "delete", backups[1])
            self.assertEqual(self.listed(instance), [backups[2], backups[0]])
            deleted = instance.holdfast("backup", "list", "--deleted", "--json").json["backups"]
            self.assertEqual([backup["backup_id"] for backup in deleted], [backups[1]])
            instance.holdfast("backup", "undelete", backups[1])
            self.assertEqual(self.listed(instance), backups[::-1])
            instance.holdfast("backup", "undelete", backups[1], expect=harness.EXIT_REFUSED)
            # Retention keeps what is pinned.
            instance.holdfast("settings", "set", "--keep-within", "0", "--keep-daily", "0",
                              "--keep-weekly", "0", "--keep-monthly", "0", "--keep-yearly", "0",
                              "--keep-last", "1")
            instance.holdfast("prune")
            self.assertEqual(self.listed(instance), [backups[2], backups[0]])
            instance.holdfast("backup", "unpin", backups[0])
            instance.holdfast("prune")
            self.assertEqual(self.listed(instance), [backups[2]])

    def listed(self, instance):
        """The ids of the backups at the destination, newest first."""
        return [backup["backup_id"] for backup in
                instance.holdfast("backup", "list", "--from", instance.destination,
                                  "--json").json["backups"]]


if __name__ == "__main__":
    harness.main()
