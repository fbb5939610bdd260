"""A damaged backup is salvaged: what is called proven is what the store had, and nothing is unaccounted for."""

import base64
import collections
import json
import pathlib
import random
import shutil
import unittest

import harness

SEED = 20261125
DOCUMENTS = 20_000
COLLECTIONS = ("environments", "projects", "users")


def write(documents, changes):
    """Writes (collection, id, content) in batches; a content of None deletes."""
    pb2 = harness.documents_pb2
    for begin in range(0, len(changes), 500):
        request = pb2.WriteDocumentsRequest()
        for collection, document_id, content in changes[begin:begin + 500]:
            operation = request.writes.add()
            if content is None:
                operation.delete.collection = collection
                operation.delete.id = document_id
            else:
                operation.put.collection = collection
                operation.put.id = document_id
                operation.put.content = content
        documents.WriteDocuments(request)


def read_export(lines):
    """{(collection, id): the line} of what `doc export` prints."""
    found = {}
    for line in lines.splitlines():
        document = json.loads(line)
        found[document["collection"], document["id"]] = line
    return found


class SalvageTest(unittest.TestCase):

    @classmethod
    def setUpClass(cls):
        cls.rng = random.Random(SEED)
        cls.instance = harness.Instance().__enter__()
        cls.addClassCleanup(lambda: cls.instance.__exit__(None, None, None))
        cls.instance.start()
        names = [(COLLECTIONS[n % len(COLLECTIONS)], f"{n:06}") for n in range(DOCUMENTS)]

        def content():
            return json.dumps(base64.b64encode(cls.rng.randbytes(
                cls.rng.randrange(500, 2500))).decode()).encode()

        with cls.instance.documents() as documents:
            write(documents, [(*name, content()) for name in names])
            changed = cls.rng.sample(names, DOCUMENTS // 4)
            write(documents, [(*name, content()) for name in changed])
            cls.instance.backup_now()
            deleted = cls.rng.sample(names, DOCUMENTS // 10)
            write(documents, [(*name, None) for name in deleted])
            gone = set(deleted)
            changed = cls.rng.sample([name for name in names if name not in gone], 1500)
            write(documents, [(*name, content()) for name in changed])
        cls.truth = read_export(cls.instance.export())
        cls.deleted = {name for name in deleted if name not in cls.truth}
        cls.backup_id = cls.instance.backup_now()
        cls.instance.agent.stop()
        cls.instance.store.stop()
        cls.originals = {}
        cls.objects = cls.objects_of_backup()
        cls.targets = 0

    @classmethod
    def objects_of_backup(cls):
        """The objects that the backup needs: a restore fails without them, so `check` names them."""
        everything = [pathlib.Path(cls.instance.destination, name)
                      for name in cls.instance.repository_files() if "/objects/" in name]
        hidden = cls.instance.root / "hidden"
        needed = []
        for path in everything:
            path.rename(hidden)
            report = cls.instance.run(
                harness.HOLDFAST_PROGRAM, "check", "--json", "--from", cls.instance.destination,
                "--key", cls.instance.key_file)
            hidden.rename(path)
            if cls.backup_id.encode() in report.stdout:
                needed.append(path)
        return sorted(needed)

    def damage(self, path, content):
        self.addCleanup(path.write_bytes, path.read_bytes())
        if content is None:
            path.unlink()
        else:
            path.write_bytes(content)

    def salvage(self):
        """Salvages, accepts and serves; returns the summary, after all that it says was checked."""
        type(self).targets += 1
        target = self.instance.root / f"target-{self.targets}"
        self.addCleanup(shutil.rmtree, target, True)
        result = self.instance.restore(target, "--salvage", "--json", expect=None)
        self.assertIn(result.exit_code, (harness.EXIT_OK, harness.EXIT_DAMAGED), result)
        if "data_directory" not in result.json or "summary" not in result.json:
            # What was damaged was not needed after all.
            self.assertEqual(result.json["document_count"], str(len(self.truth)))
            return None
        summary = {key: value if isinstance(value, bool) else int(value)
                   for key, value in result.json["summary"].items()}
        self.assertEqual(result.exit_code,
                         harness.EXIT_OK if summary["whole"] else harness.EXIT_DAMAGED)
        lines = [json.loads(line)
                 for line in (target / "salvage-report.jsonl").read_text().splitlines()]
        self.assertEqual(lines[0]["backup"]["backup_id"], self.backup_id)
        self.assertEqual(lines[-1]["summary"], result.json["summary"])
        unproven = {(line["document"]["collection"], line["document"]["id"]): line["document"]
                    for line in lines if "document" in line}

        if not summary["whole"]:
            # No store opens it before it was accepted.
            store = self.instance.run(harness.STORE_PROGRAM, "--config",
                                      self.config_for(target), env={})
            self.assertNotEqual(store.exit_code, harness.EXIT_OK)
            self.assertIn("--accept-salvaged", store.stdout.decode() + store.stderr)
            accepted = self.instance.run(harness.HOLDFAST_PROGRAM, "restore", "--accept-salvaged",
                                         "--to", target)
            self.assertEqual(accepted.exit_code, harness.EXIT_OK, accepted)
        with self.instance.serving(target) as served:
            brought = read_export(served.export())

        proven = {name: line for name, line in brought.items() if name not in unproven}
        for name, line in proven.items():
            self.assertNotIn(name, self.deleted, "deleted, and called proven")
            self.assertEqual(line, self.truth[name], "not what the store had, and called proven")
        self.assertEqual(len(proven), summary["proven"])
        self.assertEqual(len(unproven), summary["unproven"])
        nameless = collections.Counter(
            name[0] for name in self.truth if name not in brought and name not in unproven)
        self.assertLessEqual(summary["lost_at_least"], nameless.total())
        self.assertGreaterEqual(summary["lost_at_most"], nameless.total())
        self.assertEqual(summary["lost_at_most"], len(self.truth) - len(proven))
        for line in lines:
            if "collection" in line and line["collection"]["count_known"]:
                collection = line["collection"]
                name = collection["collection"]
                self.assertEqual(int(collection["document_count"]),
                                 sum(1 for other, _ in self.truth if other == name))
                self.assertLessEqual(int(collection["lost_at_least"]), nameless[name])
                self.assertGreaterEqual(int(collection["lost_at_most"]), nameless[name])
        if summary["whole"]:
            self.assertEqual(brought, self.truth)
        return summary

    def config_for(self, target):
        """A configuration with which a store is told to serve `target`."""
        config = self.instance.root / f"{target.name}.toml"
        config.write_text(f'master_key = "{self.instance.key_file}"\n[store]\n'
                          f'data_directory = "{target}"\n'
                          f'socket = "{self.instance.root / "refused.sock"}"\n')
        return config

    def test_a_whole_backup_is_restored_as_always(self):
        target = self.instance.root / "whole"
        result = self.instance.restore(target, "--salvage")
        self.assertIn("nothing had to be salvaged", result.stderr)
        with self.instance.serving(target) as served:
            self.assertEqual(read_export(served.export()), self.truth)

    def test_a_flipped_bit_costs_little(self):
        largest = max(self.objects, key=lambda path: path.stat().st_size)
        content = bytearray(largest.read_bytes())
        self.assertGreater(len(content), 2 << 20)
        content[len(content) // 3] ^= 1
        self.damage(largest, bytes(content))
        summary = self.salvage()
        self.assertFalse(summary["whole"])
        self.assertGreater(summary["proven"], len(self.truth) // 2)
        # One segment has a few dozen documents; the others of its keys are listed.
        self.assertLess(summary["lost_at_least"], 200)

    def test_many_choices_of_object_and_damage(self):
        seen = collections.Counter()
        self.assertGreater(len(self.objects), 5)
        for number in range(18):
            path = self.objects[number % len(self.objects)]
            content = path.read_bytes()
            offset = self.rng.randrange(len(content))
            how = ("flipped", "cut", "missing")[(number // len(self.objects) + number) % 3]
            if how == "missing":
                self.damage(path, None)
            elif how == "cut":
                self.damage(path, content[:offset])
            else:
                self.damage(path, content[:offset] + bytes([content[offset] ^ 0x20]) +
                            content[offset + 1:])
            with self.subTest(path=path.name, how=how, offset=offset):
                summary = self.salvage()
                if summary:
                    seen["proven"] += summary["proven"]
                    seen["not proven"] += len(self.truth) - summary["proven"]
            self.doCleanups()
        self.assertGreater(seen["proven"], len(self.truth))
        self.assertGreater(seen["not proven"], 0)

    def test_several_at_once(self):
        for path in self.rng.sample(self.objects, 3):
            content = bytearray(path.read_bytes())
            for _ in range(3):
                content[self.rng.randrange(len(content))] ^= 1
            self.damage(path, bytes(content))
        self.salvage()


if __name__ == "__main__":
    harness.main()
