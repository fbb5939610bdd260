"""TriggerBackup is a barrier that a pipeline can stand on."""

import subprocess
import threading
import unittest

import grpc

import harness
from harness import agent_pb2, documents_pb2


class TriggerTest(unittest.TestCase):

    def put(self, documents, document_id="x"):
        return documents.PutDocument(documents_pb2.PutDocumentRequest(
            collection="c", id=document_id, content=b"{}")).revision

    def listed(self, instance):
        """Backup id to revision, by the independent reader: what is really at the destination."""
        printed = subprocess.run(
            [harness.REPOSITORY_ROOT / "tests" / "reader" / "holdfast_reader.py", "list",
             "--repository", instance.destination, "--key-file", instance.key_file],
            check=True, capture_output=True, text=True).stdout
        return {line.split()[0]: int(line.split()[2]) for line in printed.splitlines()}

    def test_min_revision_returns_only_with_that_write_in_a_durable_backup(self):
        with harness.Instance() as instance:
            instance.start()
            done = threading.Event()

            def load():
                with instance.documents() as documents:
                    number = 0
                    while not done.is_set():
                        self.put(documents, f"load-{number}")
                        number += 1

            def pipeline(number, failures):
                try:
                    with instance.documents() as documents, instance.backup_agent() as agent:
                        for step in range(5):
                            revision = self.put(documents, f"pipeline-{number}-{step}")
                            backup = agent.TriggerBackup(agent_pb2.TriggerBackupRequest(
                                min_revision=revision), timeout=harness.DEADLINE_SECONDS).backup
                            listed = self.listed(instance)
                            if listed.get(backup.backup_id, 0) < revision:
                                failures.append((revision, backup, listed))
                except Exception as error:  # pylint: disable=broad-except
                    failures.append(error)

            failures = []
            writer = threading.Thread(target=load)
            writer.start()
            pipelines = [threading.Thread(target=pipeline, args=(number, failures))
                         for number in range(4)]
            for thread in pipelines:
                thread.start()
            for thread in pipelines:
                thread.join()
            done.set()
            writer.join()
            self.assertEqual(failures, [])

    def test_a_request_outlives_its_agent(self):
        with harness.Instance() as instance:
            instance.start()
            with instance.documents() as documents:
                revision = self.put(documents)
            request = agent_pb2.TriggerBackupRequest(min_revision=revision, request_id="deploy-7")
            broken = threading.Event()

            def call():
                with instance.backup_agent() as agent:
                    try:
                        agent.TriggerBackup(request, timeout=harness.DEADLINE_SECONDS)
                    except grpc.RpcError:
                        broken.set()

            caller = threading.Thread(target=call)
            caller.start()
            instance.agent.kill()
            caller.join()
            instance.start_agent()
            with instance.backup_agent() as agent:
                first = agent.TriggerBackup(request, timeout=harness.DEADLINE_SECONDS)
                again = agent.TriggerBackup(request, timeout=harness.DEADLINE_SECONDS)
            self.assertGreaterEqual(first.backup.revision, revision)
            self.assertEqual(first.backup.backup_id, again.backup.backup_id)
            self.assertIn(first.backup.backup_id, self.listed(instance))

    def test_what_cannot_be_satisfied_fails_at_once(self):
        with harness.Instance() as instance:
            instance.start()
            with instance.backup_agent() as agent:
                for request in (agent_pb2.TriggerBackupRequest(min_revision=10**9),
                                agent_pb2.TriggerBackupRequest(required_destinations=5)):
                    with self.assertRaises(grpc.RpcError) as raised:
                        agent.TriggerBackup(request, timeout=harness.DEADLINE_SECONDS)
                    self.assertEqual(raised.exception.code(),
                                     grpc.StatusCode.FAILED_PRECONDITION)

    def test_an_old_enough_backup_is_returned_without_a_run(self):
        with harness.Instance() as instance:
            instance.start()
            backup_id = instance.backup_now()
            runs = len(instance.runs())
            with instance.backup_agent() as agent:
                request = agent_pb2.TriggerBackupRequest()
                request.max_age.FromSeconds(3600)
                reply = agent.TriggerBackup(request, timeout=harness.DEADLINE_SECONDS)
            self.assertTrue(reply.already_there)
            self.assertEqual(reply.backup.backup_id, backup_id)
            self.assertEqual(len(instance.runs()), runs)


if __name__ == "__main__":
    harness.main()
