#!/usr/bin/env python3
"""Opens a Lifeboat backup and proves it to its last document: a whole second reader, written from format.md alone.

    python3 -m venv reader && reader/bin/pip install cryptography zstandard xxhash pymongo
    reader/bin/python read-backup.py data manifest.json --vault /path/to/vault
    reader/bin/python read-backup.py data manifest.json --key key.json --output dump.archive
    reader/bin/python read-backup.py data manifest.json --escrow private.pem

`--vault` is a folder vault, `--key` a file with one secret of a vault (its JSON file, the base64 text, or 32 bytes), `--escrow` the escrow's
private key (its passphrase in LIFEBOAT_ESCROW_PASSPHRASE). Prints what it found as JSON and ends with 0; anything that is not as the manifest
says is one line on standard error and exit code 4.
"""
import argparse
import base64
import binascii
import hashlib
import hmac
import json
import os
import re
import struct
import sys
import tempfile
import zlib

import bson
import xxhash
import zstandard
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap

MAX_MANIFEST = 32 << 20
MAX_DEPTH = 64
MAX_FRAME = 64 << 20
REGION = 4 << 20
NONCE, TAG = 12, 16


class Damaged(Exception):
    """The backup is not what was written."""


# --- manifest.json -----------------------------------------------------------------------------------------------------------------------

class Number(str):
    """A number as the manifest spells it, which is how RFC 8785 spells it, too."""


# The order of the keys, which is part of the spelling. `source`, `tools` and `content` have what their writer gave them.
ORDER = {
    "": "formatVersion component kind timestamp created tools source consistency compression encryption sizes sha256 content durationMs "
    "keyRecipients suspect verified attempt textSha256 hmac",
    "compression": "algorithm level frameBytes frames",
    "encryption": "protocol algorithm regionBytes regions",
    "sizes": "plain compressed stored",
    "keyRecipients": "kind keyId algorithm encryptedKey",
    "verified": "level at",
}


def text_of(string):
    """A string as JSON.stringify writes it: half a surrogate pair is escaped, everything else beyond ASCII is not."""
    return re.sub("[\ud800-\udfff]", lambda half: f"\\u{ord(half.group()):04x}", json.dumps(string, ensure_ascii=False))


def canonical(value):
    """RFC 8785."""
    if isinstance(value, dict):
        keys = sorted(value, key=lambda key: key.encode("utf-16-be", "surrogatepass"))
        return "{" + ",".join(text_of(key) + ":" + canonical(value[key]) for key in keys) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(canonical, value)) + "]"
    if isinstance(value, Number):
        return value
    return text_of(value) if isinstance(value, str) else json.dumps(value)


def indented(value, pad=""):
    """JSON.stringify(value, null, 2) of what was parsed, its keys in the order in which they stand."""
    inner = pad + "  "
    if isinstance(value, dict) and value:
        return "{\n" + ",\n".join(f"{inner}{text_of(key)}: {indented(item, inner)}" for key, item in value.items()) + f"\n{pad}}}"
    if isinstance(value, list) and value:
        return "[\n" + ",\n".join(inner + indented(item, inner) for item in value) + f"\n{pad}]"
    return canonical(value)


def depth_of(text):
    depth = deepest = 0
    for letter in re.sub(r'"(?:[^"\\]|\\.)*"', "", text):
        depth += (letter in "{[") - (letter in "}]")
        deepest = max(deepest, depth)
    return deepest


