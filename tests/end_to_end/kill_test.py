"""kill -9 of agent, store and restore in the middle of their work; then everything goes on."""

import os
import threading
import unittest

import grpc

import harness
from harness import agent_pb2


def fill(instance, mebibytes, collection="bulk"):
    """Writes incompressible documents; returns the revision of the last."""
    with instance.documents() as documents:
        for number in range(mebibytes):
            writes = [harness.documents_pb2.DocumentWrite(
                put=harness.documents_pb2.PutDocumentRequest(
                    collection=collection, id=f"{number}-{part}", content=os.urandom(1 << 19),
                    media_type="application/octet-stream")) for part in range(2)]
            reply = documents.WriteDocuments(
                harness.documents_pb2.WriteDocumentsRequest(writes=writes))
    return reply.revisions[-1]


def count_objects(instance):
    return sum("/objects/" in name and "/.tmp-" not in name
               for name in instance.repository_files())


def await_objects(instance, more_than, trigger):
    """Returns once the repository has more than so many objects, or the run that sends them is
    over: `trigger` is the thread that waits for it."""
    while count_objects(instance) <= more_than and trigger.is_alive():
        pass


class KillTest(unittest.TestCase):

    def test_agent_killed_in_mid_run(self):
        # What the cut runs sent may be of no use any more, where the store has compacted since.
        for _ in range(3):
            if self.files_reused_after_cut_runs() > 0:
                return
        self.fail("nothing that a cut run sent is used")

    def files_reused_after_cut_runs(self):
        with harness.Instance() as instance:
            instance.start()
            fill(instance, 192)
            cuts = []
            for _ in range(9):
                objects = count_objects(instance)
                trigger = threading.Thread(
                    target=lambda: instance.holdfast("backup", "now", expect=None))
                trigger.start()
                await_objects(instance, objects + 1, trigger)  # a log, and a table
                instance.agent.kill()
                trigger.join()
                instance.start_agent()
                runs = instance.runs()
                self.assertNotIn(agent_pb2.Run.STATE_RUNNING, [run.state for run in runs])
                if runs[0].state == agent_pb2.Run.STATE_FAILED:
                    cuts.append(runs[0])
                    if len(cuts) == 3:
                        break
                else:
                    fill(instance, 192)  # the run was quicker than the kill: once more
            # Each left a checkpoint behind, and a store holds two.
            self.assertEqual(len(cuts), 3)
            self.assertIn("stopped", cuts[0].error)
            instance.backup_now()
            run = instance.runs()[0]
            self.assertEqual(run.state, agent_pb2.Run.STATE_SUCCEEDED)
            instance.holdfast("check", "--read-data")
            exported = instance.export()
            instance.restore(instance.root / "restored")
            with instance.serving(instance.root / "restored") as restored:
                self.assertEqual(restored.export(), exported)
            return run.files_reused

    def test_store_killed_in_mid_run_keeps_every_acknowledged_write(self):
        with harness.Instance() as instance:
            instance.start()
            fill(instance, 96)
            acknowledged = []

            def write():
                with instance.documents() as documents:
                    try:
                        while True:
                            reply = documents.PutDocument(
                                harness.documents_pb2.PutDocumentRequest(
                                    collection="acknowledged", id=str(len(acknowledged)),
                                    content=b"1"))
                            acknowledged.append(reply.revision)
                    except grpc.RpcError:
                        pass

            writer = threading.Thread(target=write)
            writer.start()
            trigger = threading.Thread(
                target=lambda: instance.holdfast("backup", "now", expect=None))
            trigger.start()
            await_objects(instance, 0, trigger)
            instance.store.kill()
            writer.join()
            trigger.join()
            instance.start_store()
            with instance.documents() as documents:
                for number, revision in enumerate(acknowledged):
                    document = documents.GetDocument(harness.documents_pb2.GetDocumentRequest(
                        collection="acknowledged", id=str(number))).document
                    self.assertEqual(document.revision, revision)
            exported = instance.export()
            instance.backup_now()
            instance.holdfast("check", "--read-data")
            instance.restore(instance.root / "restored")
            with instance.serving(instance.root / "restored") as restored:
                self.assertEqual(restored.export(), exported)

    def test_restore_killed_in_the_middle_leaves_nothing_that_opens(self):
        with harness.Instance() as instance:
            instance.start()
            fill(instance, 128)
            instance.backup_now()
            target = instance.root / "restored"
            restore = harness.subprocess.Popen(
                [harness.HOLDFAST_PROGRAM, "restore", "--from", f"file://{instance.destination}",
                 "--key", instance.key_file, "--to", target],
                stdout=harness.subprocess.DEVNULL, stderr=harness.subprocess.DEVNULL)
            while (restore.poll() is None
                   and not any(path.suffix == ".sst" for path in target.rglob("*"))):
                pass
            restore.kill()
            restore.wait()
            if not (target / "state").exists():
                served = harness.Served(instance, target)
                refused = served.run(harness.STORE_PROGRAM, "--config", served.config)
                self.assertEqual(refused.exit_code, harness.EXIT_REFUSED, refused)
                self.assertIn("not finished", refused.stderr)
                instance.restore(target)
            exported = instance.export()
            with instance.serving(target) as restored:
                self.assertEqual(restored.export(), exported)


if __name__ == "__main__":
    harness.main()
