#!/usr/bin/python3
"""An independent reader of Holdfast repositories, format 1.

Written from common/repository/FORMAT.md alone: it shares no code with the C++ programs, only the
Protocol Buffers schema that the document names. It restores a backup with the master key into plain
files, and so proves that the document says all that is needed.

  holdfast_reader.py list    --repository DIR --key-file FILE
  holdfast_reader.py restore --repository DIR --key-file FILE --to DIR [--backup ID] [--store ID]

Exit code 0 if all is well; 1 with one line on standard error if not.
"""

import argparse
import hashlib
import importlib
import json
import os
import re
import subprocess
import sys
import tempfile

import nacl.bindings
import xxhash
import zstandard

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
HEADER_SIZE = 128
SEGMENT_SIZE = 65536
TAG_SIZE = 16
UNKNOWN_SIZE = 2**64 - 1
KIND_BACKUP_KEY, KIND_MANIFEST, KIND_OBJECT, KIND_MARK = 1, 2, 3, 4
SCHEME_MASTER, SCHEME_BACKUP = 1, 2
TIME = r"[0-9]{8}T[0-9]{6}\.[0-9]{3}Z"
BACKUP_ID = re.compile(TIME + r"-[0-9a-f]{8}")
DATABASE_FILE = re.compile(
    r"[0-9]{6,20}\.(sst|ldb|blob|log)|MANIFEST-[0-9]{6,20}|CURRENT|OPTIONS-[0-9]{6,20}")


class ReaderError(Exception):
    """What is wrong, in words; `fault` is its name in test-vectors.json where it has one."""

    def __init__(self, message, fault=None):
        super().__init__(message)
        self.fault = fault


def blake2b(message, key=b"", size=32):
    return hashlib.blake2b(message, key=key, digest_size=size).digest()


def derive(key, label):
    return blake2b(b"holdfast/1/" + label.encode(), key=key)


def parse_master_key(text):
    text = "".join(c for c in text.upper() if not c.isspace()).replace("-", "")
    text = text.replace("I", "1").replace("L", "1").replace("O", "0")
    if not text.startswith("HF1"):
        raise ReaderError("the master key does not begin with HF1-")
    digits = text[3:]
    if len(digits) != 56 or any(c not in ALPHABET for c in digits):
        raise ReaderError("the master key has not 56 characters of base 32")
    number = 0
    for c in digits:
        number = number * 32 + ALPHABET.index(c)
    data = number.to_bytes(35, "big")
    key, checksum = data[:32], data[32:]
    if blake2b(b"holdfast/1/master key text" + key)[:3] != checksum:
        raise ReaderError("the master key has a typing error: its checksum is wrong")
    return key


def fingerprint(master_key):
    return derive(master_key, "fingerprint")[:8]