def read_manifest(path):
    with open(path, "rb") as file:
        raw = file.read(MAX_MANIFEST + 1)
    if len(raw) > MAX_MANIFEST:
        raise Damaged("the manifest is larger than a manifest can be")
    if raw.startswith(b"\xef\xbb\xbf"):
        raise Damaged("the manifest begins with a byte order mark")
    try:
        text = raw.decode("utf-8")
        if depth_of(text) > MAX_DEPTH:
            raise Damaged(f"the manifest is nested more than {MAX_DEPTH} levels deep")
        manifest = json.loads(text, parse_int=Number, parse_float=Number, parse_constant=refuse)
    except ValueError as error:
        raise Damaged(f"the manifest is damaged or cut: {error}") from None
    if not isinstance(manifest, dict):
        raise Damaged("the manifest is not an object")
    if indented(manifest) + "\n" != text:
        raise Damaged("the manifest was changed after it was written: it is spelled in another way")
    if manifest.get("formatVersion") != "1":
        raise Damaged(f"this reader knows format version 1, not {manifest.get('formatVersion')}")
    for place, names in ORDER.items():
        parts = manifest if place == "" else manifest[place]
        for part in parts if isinstance(parts, list) else [parts]:
            known = names.split()
            there = [key for key in part if key in known]
            if there != [key for key in known if key in part]:
                raise Damaged(f"the manifest was changed after it was written: the keys of {place or 'its root'} are in another order")
    if "textSha256" in manifest:
        end = re.search(rb',\n  "textSha256": "[0-9a-f]{64}",\n  "hmac": "[0-9a-f]{64}"\n}\n\Z', raw)
        if not end or hashlib.sha256(raw[: end.start()] + b"\n}\n").hexdigest() != manifest["textSha256"]:
            raise Damaged("the manifest was changed after it was written: its text has another SHA-256")
    if not 1 <= len(manifest["keyRecipients"]) <= 32 or len(manifest["suspect"]) > 100:
        raise Damaged("the manifest lists more than it may")
    return manifest


def refuse(constant):
    raise ValueError(f"{constant} is not JSON")


def check_hmac(manifest, content_key):
    body = {key: value for key, value in manifest.items() if key != "hmac"}
    key = HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=b"lifeboat manifest v1").derive(content_key)
    found = hmac.new(key, canonical(body).encode("utf-8"), hashlib.sha256).hexdigest()
    if not hmac.compare_digest(found, manifest["hmac"]):
        raise Damaged("the manifest was changed after it was written: its HMAC does not match")


# --- keys --------------------------------------------------------------------------------------------------------------------------------

def secret_in(path):
    """The 32 bytes in a file: raw, hexadecimal, base64, or a vault's JSON with the base64 text as `value`."""
    with open(path, "rb") as file:
        raw = file.read()
    if len(raw) == 32:
        return raw
    text = raw.decode("ascii", "replace").strip()
    try:
        if text.startswith("{"):
            text = json.loads(text)["value"]
        key = bytes.fromhex(text) if re.fullmatch("[0-9a-fA-F]{64}", text) else base64.b64decode(text, validate=True)
    except (ValueError, KeyError, TypeError, binascii.Error):
        raise Damaged(f"the key file {path} is damaged: it does not hold a key") from None
    if len(key) != 32:
        raise Damaged(f"the key file {path} is damaged: it holds {len(key)} bytes instead of 32")
    return key


def unwrap(recipient, options):
    """The 40 bytes of one recipient; None when it is another one's."""
    wrapped = base64.b64decode(recipient["encryptedKey"])
    if recipient["algorithm"] == "A256KW":
        if options.key:
            return aes_key_unwrap(secret_in(options.key), wrapped)
        if options.vault and recipient["kind"] == "folder" and re.fullmatch(r"[0-9a-zA-Z-]{1,127}/\d{6}-[0-9a-f]{16}", recipient["keyId"]):
            return aes_key_unwrap(secret_in(os.path.join(options.vault, recipient["keyId"] + ".json")), wrapped)
    if recipient["kind"] == "escrow" and options.escrow:
        passphrase = os.environ.get("LIFEBOAT_ESCROW_PASSPHRASE")
        with open(options.escrow, "rb") as file:
            private = serialization.load_pem_private_key(file.read(), passphrase.encode() if passphrase else None)
        spki = private.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        if recipient["keyId"] != "sha256:" + hashlib.sha256(spki).hexdigest():
            return None
        return private.decrypt(wrapped, padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None))
    return None


def content_key_of(manifest, options):
    problems = []
    for recipient in manifest["keyRecipients"]:
        try:
            payload = unwrap(recipient, options)
        except (InvalidUnwrap, ValueError, OSError, Damaged) as error:
            problems.append(f"{recipient['kind']} {recipient['keyId']}: {error or 'the key does not open it'}")
            continue
        if payload is None:
            continue
        if len(payload) == 40 and payload[:8] == b"2.0\0\0\0\0\0":
            return payload[8:], recipient
        problems.append(f"{recipient['kind']} {recipient['keyId']}: unwraps to something else")
    needed = ", or ".join(f"{recipient['kind']} {recipient['keyId']}" for recipient in manifest["keyRecipients"])
    raise Damaged("; ".join(problems) or f"no key was given that opens it: {needed}")


