"""A destination fills up or may not be written to: the run says so, and goes on once it can."""

import harness
import share_case
import shares
from kill_test import fill


class RefuseTest(share_case.ShareCase):

    def test_it_is_full_in_the_middle_of_a_run(self):
        with shares.Tmpfs(self.folder / "small", 16) as disk:
            self.start_instance(disk.target)
            self.put()
            first = self.back_up_everywhere(disk.target)
            fill(self.instance, 32)
            self.fail_to_back_up("No space left on device")
            # Nothing that is half written is there, nor in the way.
            self.assertEqual(list(disk.target.rglob(".tmp-*")), [])
            self.assertEqual(self.newest_at(disk.target), first)
            self.check_whole(disk.target)
            disk.resize(96)
            self.catch_up(disk.target)

    def test_it_is_mounted_read_only(self):
        with shares.Tmpfs(self.folder / "small", 16) as disk:
            self.start_instance(disk.target)
            self.put()
            first = self.back_up_everywhere(disk.target)
            disk.set_read_only(True)
            self.put(1)
            self.fail_to_back_up("Read-only file system", "mounted for writing")
            self.assertEqual(self.newest_at(disk.target), first)
            disk.set_read_only(False)
            self.catch_up(disk.target)

    def test_its_server_allows_no_writing(self):
        with shares.Sshd(self.folder / "server") as server:
            with server.mount_sshfs(self.folder / "share") as mount:
                self.start_instance(mount.target)
                self.put()
                self.back_up_everywhere(server.folder)
            with shares.Sshd(server.folder, read_only=True) as strict:
                with strict.mount_sshfs(self.folder / "share") as mount:
                    self.put(1)
                    self.fail_to_back_up("Permission denied", "allowed to write")
                    # What is there can be read all the same.
                    self.check_whole(mount.target)
            with server.mount_sshfs(self.folder / "share"):
                self.catch_up(server.folder)


if __name__ == "__main__":
    harness.main()
