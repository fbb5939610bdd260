"""Damage at the destination is found by check and by restore, told apart, and named."""

import pathlib
import random
import unittest

import harness


class DamageTest(unittest.TestCase):

    @classmethod
    def setUpClass(cls):
        cls.instance = harness.Instance().__enter__()
        cls.addClassCleanup(lambda: cls.instance.__exit__(None, None, None))
        cls.instance.start()
        for number in range(20):
            cls.instance.holdfast("doc", "put", "things", f"{number}",
                                  stdin=b'{"n": %d}' % number)
        cls.backup_id = cls.instance.backup_now()
        cls.instance.agent.stop()
        cls.instance.store.stop()
        cls.files = cls.instance.repository_files()
        cls.targets = 0

    def path(self, kind):
        """The one file of a kind that the backup needs."""
        return next(self.instance.destination / name for name in self.files if kind in name)

    def damaged(self, path, content):
        """Replaces the file for the length of one test."""
        original = path.read_bytes()
        self.addCleanup(path.write_bytes, original)
        path.write_bytes(content)

    def restore_fails(self, code, *words):
        type(self).targets += 1
        target = self.instance.root / f"target-{self.targets}"
        result = self.instance.restore(target, expect=None)
        self.assertEqual(result.exit_code, code, result)
        for word in words:
            self.assertIn(word, result.stderr)
        self.assertFalse((target / "state").exists())
        return result

    def check_fails(self, *words):
        result = self.instance.run(harness.HOLDFAST_PROGRAM, "check", "--read-data",
                                   "--destination", f"file://{self.instance.destination}",
                                   "--key", self.instance.key_file)
        self.assertEqual(result.exit_code, harness.EXIT_DAMAGED, result)
        for word in words:
            self.assertIn(word, result.stdout.decode() + result.stderr)

    def both_fail(self, *words):
        self.check_fails(*words)
        self.restore_fails(harness.EXIT_DAMAGED, *words)

    def test_flipped(self):
        for kind in ("/objects/", "/backups/"):
            path = self.path(kind)
            content = bytearray(path.read_bytes())
            content[len(content) // 2 + 64] ^= 1
            self.damaged(path, bytes(content))
            self.both_fail(path.name, "damaged")
            self.doCleanups()

    def test_cut(self):
        for kind in ("/objects/", "/backups/"):
            path = self.path(kind)
            self.damaged(path, path.read_bytes()[:-7])
            self.both_fail(path.name, "cut short")
            self.doCleanups()

    def test_missing(self):
        path = self.path("/objects/")
        self.addCleanup(path.write_bytes, path.read_bytes())
        path.unlink()
        self.both_fail(path.name, "missing")

    def test_swapped(self):
        paths = [self.instance.destination / name for name in self.files if "/objects/" in name]
        self.assertGreater(len(paths), 1)
        first, second = paths[0].read_bytes(), paths[1].read_bytes()
        self.damaged(paths[0], second)
        self.damaged(paths[1], first)
        self.both_fail(paths[0].name, paths[1].name, "swapped")

    def test_renamed(self):
        path = self.path("/objects/")
        renamed = path.with_name(path.name[:-8] + "00000000")
        path.rename(renamed)
        self.addCleanup(renamed.rename, path)
        self.both_fail(path.name)

    def test_wrong_key_is_no_damage(self):
        other = self.instance.root / "other.key"
        with harness.Instance() as stranger:
            other.write_bytes(stranger.key_file.read_bytes())
        other.chmod(0o600)
        self.addCleanup(other.unlink)
        target = self.instance.root / "never-made"
        result = self.instance.restore(target, key=other, expect=harness.EXIT_WRONG_KEY)
        self.assertIn("key", result.stderr)
        self.assertFalse(target.exists())

    def test_one_byte_flipped_anywhere(self):
        rng = random.Random(7)
        tried = 0
        for name in self.files:
            if "/" not in name:
                continue  # what tells that this is a repository: there are two, see below
            path = pathlib.Path(self.instance.destination, name)
            original = path.read_bytes()
            offsets = set(rng.sample(range(len(original)), min(12, len(original))))
            offsets |= {0, 9, 15, 40, 100, 127, len(original) - 1} & set(range(len(original)))
            for offset in sorted(offsets):
                content = bytearray(original)
                content[offset] ^= 1 << rng.randrange(8)
                path.write_bytes(bytes(content))
                try:
                    with self.subTest(file=name, offset=offset):
                        result = self.restore_fails_somehow()
                        self.assertIn(path.name, result.stderr)
                        tried += 1
                finally:
                    path.write_bytes(original)
        self.assertGreater(tried, 30)
        self.instance.restore(self.instance.root / "all-well")

    def test_the_file_of_the_repository_is_there_twice(self):
        for name in ("holdfast.json", "holdfast-copy.json"):
            path = self.instance.destination / name
            for content in (b"", path.read_bytes()[:-9]):
                self.damaged(path, content)
                self.check_fails(name)
                type(self).targets += 1
                self.instance.restore(self.instance.root / f"target-{self.targets}")
                self.doCleanups()

    def restore_fails_somehow(self):
        type(self).targets += 1
        target = self.instance.root / f"target-{self.targets}"
        result = self.instance.restore(target, expect=None)
        self.assertNotEqual(result.exit_code, harness.EXIT_OK, result)
        self.assertFalse((target / "state").exists())
        return result


if __name__ == "__main__":
    harness.main()
