"""The main job: load, back up, write on, back up again, restore, and compare everything."""

import os
import pathlib
import shutil
import subprocess
import threading
import unittest

import harness

MARKER = "Zq7Xw-unmistakable-plaintext"


def sample_data(*arguments):
    return subprocess.run([harness.REPOSITORY_ROOT / "deploy" / "sample-data", *arguments],
                          check=True, capture_output=True).stdout


class MainJobTest(unittest.TestCase):

    def test_two_backups_restore_to_what_the_store_was(self):
        with harness.Instance() as instance:
            instance.start()
            instance.holdfast("doc", "import", "-", stdin=sample_data("--projects", "100"))
            first_state = instance.export()
            first = instance.backup_now()
            instance.holdfast("doc", "import", "-",
                              stdin=sample_data("--projects", "100", "--changes"))
            instance.holdfast("doc", "delete", "users", "amira")
            second_state = instance.export()
            second = instance.backup_now()
            with instance.documents() as documents:
                last = documents.PutDocument(harness.documents_pb2.PutDocumentRequest(
                    collection="lost", id="x", content=b"{}")).revision
            instance.agent.stop()
            instance.store.stop()

            for backup_id, state in ((first, first_state), (second, second_state)):
                target = instance.root / f"restored-{backup_id}"
                instance.restore(target, "--backup", backup_id)
                with instance.serving(target) as restored:
                    self.assertEqual(restored.export(), state)
                    with restored.documents() as documents:
                        written = documents.PutDocument(harness.documents_pb2.PutDocumentRequest(
                            collection="new", id="x", content=b"{}"))
                    self.assertGreater(written.revision, last)

    def test_a_backup_taken_under_writes_is_exactly_one_revision(self):
        with harness.Instance() as instance:
            instance.start()
            log = []
            done = threading.Event()

            def write():
                with instance.documents() as documents:
                    number = 0
                    while not done.is_set():
                        content = b'{"n":%d}' % number
                        reply = documents.PutDocument(harness.documents_pb2.PutDocumentRequest(
                            collection="load", id=f"{number % 700}", content=content))
                        log.append((reply.revision, f"{number % 700}", content))
                        number += 1

            writer = threading.Thread(target=write)
            writer.start()
            try:
                backups = [instance.backup_now() for _ in range(3)]
            finally:
                done.set()
                writer.join()
            for backup_id in backups:
                shown = instance.holdfast("backup", "show", backup_id, "--json").json
                revision = int(shown["revision"])
                expected = {}
                for at, document_id, content in log:
                    if at <= revision:
                        expected[document_id] = (at, content)
                target = instance.root / f"restored-{backup_id}"
                instance.restore(target, "--backup", backup_id)
                with instance.serving(target) as restored:
                    self.assertEqual(documents_of(restored, "load"), expected)

    def test_no_plaintext_on_any_disk(self):
        with harness.Instance() as instance:
            instance.start()
            for number in range(50):
                instance.holdfast("doc", "put", f"{MARKER.lower()}-collection",
                                  f"{MARKER}-{number}",
                                  stdin=b'{"secret": "%s"}' % MARKER.encode())
            instance.backup_now()
            key_text = instance.key_file.read_bytes().strip()
            instance.agent.stop()
            instance.store.stop()
            secrets = [MARKER.encode(), MARKER.lower().encode(), key_text,
                       key_text.replace(b"-", b"")]
            places = [instance.data_directory, instance.destination, instance.home / "agent",
                      instance.store.log_path, instance.agent.log_path]
            read = 0
            for place in places:
                place = pathlib.Path(place)
                for path in [place] if place.is_file() else place.rglob("*"):
                    self.assertNotIn(MARKER.encode(), os.fsencode(path))
                    if path.is_file():
                        content = path.read_bytes()
                        read += len(content)
                        for secret in secrets:
                            self.assertNotIn(secret, content, path)
            self.assertGreater(read, 10_000)

    def test_the_independent_reader_restores_the_same_files(self):
        with harness.Instance() as instance:
            instance.start()
            instance.holdfast("doc", "import", "-", stdin=sample_data("--projects", "30"))
            instance.backup_now()
            instance.holdfast("doc", "import", "-",
                              stdin=sample_data("--projects", "30", "--changes"))
            backup_id = instance.backup_now()
            shown = instance.holdfast("backup", "show", backup_id, "--json").json
            for name in ("read", "read with the copy of holdfast.json"):
                target = instance.root / name
                printed = subprocess.run(
                    [harness.REPOSITORY_ROOT / "tests" / "reader" / "holdfast_reader.py", "restore",
                     "--repository", instance.destination, "--key-file", instance.key_file,
                     "--to", target], check=True, capture_output=True, text=True).stdout.split()
                self.assertEqual(printed,
                                 [backup_id, shown["document_count"], shown["state_digest"]])
                self.assertTrue((target / "db" / "CURRENT").is_file())
                (instance.destination / "holdfast.json").write_bytes(b"damaged")

    def test_instance_files_come_back_with_the_data(self):
        with harness.Instance() as probe:  # only for a folder to put the file in
            settings = probe.root / "app.conf"
            settings.write_bytes(b"listen = 443\n")
            settings.chmod(0o640)
            with harness.Instance("--instance-file", settings) as instance:
                instance.start()
                instance.holdfast("doc", "put", "a", "b", stdin=b"1")
                instance.backup_now()
                target = instance.root / "restored"
                instance.restore(target)
                restored = target / "instance" / str(settings)[1:]
                self.assertEqual(restored.read_bytes(), b"listen = 443\n")
                self.assertEqual(restored.stat().st_mode & 0o077, 0)

    def test_a_new_machine_goes_on_where_the_lost_one_stopped(self):
        with harness.Instance() as instance:
            instance.start()
            instance.holdfast("doc", "put", "a", "b", stdin=b"1")
            instance.holdfast("settings", "set", "--interval", "6h", "--zone", "Europe/Berlin")
            instance.backup_now()
            exported = instance.export()
            key = instance.root / "key-from-the-safe"
            shutil.copy(instance.key_file, key)
            instance.agent.kill()
            instance.store.kill()
            shutil.rmtree(instance.home)

            instance.home.mkdir(mode=0o700)
            instance.restore(instance.data_directory, key=key)
            shutil.copy(key, instance.key_file)
            shutil.copy(instance.data_directory / "instance" / str(instance.config)[1:],
                        instance.config)
            instance.start()
            self.assertEqual(instance.export(), exported)
            instance.holdfast("settings", "set", "--from", instance.destination)
            settings = instance.holdfast("settings", "show", "--json").json
            self.assertEqual(settings["schedule"]["interval"], "21600s")
            self.assertEqual(settings["schedule"]["time_zone"], "Europe/Berlin")
            instance.backup_now()
            backup = instance.holdfast("backup", "show", "--json").json
            self.assertEqual(backup["ordinal"], "2", "the chain of backups goes on")
            self.assertEqual(
                instance.holdfast("settings", "show", "--from", instance.destination,
                                  "--json").json["schedule"], settings["schedule"])

    def test_the_largest_document_works_everywhere(self):
        content = os.urandom(1024 * 1024)
        with harness.Instance() as instance:
            instance.start()
            source = instance.root / "large"
            source.write_bytes(content)
            instance.holdfast("doc", "put", "big", "one", source, "--media-type",
                              "application/octet-stream")
            self.assertEqual(instance.holdfast("doc", "get", "big", "one").stdout, content)
            exported = instance.export()
            instance.backup_now()
            target = instance.root / "restored"
            instance.restore(target)
            with instance.serving(target) as restored:
                self.assertEqual(restored.export(), exported)
                restored.holdfast("doc", "delete", "big", "one")
                restored.holdfast("doc", "import", "-", stdin=exported)
                self.assertEqual(restored.holdfast("doc", "get", "big", "one").stdout, content)

    def test_a_restore_goes_into_a_mount_point(self):
        with harness.Instance() as instance:
            instance.start()
            instance.holdfast("doc", "put", "a", "b", stdin=b"1")
            exported = instance.export()
            instance.backup_now()
            target = instance.root / "mounted"
            target.mkdir()
            subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256m", "none", target], check=True)
            try:
                (target / "lost+found").mkdir()
                instance.restore(target)
                with instance.serving(target) as restored:
                    self.assertEqual(restored.export(), exported)
            finally:
                subprocess.run(["umount", target], check=True)


def documents_of(instance, collection):
    """Id to (revision, content) of a collection, by gRPC."""
    found = {}
    token = ""
    with instance.documents() as documents:
        while True:
            page = documents.ListDocuments(harness.documents_pb2.ListDocumentsRequest(
                collection=collection, page_size=1000, page_token=token))
            for document in page.documents:
                found[document.id] = (document.revision, document.content)
            token = page.next_page_token
            if not token:
                return found


if __name__ == "__main__":
    harness.main()
