"""Backups are copied to another place, and mended from it, with neither store nor agent."""

import os
import pathlib
import random
import unittest

import harness


def files_below(directory):
    """The contents of all files, by their path relative to the directory."""
    return {str(path.relative_to(directory)): path.read_bytes()
            for path in sorted(directory.rglob("*")) if path.is_file()}


def shared_files(directory):
    """Those that are the same at every destination."""
    return {name: content for name, content in files_below(directory).items()
            if not name.startswith("holdfast") and "/keys/" not in name}


class CopyTest(unittest.TestCase):

    @classmethod
    def setUpClass(cls):
        cls.instance = harness.Instance().__enter__()
        cls.addClassCleanup(lambda: cls.instance.__exit__(None, None, None))
        cls.instance.start()
        cls.backups = []
        for number in range(3):
            with cls.instance.documents() as documents:
                for part in range(20):
                    documents.PutDocument(harness.documents_pb2.PutDocumentRequest(
                        collection=f"round-{number}", id=f"{part}", content=os.urandom(1 << 16),
                        media_type="application/octet-stream"))
            state = cls.instance.export()
            cls.backups.append((cls.instance.backup_now(), state))
        cls.instance.agent.stop()
        cls.instance.store.stop()
        cls.source = cls.instance.destination
        cls.whole = files_below(cls.source)
        cls.targets = 0

    def setUp(self):
        type(self).targets += 1
        self.target = self.instance.root / f"copy-{self.targets}"
        self.addCleanup(self.make_source_whole)

    def make_source_whole(self):
        for name in files_below(self.source):
            if name not in self.whole:
                (self.source / name).unlink()
        for name, content in self.whole.items():
            (self.source / name).parent.mkdir(parents=True, exist_ok=True)
            (self.source / name).write_bytes(content)

    def holdfast(self, *arguments, expect=harness.EXIT_OK):
        """With the key alone: no configuration, no service."""
        result = self.instance.run(harness.HOLDFAST_PROGRAM, "--config",
                                   self.instance.root / "none", "--key", self.instance.key_file,
                                   *arguments)
        self.assertEqual(result.exit_code, expect, (arguments, result))
        return result

    def copy(self, *arguments, expect=harness.EXIT_OK):
        return self.holdfast("copy", "--from", self.source, "--to", self.target, *arguments,
                             expect=expect)

    def check(self, place, *arguments, expect=harness.EXIT_OK):
        return self.holdfast("check", "--read-data", "--from", place, *arguments, expect=expect)

    def test_a_copy_restores_to_what_each_backup_was(self):
        self.copy(expect=harness.EXIT_REFUSED)  # a share that is not mounted looks like this
        self.assertFalse(self.target.exists())
        result = self.copy("--all", "--create", "--json").json
        self.assertEqual([(backup["backup_id"], backup["result"]) for backup in result["backups"]],
                         [(backup_id, "copied") for backup_id, _ in self.backups])
        self.assertEqual(shared_files(self.target), shared_files(self.source))
        self.assertIn("all is well: 3 backups", self.check(self.target).stdout.decode())
        for backup_id, state in self.backups:
            restored = self.instance.root / f"restored-{backup_id}"
            self.holdfast("restore", "--from", self.target, "--to", restored, "--backup", backup_id)
            with self.instance.serving(restored) as served:
                self.assertEqual(served.export(), state)
        before = files_below(self.target)
        again = self.copy("--all", "--json").json
        self.assertEqual({backup["result"] for backup in again["backups"]}, {"there_already"})
        self.assertEqual(files_below(self.target), before)

    def test_the_latest_is_copied_unless_others_are_named(self):
        self.copy("--create")
        self.copy("--backup", self.backups[0][0])
        listed = self.holdfast("backup", "list", "--from", self.target, "--json").json["backups"]
        self.assertEqual([backup["backup_id"] for backup in listed],
                         [self.backups[2][0], self.backups[0][0]])
        self.check(self.target)

    def test_damage_is_mended_byte_for_byte_from_the_copy(self):
        self.copy("--all", "--create")
        rng = random.Random(11)
        objects = sorted(name for name in self.whole if "/objects/" in name)
        manifests = sorted(name for name in self.whole if "/backups/" in name)
        self.assertGreater(len(objects), 5)
        flipped, cut, removed, swapped, swapped_with = rng.sample(objects, 5)
        self.flip(flipped, rng)
        (self.source / cut).write_bytes(self.whole[cut][:-9])
        (self.source / removed).unlink()
        (self.source / swapped).write_bytes(self.whole[swapped_with])
        (self.source / swapped_with).write_bytes(self.whole[swapped])
        (self.source / manifests[0]).unlink()
        self.flip(manifests[1], rng)
        self.check(self.source, expect=harness.EXIT_DAMAGED)

        result = self.check(self.source, "--repair-from", self.target, "--json").json
        repairs = {repair["path"]: repair for repair in result["destinations"][0]["repairs"]}
        # Objects that only the backup needs whose manifest was gone come back with it.
        self.assertLessEqual(set(manifests[:2]), set(repairs))
        self.assertLessEqual(set(repairs), {flipped, cut, removed, swapped, swapped_with,
                                            *manifests[:2]})
        for repair in repairs.values():
            self.assertTrue(repair["repaired"], repair)
            self.assertEqual(repair["repaired_from"], f"file://{self.target}")
        self.assertEqual(files_below(self.source), self.whole)
        self.check(self.source)

    def test_a_damaged_key_file_is_mended(self):
        self.copy("--all", "--create")
        key_file = next(name for name in self.whole if "/keys/" in name)
        for damage in (b"", self.whole[key_file][:-1], None):
            with self.subTest(damage=damage):
                if damage is None:
                    (self.source / key_file).unlink()
                else:
                    (self.source / key_file).write_bytes(damage)
                self.check(self.source, expect=harness.EXIT_DAMAGED)
                result = self.check(self.source, "--repair-from", self.target)
                self.assertIn("repaired from", result.stdout.decode())
                self.check(self.source)
                self.make_source_whole()

    def test_what_is_damaged_at_both_is_named(self):
        self.copy("--all", "--create")
        name = next(name for name in self.whole if "/objects/" in name)
        self.flip(name, random.Random(1))
        (self.target / name).write_bytes(self.whole[name][:-1])
        result = self.check(self.source, "--repair-from", self.target,
                            expect=harness.EXIT_DAMAGED)
        self.assertIn("not repaired", result.stdout.decode())
        self.assertIn(pathlib.Path(name).name, result.stdout.decode())
        self.assertIn("1 fault that could not be repaired", result.stderr)

    def test_damage_at_the_source_is_named_and_the_rest_is_copied(self):
        only_in_last = self.only_in_last_backup()
        self.flip(only_in_last, random.Random(5))
        result = self.copy("--all", "--create", expect=harness.EXIT_DAMAGED)
        self.assertIn(only_in_last, result.stderr)
        self.assertIn("all is well: 2 backups", self.check(self.target).stdout.decode())
        self.make_source_whole()
        self.copy("--all")
        self.assertEqual(shared_files(self.target), shared_files(self.source))

    def flip(self, name, rng):
        content = bytearray(self.whole[name])
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
        (self.source / name).write_bytes(bytes(content))

    def only_in_last_backup(self):
        """An object that the last backup alone names: the newest by its time."""
        return max((name for name in self.whole if "/objects/" in name),
                   key=lambda name: pathlib.Path(name).name.split("-")[1])


if __name__ == "__main__":
    harness.main()