# --- data → plain stream -------------------------------------------------------------------------------------------------------------------

def regions(path, manifest, content_key):
    """Decrypts region by region. Nothing is given out before its tag is proved."""
    sizes = manifest["sizes"]
    stored, compressed, count = int(sizes["stored"]), int(sizes["compressed"]), int(manifest["encryption"]["regions"])
    if count != -(-compressed // REGION) or stored != compressed + count * (NONCE + TAG):
        raise Damaged("the manifest contradicts itself in sizes and regions")
    found = os.stat(path).st_size
    if found != stored:
        raise Damaged(f"the data is {'cut at byte ' + str(found) if found < stored else 'longer than its ' + str(stored) + ' bytes'}")
    cipher = AESGCM(content_key)
    whole = hashlib.sha256()
    with open(path, "rb") as file:
        for index in range(count):
            bytes_ = file.read(REGION + NONCE + TAG)
            whole.update(bytes_)
            at = index * (REGION + NONCE + TAG)
            if bytes_[:NONCE] != index.to_bytes(NONCE, "big"):
                raise Damaged(f"region {index} at byte {at} does not carry its own number")
            try:
                yield cipher.decrypt(bytes_[:NONCE], bytes_[NONCE:], None)
            except InvalidTag:
                raise Damaged(f"region {index} at byte {at} fails its tag") from None
    if whole.hexdigest() != manifest["sha256"]:
        raise Damaged("the data has another SHA-256")


def frames(pieces, manifest):
    """Decompresses frame by frame: none may claim more than it may hold, nor hold anything else than it claims."""
    compression, most = manifest["compression"], int(manifest["sizes"]["plain"])
    limit = min(MAX_FRAME, int(compression["frameBytes"]))
    buffer, frame, claimed, held, total, count = b"", None, 0, 0, 0, 0
    for piece in _with_end(pieces):
        buffer += piece or b""
        while buffer:
            if frame is None:
                # Magic number, descriptor, window and size: 18 bytes at most.
                if len(buffer) < 18 and piece is not None:
                    break
                try:
                    parameters = zstandard.get_frame_parameters(buffer)
                except zstandard.ZstdError as error:
                    raise Damaged(f"frame {count} is not one: {error}") from None
                claimed, held = parameters.content_size, 0
                if claimed in (zstandard.CONTENTSIZE_UNKNOWN, zstandard.CONTENTSIZE_ERROR) or claimed > limit:
                    raise Damaged(f"frame {count} claims more than {limit} bytes, or does not say how many")
                total += claimed
                if total > most:
                    raise Damaged("the frames together claim more than the manifest says")
                frame = zstandard.ZstdDecompressor(max_window_size=128 << 20).decompressobj()
            part, buffer = buffer[: 64 << 10], buffer[64 << 10 :]
            try:
                plain = frame.decompress(part)
            except zstandard.ZstdError as error:
                raise Damaged(f"frame {count} does not decompress: {error}") from None
            held += len(plain)
            if held > claimed:
                raise Damaged(f"frame {count} holds more than it says")
            if plain:
                yield plain
            if frame.eof:
                if held != claimed:
                    raise Damaged(f"frame {count} holds {held} bytes and says {claimed}")
                buffer, frame, count = frame.unused_data + buffer, None, count + 1
    if frame is not None:
        raise Damaged(f"frame {count} is cut")
    if count != int(compression["frames"]):
        raise Damaged(f"there are {count} frames instead of {compression['frames']}")


def _with_end(pieces):
    yield from pieces
    yield None


def plain_stream(path, manifest, content_key):
    pieces = regions(path, manifest, content_key)
    length = 0
    for piece in frames(pieces, manifest) if manifest["compression"]["algorithm"] == "zstd" else pieces:
        length += len(piece)
        yield piece
    if length != int(manifest["sizes"]["plain"]):
        raise Damaged(f"the content is {length} bytes instead of {manifest['sizes']['plain']}")


# --- kind mongodb: a mongodump archive -----------------------------------------------------------------------------------------------------

TERMINATOR = b"\xff\xff\xff\xff"
CRC_TABLE = []
for byte in range(256):
    for _ in range(8):
        byte = (byte >> 1) ^ (0xC96C5795D7870F42 if byte & 1 else 0)
    CRC_TABLE.append(byte)


class Sums:
    """What the manifest notes of the documents of one namespace."""

    def __init__(self):
        self.documents = self.bytes = self.sum = 0
        self.crc = 0xFFFFFFFFFFFFFFFF
        self.ended = False

    def add(self, document):
        self.documents += 1
        self.bytes += len(document)
        self.sum = (self.sum + xxhash.xxh3_128_intdigest(document)) % (1 << 128)
        crc = self.crc
        for value in document:
            crc = CRC_TABLE[(crc ^ value) & 0xFF] ^ (crc >> 8)
        self.crc = crc

    def report(self):
        crc = f"{self.crc ^ 0xFFFFFFFFFFFFFFFF:016x}"
        return {"documents": self.documents, "bytes": self.bytes, "crc64": crc, "digest": f"{self.sum:032x}"}


class Units:
    """The archive as documents and terminators."""

    def __init__(self, pieces):
        self.pieces, self.buffer, self.at, self.offset = pieces, b"", 0, 0

    def take(self, length):
        while len(self.buffer) - self.at < length:
            piece = next(self.pieces, None)
            if piece is None:
                raise Damaged(f"the archive is cut at byte {self.offset + len(self.buffer) - self.at}")
            self.buffer, self.at = self.buffer[self.at :] + piece, 0
        taken = self.buffer[self.at : self.at + length]
        self.at += length
        self.offset += length
        return taken

    def ended(self):
        while self.at == len(self.buffer):
            piece = next(self.pieces, None)
            if piece is None:
                return True
            self.buffer, self.at = piece, 0
        return False

    def unit(self):
        """The next document; None for a terminator."""
        start = self.take(4)
        if start == TERMINATOR:
            return None
        (size,) = struct.unpack("<i", start)
        if not 5 <= size <= (16 << 20) + (16 << 10):
            raise Damaged(f"a document at byte {self.offset - 4} of the archive claims {size} bytes")
        document = start + self.take(size - 4)
        if document[-1] != 0:
            raise Damaged(f"a document that ends at byte {self.offset} of the archive does not end with a zero")
        return document


def gunzipped(pieces):
    unzip = zlib.decompressobj(31)
    for piece in pieces:
        yield unzip.decompress(piece)
    yield unzip.flush()
    if not unzip.eof:
        raise Damaged("the gzip stream of the archive is cut")


def read_archive(pieces):
    """Parses the archive and gives what `content` notes of it, but for indexes and options, which `preludeSha256` covers."""
    first = b""
    pieces = iter(pieces)
    while len(first) < 2:
        piece = next(pieces, None)
        if piece is None:
            break
        first += piece
    gzip = first[:2] == b"\x1f\x8b"
    again = _before(first, pieces)
    units = Units(filter(None, gunzipped(again) if gzip else again))
    if units.take(4) != b"\x6d\xe2\x99\x81":
        raise Damaged("the content is not a mongodump archive")
    prelude = hashlib.sha256()
    head = units.unit()
    prelude.update(head)
    header = bson.decode(head)
    entries, places = [], {}
    while (document := units.unit()) is not None:
        prelude.update(document)
        entry = bson.decode(document)
        sums = Sums()
        names = [entry["collection"]]
        if entry.get("type") == "timeseries":
            # Servers before 8.3 keep a time series' documents in its bucket collection.
            names.append("system.buckets." + entry["collection"])
        for name in names:
            if (entry["db"], name) in places:
                raise Damaged(f"{entry['db']}.{name} is named twice")
            places[entry["db"], name] = sums
        entries.append((entry, sums))
    while not units.ended():
        block = bson.decode(units.unit() or b"\x05\0\0\0\0")
        sums = places.get((block.get("db"), block.get("collection")))
        if sums is None or sums.ended:
            raise Damaged(f"there are documents of {block.get('db')}.{block.get('collection')} where none can be")
        if block["EOF"]:
            sums.ended = True
            if block["CRC"] & 0xFFFFFFFFFFFFFFFF != sums.crc ^ 0xFFFFFFFFFFFFFFFF:
                raise Damaged(f"the documents of {block['db']}.{block['collection']} have another CRC than the archive notes")
        while (document := units.unit()) is not None:
            if sums.ended:
                raise Damaged("documents follow the end of a namespace")
            sums.add(document)
    for entry, sums in entries:
        if not sums.ended:
            raise Damaged(f"the archive ends before the end of {entry['db']}.{entry['collection']}")
    namespaces = [{"db": entry["db"], "collection": entry["collection"], **sums.report()} for entry, sums in entries if entry["db"] != ""]
    namespaces.sort(key=lambda one: [one[key].encode("utf-16-be") for key in ("db", "collection")])
    oplog = [sums.report() for entry, sums in entries if entry["db"] == ""]
    return {
        "archiveVersion": header["version"],
        "serverVersion": header["server_version"],
        "toolVersion": header["tool_version"],
        "preludeSha256": prelude.hexdigest(),
        "gzip": gzip,
        "namespaces": namespaces,
        **({"oplog": {"entries": oplog[0].pop("documents"), **oplog[0]}} if oplog else {}),
        "totals": {
            "namespaces": len(namespaces),
            "documents": sum(one["documents"] for one in namespaces),
            "bytes": sum(one["bytes"] for one in namespaces),
        },
    }


def _before(first, pieces):
    yield first
    yield from pieces


def differences(expected, found, path="content"):
    """Where the manifest says something else than was found. What this reader does not compute, it does not compare."""
    if isinstance(found, dict):
        return [text for key in found for text in differences(expected.get(key), found[key], f"{path}.{key}")]
    if isinstance(found, list):
        if len(expected) != len(found):
            return [f"{path}: {len(expected)} expected, {len(found)} found"]
        return [text for index, one in enumerate(found) for text in differences(expected[index], one, f"{path}[{index}]")]
    said = int(expected) if isinstance(expected, Number) else expected
    return [] if said == found else [f"{path}: expected {said}, found {found}"]


# --- the program ---------------------------------------------------------------------------------------------------------------------------

def main():
    parser = argparse.ArgumentParser(description="Opens a Lifeboat backup and proves it to its last document.")
    parser.add_argument("data")
    parser.add_argument("manifest")
    parser.add_argument("--vault", help="a folder vault")
    parser.add_argument("--key", help="a file with the secret of this backup")
    parser.add_argument("--escrow", help="the escrow's private key (PEM)")
    parser.add_argument("--output", help="where to write the plain content; must not be there yet")
    options = parser.parse_args()
    try:
        manifest = read_manifest(options.manifest)
        content_key, recipient = content_key_of(manifest, options)
        check_hmac(manifest, content_key)
        plain = plain_stream(options.data, manifest, content_key)
        if options.output:
            folder = os.path.dirname(os.path.abspath(options.output))
            handle, temporary = tempfile.mkstemp(dir=folder)
            try:
                with os.fdopen(handle, "wb") as file:
                    report = look(manifest, written(plain, file))
                os.link(temporary, options.output)
            finally:
                os.unlink(temporary)
        else:
            report = look(manifest, plain)
    except Damaged as error:
        print(f"{options.data}: {error}.", file=sys.stderr)
        return 4
    except (OSError, KeyError, TypeError, AttributeError, bson.errors.BSONError, zlib.error) as error:
        print(f"{options.data}: {type(error).__name__} {error}", file=sys.stderr)
        return 4
    summary = {key: manifest[key] for key in ("component", "kind", "timestamp", "consistency", "suspect")}
    print(json.dumps({**summary, "openedWith": recipient["kind"], "found": report}, indent=2))
    return 0


def written(plain, file):
    for piece in plain:
        file.write(piece)
        yield piece


def look(manifest, plain):
    if manifest["kind"] != "mongodb":
        return {"bytes": sum(map(len, plain)), "content": "of a kind that this reader does not know"}
    report = read_archive(plain)
    wrong = differences(manifest["content"], report)
    if wrong:
        raise Damaged("the content is not what the manifest says: " + "; ".join(wrong[:3]))
    return report


if __name__ == "__main__":
    sys.exit(main())
