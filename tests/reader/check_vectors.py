#!/usr/bin/python3
"""Checks the independent reader against common/repository/test-vectors.json: check_vectors.py FILE"""

import json
import sys

import nacl.bindings

import holdfast_reader as reader


def seal(header, content, sealing_key):
    """The sealed bytes, by FORMAT.md: the vectors leave long ones out."""
    file_key = reader.blake2b(header, key=sealing_key)
    count = max(1, -(-len(content) // reader.SEGMENT_SIZE))
    sealed = bytearray(header)
    for index in range(count):
        segment = content[index * reader.SEGMENT_SIZE:(index + 1) * reader.SEGMENT_SIZE]
        nonce = bytes(15) + index.to_bytes(8, "little") + bytes([index == count - 1])
        sealed += nacl.bindings.crypto_aead_xchacha20poly1305_ietf_encrypt(
            segment, None, nonce, file_key)
    return bytes(sealed)


def damaged(sealed, damage):
    sealed = bytearray(sealed)
    if "replace_header_hex" in damage:
        sealed[:reader.HEADER_SIZE] = bytes.fromhex(damage["replace_header_hex"])
    if "xor_ff_at" in damage:
        sealed[damage["xor_ff_at"]] ^= 0xFF
    if "swap_segments" in damage:
        step = reader.SEGMENT_SIZE + reader.TAG_SIZE
        first, second = (slice(reader.HEADER_SIZE + i * step, reader.HEADER_SIZE + (i + 1) * step)
                         for i in damage["swap_segments"])
        sealed[first], sealed[second] = sealed[second], sealed[first]
    if "cut_to_bytes" in damage:
        del sealed[damage["cut_to_bytes"]:]
    sealed += bytes.fromhex(damage.get("append_hex", ""))
    return bytes(sealed)


def expect(condition, what):
    if not condition:
        raise reader.ReaderError(f"test vector: {what}")


def fault_of(call):
    try:
        call()
    except reader.ReaderError as error:
        return error.fault
    return None


def check(path):
    with open(path, encoding="utf-8") as file:
        vectors = json.load(file)
    checked = 0

    master = vectors["master_key"]
    key = bytes.fromhex(master["key_hex"])
    for text in master["texts_of_this_key"]:
        expect(reader.parse_master_key(text) == key, f"master key {text!r}")
    for text in master["texts_to_refuse"]:
        try:
            reader.parse_master_key(text)
        except reader.ReaderError:
            continue
        raise reader.ReaderError(f"test vector: a wrong master key is accepted: {text!r}")
    expect(reader.fingerprint(key).hex() == master["fingerprint_hex"], "fingerprint")

    for derived in vectors["derived_keys"]:
        made = reader.derive(bytes.fromhex(derived["from_key_hex"]), derived["label"])
        expect(made.hex() == derived["key_hex"], f"derived key {derived['label']}")
        checked += 1

    sealed_files = {}
    for file in vectors["sealed_files"]:
        content = bytes(i % 251 for i in range(file["content_size_bytes"]))
        sealing_key = bytes.fromhex(file["sealing_key_hex"])
        sealed = seal(bytes.fromhex(file["header_hex"]), content, sealing_key)
        expect(len(sealed) == file["sealed_size_bytes"], f"length of {file['name']}")
        expect(reader.blake2b(sealed).hex() == file["sealed_blake2b_256_hex"], file["name"])
        expect(file.get("sealed_hex", sealed.hex()) == sealed.hex(), file["name"])
        open_arguments = (file["kind_number"], file["path"], file["key_scheme"],
                          bytes.fromhex(file["key_id_hex"]), sealing_key)
        expect(reader.unseal(sealed, *open_arguments) == content, f"content of {file['name']}")
        sealed_files[file["name"]] = (sealed, open_arguments)
        checked += 1

    kinds = {file["kind"]: file["kind_number"] for file in vectors["sealed_files"]}
    for damage in vectors["damages"]:
        sealed, (kind, path, scheme, key_id, sealing_key) = sealed_files[damage["sealed_file"]]
        found = fault_of(lambda: reader.unseal(
            damaged(sealed, damage), kinds[damage["open_as_kind"]]
            if "open_as_kind" in damage else kind, damage.get("open_as_path", path), scheme,
            bytes.fromhex(damage.get("open_with_key_id_hex", key_id.hex())),
            bytes.fromhex(damage.get("open_with_sealing_key_hex", sealing_key.hex()))))
        expect(found == damage["fault"],
               f"{damage['what']} of {damage['sealed_file']}: {found}, not {damage['fault']}")
        checked += 1
    print(f"{checked} test vectors hold")


if __name__ == "__main__":
    try:
        check(sys.argv[1])
    except reader.ReaderError as problem:
        sys.exit(f"check_vectors: {problem}")