def unseal(data, kind, path, scheme, key_id, sealing_key):
    """The content of a sealed file; the checks are those of FORMAT.md, "Reading", in its order."""
    magic = b"\x89HFSEAL\n"
    if len(data) < HEADER_SIZE:
        if data[:8] == magic[:len(data)]:
            raise ReaderError("cut short", "cut_short")
        raise ReaderError("not a sealed file", "not_sealed")
    header = data[:HEADER_SIZE]
    if header[:8] != magic:
        raise ReaderError("not a sealed file", "not_sealed")
    if blake2b(header[:112], size=16) != header[112:]:
        raise ReaderError("header damaged", "header_damaged")
    number = lambda start, length: int.from_bytes(header[start:start + length], "little")
    if number(8, 2) != 1 or number(12, 2) != HEADER_SIZE:
        raise ReaderError("unknown version", "unknown_version")
    if header[10] != kind or header[64:96] != blake2b(path.encode()):
        raise ReaderError("sealed under another name", "other_name")
    if header[11] != scheme or header[16:32] != key_id:
        raise ReaderError("wrong key", "wrong_key")

    file_key = blake2b(header, key=sealing_key)
    body = data[HEADER_SIZE:]
    content_size = number(96, 8)
    if content_size != UNKNOWN_SIZE:
        expected = content_size + TAG_SIZE * max(1, -(-content_size // SEGMENT_SIZE))
        if len(body) < expected:
            raise ReaderError("cut short", "cut_short")
        if len(body) > expected:
            raise ReaderError("bytes appended", "bytes_appended")
    step = SEGMENT_SIZE + TAG_SIZE
    count = max(1, -(-len(body) // step))
    content = []
    for index in range(count):
        segment = body[index * step:(index + 1) * step]
        last = index == count - 1
        if len(segment) < TAG_SIZE + (index > 0):
            raise ReaderError("cut short", "cut_short")
        plain = open_segment(segment, index, last, file_key)
        if plain is None:
            if open_segment(segment, index, not last, file_key) is None:
                raise ReaderError(f"damaged in segment {index}", "segment_damaged")
            raise (ReaderError("cut short", "cut_short") if last else
                   ReaderError("bytes appended", "bytes_appended"))
        content.append(plain)
    return b"".join(content)


def open_segment(segment, index, last, file_key):
    nonce = bytes(15) + index.to_bytes(8, "little") + bytes([last])
    if len(segment) < TAG_SIZE:
        return None
    try:
        return nacl.bindings.crypto_aead_xchacha20poly1305_ietf_decrypt(
            segment, None, nonce, file_key)
    except nacl.exceptions.CryptoError:
        return None


def load_messages():
    """Compiles the schema that FORMAT.md names."""
    proto_root = os.path.join(os.path.dirname(__file__), "..", "..", "proto")
    with tempfile.TemporaryDirectory() as out:
        subprocess.run(["protoc", "-I", proto_root, "--python_out", out,
                        "holdfast/repository/v1/repository.proto"], check=True)
        sys.path.insert(0, out)
        try:
            return importlib.import_module("holdfast.repository.v1.repository_pb2")
        finally:
            sys.path.remove(out)


def check_head(name, head):
    """The repository's file, if it is whole and of this format."""
    before, member, rest = head.rpartition(b',"checksum":"')
    if not member or rest != blake2b(before, size=16).hex().encode() + b'"}\n':
        raise ReaderError(f"{name}: damaged")
    values = json.loads(head)
    if values.get("format") != "holdfast-repository" or values.get("version") != 1:
        raise ReaderError(f"{name}: not a repository of format 1")
    return head


class StoreReader:
    """The backups of one store in a repository."""

    def __init__(self, root, store_id, master_key):
        self.root = root
        self.store_id = store_id
        self.messages = load_messages()
        self.head = self._read_head()
        self.backup_keys = self._load_backup_keys(master_key)

    def _read_head(self):
        """The bytes of the repository's file."""
        first = None
        for name in ("holdfast.json", "holdfast-copy.json"):
            try:
                return check_head(name, self._read(name))
            except ReaderError as error:
                first = first or error
        raise first

    def _read(self, path):
        try:
            with open(os.path.join(self.root, path), "rb") as file:
                return file.read()
        except FileNotFoundError:
            raise ReaderError(f"{path}: missing") from None

    def _names(self, folder):
        try:
            names = os.listdir(os.path.join(self.root, folder))
        except FileNotFoundError:
            return []
        return sorted(name for name in names if not name.startswith(".tmp-"))

    def _load_backup_keys(self, master_key):
        mark = fingerprint(master_key)
        keys = {}
        folder = f"stores/{self.store_id}/keys"
        for name in self._names(folder):
            key_id, _, owner = name.partition("-")
            if owner != mark.hex():
                continue
            path = f"{folder}/{name}"
            content = self._unseal(path, KIND_BACKUP_KEY, SCHEME_MASTER, mark + bytes(8),
                                   derive(master_key, "backup key wrap"))
            key_file = self.messages.BackupKeyFile.FromString(content)
            if key_file.key_id.hex() != key_id or key_file.store_id.hex() != self.store_id:
                raise ReaderError(f"{path}: is of another key or store")
            if key_file.repository_hash != blake2b(self.head):
                raise ReaderError(f"{path}: holdfast.json is not the one it was made for")
            keys[key_file.key_id] = key_file.backup_key
        if not keys:
            raise ReaderError("wrong key: no key file is sealed for this master key")
        return keys

    def _unseal(self, path, kind, scheme, key_id, sealing_key):
        try:
            return unseal(self._read(path), kind, path, scheme, key_id, sealing_key)
        except ReaderError as error:
            raise ReaderError(f"{path}: {error}", error.fault) from None

    def _unseal_with_backup_key(self, path, kind, label):
        key_id = self._read(path)[16:32]
        if key_id not in self.backup_keys:
            raise ReaderError(f"{path}: wrong key", "wrong_key")
        return self._unseal(path, kind, SCHEME_BACKUP, key_id,
                            derive(self.backup_keys[key_id], label))

    def is_deleted(self, backup_id):
        folder = f"stores/{self.store_id}/marks/{backup_id}"
        marks = self.messages.Mark
        deletion, pin = marks.KIND_UNDELETED, marks.KIND_UNPINNED
        for name in self._names(folder):
            mark = marks.FromString(
                self._unseal_with_backup_key(f"{folder}/{name}", KIND_MARK, "manifest"))
            if mark.backup_id != backup_id:
                raise ReaderError(f"{folder}/{name}: is for another backup")
            if mark.kind in (marks.KIND_DELETED, marks.KIND_UNDELETED):
                deletion = mark.kind
            if mark.kind in (marks.KIND_PINNED, marks.KIND_UNPINNED):
                pin = mark.kind
        return deletion == marks.KIND_DELETED and pin != marks.KIND_PINNED

    def manifest(self, backup_id):
        path = f"stores/{self.store_id}/backups/{backup_id}"
        content = self._unseal_with_backup_key(path, KIND_MANIFEST, "manifest")
        size = int.from_bytes(content[:4], "little")
        summary = self.messages.BackupSummary.FromString(content[4:4 + size])
        if summary.backup_id != backup_id or summary.store_id.hex() != self.store_id:
            raise ReaderError(f"{path}: is of another backup or store")
        if summary.required_features:
            raise ReaderError(f"{path}: needs a newer version")
        files = self.messages.FileList.FromString(
            zstandard.ZstdDecompressor().decompressobj().decompress(content[4 + size:]))
        return summary, files

    def summaries(self):
        """The listed backups, oldest first by lineage."""
        found = []
        for name in self._names(f"stores/{self.store_id}/backups"):
            if BACKUP_ID.fullmatch(name) and not self.is_deleted(name):
                found.append(self.manifest(name)[0])
        return sorted(found, key=lambda s: (s.ordinal, s.revision, s.backup_id))

    def restore(self, backup_id, target):
        """Writes db/ and instance/ into `target`, in the clear."""
        summary, file_list = self.manifest(backup_id)
        contents = {}

        def object_content(index):
            # One object is kept: files that share an object (the bundle) follow each other.
            if index not in contents:
                entry = file_list.objects[index]
                path = f"stores/{self.store_id}/objects/{entry.name}"
                sealed_size = os.path.getsize(os.path.join(self.root, path)) if os.path.exists(
                    os.path.join(self.root, path)) else None
                content = self._unseal_with_backup_key(path, KIND_OBJECT, "content")
                if sealed_size != entry.sealed_size_bytes:
                    raise ReaderError(f"{path}: has not the length that the manifest names")
                if entry.codec == self.messages.ObjectEntry.CODEC_ZSTD:
                    content = zstandard.ZstdDecompressor().decompressobj().decompress(content)
                elif entry.codec != self.messages.ObjectEntry.CODEC_NONE:
                    raise ReaderError(f"{path}: unknown codec")
                if len(content) != entry.content_size_bytes:
                    raise ReaderError(f"{path}: wrong length of content")
                contents.clear()
                contents[index] = content
            return contents[index]

        total = 0
        for file in file_list.files:
            if DATABASE_FILE.fullmatch(file.name):
                place = os.path.join(target, "db", file.name)
            elif file.name.startswith("instance/") and all(
                    part not in ("", ".", "..") and "\\" not in part
                    for part in file.name.split("/")):
                place = os.path.join(target, file.name)
            else:
                raise ReaderError(f"manifest names a file {file.name!r}")
            checksum = xxhash.xxh3_128()
            size = 0
            os.makedirs(os.path.dirname(place), exist_ok=True)
            with open(place, "xb") as out:
                for extent in file.extents:
                    piece = object_content(extent.object_index)[
                        extent.offset:extent.offset + extent.length]
                    if len(piece) != extent.length:
                        raise ReaderError(f"{file.name}: extent beyond its object")
                    checksum.update(piece)
                    size += len(piece)
                    out.write(piece)
            if size != file.size_bytes or checksum.digest() != file.xxh3_128:
                raise ReaderError(f"{file.name}: wrong length or checksum")
            total += size
        if len(file_list.files) != summary.file_count or total != summary.size_bytes:
            raise ReaderError("the summary counts other files than the list has")
        return summary


def find_store(root, wanted):
    stores = sorted(os.listdir(os.path.join(root, "stores")))
    if wanted:
        if wanted not in stores:
            raise ReaderError(f"no store {wanted} in {root}")
        return wanted
    if len(stores) != 1:
        raise ReaderError("several stores in the repository; name one: " + " ".join(stores))
    return stores[0]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("list", "restore"):
        command = commands.add_parser(name)
        command.add_argument("--repository", required=True)
        command.add_argument("--key-file", required=True)
        command.add_argument("--store")
        if name == "restore":
            command.add_argument("--to", required=True)
            command.add_argument("--backup", help="the latest unless given")
    arguments = parser.parse_args()

    with open(arguments.key_file, encoding="ascii") as file:
        master_key = parse_master_key(file.read())
    store_id = find_store(arguments.repository, arguments.store)
    reader = StoreReader(arguments.repository, store_id, master_key)
    backups = reader.summaries()
    if arguments.command == "list":
        for summary in backups:
            print(summary.backup_id, summary.ordinal, summary.revision, summary.document_count,
                  summary.state_digest.hex())
        return 0
    if not backups:
        raise ReaderError("there is no backup")
    wanted = arguments.backup or backups[-1].backup_id
    if wanted not in [summary.backup_id for summary in backups]:
        raise ReaderError(f"no backup {wanted}")
    summary = reader.restore(wanted, arguments.to)
    print(summary.backup_id, summary.document_count, summary.state_digest.hex())
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except ReaderError as problem:
        print(f"holdfast_reader: {problem}", file=sys.stderr)
        sys.exit(1)
