"""Writers move money between accounts while backups are taken: no backup ever holds half a transfer."""

import json
import random
import threading
import unittest

import grpc

import harness
from harness import documents_pb2

ACCOUNTS = 1000
BALANCE = 1000
WRITERS = 4
BACKUPS = 20


class BankTest(unittest.TestCase):

    def test_every_backup_holds_the_same_total(self):
        with harness.Instance() as instance:
            instance.start()
            with instance.documents() as documents:
                documents.WriteDocuments(documents_pb2.WriteDocumentsRequest(writes=[
                    documents_pb2.DocumentWrite(put=documents_pb2.PutDocumentRequest(
                        collection="accounts", id=f"{number:04}",
                        content=b'{"balance":%d}' % BALANCE)) for number in range(ACCOUNTS)]))
            done = threading.Event()
            transfers = []

            def move_money(seed):
                rng = random.Random(seed)
                moved = 0
                with instance.documents() as documents:
                    while not done.is_set():
                        moved += transfer(documents, rng)
                transfers.append(moved)

            writers = [threading.Thread(target=move_money, args=(seed,))
                       for seed in range(WRITERS)]
            for writer in writers:
                writer.start()
            try:
                backups = [instance.backup_now() for _ in range(BACKUPS)]
            finally:
                done.set()
                for writer in writers:
                    writer.join()
            self.assertGreater(sum(transfers), 100)

            revisions = set()
            for backup_id in backups:
                shown = instance.holdfast("backup", "show", backup_id, "--json").json
                target = instance.root / f"restored-{backup_id}"
                instance.restore(target, "--backup", backup_id)
                with instance.serving(target) as restored:
                    with restored.checkpoints() as checkpoints:
                        status = checkpoints.GetStoreStatus(
                            harness.checkpoints_pb2.GetStoreStatusRequest())
                    self.assertEqual(status.state_digest, shown["state_digest"])
                    lines = restored.holdfast("doc", "export", "accounts").stdout.splitlines()
                    balances = [json.loads(line)["content"]["balance"] for line in lines]
                self.assertEqual(len(balances), ACCOUNTS)
                self.assertEqual(sum(balances), ACCOUNTS * BALANCE)
                revisions.add(shown["revision"])
            self.assertEqual(len(revisions), BACKUPS)


def transfer(documents, rng):
    """Moves some money from one account to another; returns whether it could."""
    names = [f"{number:04}" for number in rng.sample(range(ACCOUNTS), 2)]
    accounts = [documents.GetDocument(documents_pb2.GetDocumentRequest(
        collection="accounts", id=name)).document for name in names]
    amount = rng.randrange(1, 50)
    writes = []
    for account, change in zip(accounts, (-amount, amount)):
        balance = json.loads(account.content)["balance"] + change
        writes.append(documents_pb2.DocumentWrite(put=documents_pb2.PutDocumentRequest(
            collection="accounts", id=account.id, content=b'{"balance":%d}' % balance,
            precondition=documents_pb2.Precondition(must_be_at_revision=account.revision))))
    try:
        documents.WriteDocuments(documents_pb2.WriteDocumentsRequest(writes=writes))
        return True
    except grpc.RpcError as error:
        if error.code() != grpc.StatusCode.ABORTED:
            raise
        return False


if __name__ == "__main__":
    harness.main()
