"""A destination is a mounted SMB share; some mounts say they have stored what they have not."""

import harness
import share_case
import shares


class SmbTest(share_case.ShareCase):

    def setUp(self):
        super().setUp()
        self.server = self.enterContext(shares.Samba(self.folder / "server"))

    def mount(self, *arguments, **options):
        return self.enterContext(
            self.server.mount_rclone(self.folder / "share", *arguments, **options))

    def test_a_backup_there_restores_through_the_mount(self):
        mount = self.mount()
        self.start_instance(mount.target)
        for number in range(20):
            self.put(number)
        # What the run says is there is at the server when it says so.
        self.back_up_everywhere(self.server.folder)
        self.assertEqual(self.destination()["warning"], "")
        exported = self.instance.export()
        target = self.instance.root / "restored"
        self.offline("restore", "--from", f"file://{mount.target}", "--to", target)
        with self.instance.serving(target) as restored:
            self.assertEqual(restored.export(), exported)

    def test_a_mount_that_caches_writes_is_warned_of(self):
        # It would write in an hour.
        mount = self.mount(vfs_cache_mode="writes", arguments=("--vfs-write-back", "1h"))
        self.start_instance(mount.target)
        self.assert_warned(self.instance.init_result.stderr, "--vfs-cache-mode writes")
        self.put()
        backup_id = self.instance.backup_now()
        # This is why: all is well, says the mount, and at the server are empty folders.
        self.assertEqual(self.newest_at(mount.target), backup_id)
        self.assertEqual([path for path in self.server.folder.rglob("*") if path.is_file()], [])
        self.assert_warned(self.destination()["warning"], "--vfs-cache-mode writes")
        status = self.status()
        self.assertEqual(status["verdict"], "VERDICT_DEGRADED")
        self.assertIn("destination share can't be relied on", status["reason"])
        self.assert_warned(self.instance.runs()[0].destinations[1].warning)
        self.assertEqual(self.destination("backups")["warning"], "")
        shown = self.instance.holdfast("status").stdout.decode()
        self.assertEqual(shown.count("--vfs-cache-mode writes"), 1, shown)

    def test_the_warning_comes_and_goes_with_the_mount(self):
        mount = self.mount(vfs_cache_mode="full")
        self.start_instance(self.folder / "other")
        result = self.instance.holdfast("settings", "set", "--add-destination",
                                        f"smb=file://{mount.target}")
        self.assert_warned(result.stderr, "--vfs-cache-mode full")
        self.put()
        self.instance.backup_now()
        self.assert_warned(self.destination("smb")["warning"])
        mount.vanish()
        with self.server.mount_rclone(mount.target):
            # What the cache had not sent yet is with it; the repository itself had been.
            self.instance.holdfast("settings", "set", "--remove-destination", "smb")
            result = self.instance.holdfast("settings", "set", "--add-destination",
                                            f"smb=file://{mount.target}")
            self.assertEqual(result.stderr, "")
            self.put(1)
            self.back_up_everywhere(self.server.folder)
            self.assertEqual(self.destination("smb")["warning"], "")

    def test_where_it_can_not_be_told_that_is_said(self):
        mount = self.mount(vfs_cache_mode="full", program="mounter")
        self.start_instance(mount.target)
        self.assert_warned(self.instance.init_result.stderr, "can't be told")
        self.put()
        self.instance.backup_now()
        self.assert_warned(self.destination()["warning"], "can't be told")
        self.assertNotIn("can't be relied on", self.status()["reason"])

    def assert_warned(self, text, *words):
        for word in ("is an rclone mount", "rclone:", "--vfs-cache-mode off", *words):
            self.assertIn(word, text)


if __name__ == "__main__":
    harness.main()
