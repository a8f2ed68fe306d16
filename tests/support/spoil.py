"""Damaged and hostile variants of files, each a function of a `random.Random`.

`SPOILERS[kind]` lists what can be done to a file of that kind; `spoil` does one to three of it."""

import copy
import io
import json
import pickletools
import struct
import zipfile
import zlib
from collections.abc import Callable
from random import Random

import yaml

EXTREME = [0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF]
VALUES = [  # in place of any value of a tree
    *(None, True, False, 0, 1, -1, 3, 7, 2**31, 2**63, -(2**63), 10**30, 1e308, -1e-308, 0.3),
    *(float("inf"), float("nan"), "", "x", "1", "no", "\x00", "\ud800", "é" * 50, "a" * 10**5),
    *([], [0], [[]], [-1, "a"], {}, {"": 0}, {"a": {"b": 1}}, [[[[[[]]]]]], [1] * 10**4),
]


# ---- any bytes ----
def place(data: bytes, random: Random) -> int:
    "Somewhere in the data; half of the time in the first kilobyte, where the headers are."
    return random.randrange(max(1, min(len(data), 1024) if random.random() < 0.5 else len(data)))


def flip_bits(data: bytes, random: Random) -> bytes:
    out = bytearray(data)
    for _ in range(random.choice([1, 1, 2, 8, 64])):
        out[place(data, random)] ^= 1 << random.randrange(8)
    return bytes(out)


def cut_end(data: bytes, random: Random) -> bytes:
    return data[: place(data, random)]


def remove_block(data: bytes, random: Random) -> bytes:
    start = place(data, random)
    return data[:start] + data[start + random.choice([1, 4, 64, 1024]) :]


def insert_block(data: bytes, random: Random) -> bytes:
    start = place(data, random)
    size = random.choice([1, 4, 64, 1024])
    block = random.choice([bytes(size), b"\xff" * size, random.randbytes(size), data[:size]])
    return data[:start] + block + data[start:]


def swap_blocks(data: bytes, random: Random) -> bytes:
    first, second = sorted([place(data, random), random.randrange(len(data))])
    size = min(random.choice([4, 64, 1024]), second - first)
    one = data[first : first + size]
    other = data[second : second + size]
    between = data[first + size : second]
    return data[:first] + other + between + one + data[second + size :]


def extreme_number(data: bytes, random: Random) -> bytes:
    "Overwrite 1, 2, 4 or 8 bytes by a number at the edge of its range."
    start = place(data, random)
    size = random.choice([1, 2, 4, 8])
    number = random.choice(EXTREME) & (1 << 8 * size) - 1
    block = number.to_bytes(size, random.choice(["little", "big"]))
    return data[:start] + block + data[start + size :]


ANY_BYTES = [flip_bits, cut_end, remove_block, insert_block, swap_blocks, extreme_number]


# ---- png ----
def png_chunks(data: bytes) -> list[tuple[bytes, bytes]]:  # kind, content
    "The chunks of a png file."
    found = []
    position = 8
    while position + 8 <= len(data):
        size, kind = struct.unpack(">I4s", data[position : position + 8])
        found.append((kind, data[position + 8 : position + 8 + size]))
        position += size + 12
    return found


def png_file(chunks: list[tuple[bytes, bytes]]) -> bytes:
    "A png file of these chunks, their sums right."
    parts = [b"\x89PNG\r\n\x1a\n"]
    for kind, content in chunks:
        total = zlib.crc32(kind + content)
        parts.append(struct.pack(">I", len(content)) + kind + content + struct.pack(">I", total))
    return b"".join(parts)


def png_content(data: bytes, random: Random) -> bytes:
    "Spoil the content of one chunk, its sum right."
    chunks = png_chunks(data)
    i = random.randrange(len(chunks))
    kind, content = chunks[i]
    chunks[i] = (kind, random.choice(ANY_BYTES)(content, random) if content else b"\0")
    return png_file(chunks)


def png_header(data: bytes, random: Random) -> bytes:
    "Another size, depth or kind of colour, its sum right."
    (kind, content), *rest = png_chunks(data)
    fields = list(struct.unpack(">IIBBBBB", content[:13].ljust(13, b"\0")))
    i = random.randrange(7)
    sizes = [0, 1, 7, 48, 49, 5000, 2**15, 2**31 - 1, 2**32 - 1]
    fields[i] = random.choice(sizes if i < 2 else [0, 1, 2, 3, 4, 6, 8, 16, 255])
    return png_file([(kind, struct.pack(">IIBBBBB", *fields)), *rest])


def png_order(data: bytes, random: Random) -> bytes:
    "Chunks repeated, left out or in another order."
    chunks = png_chunks(data)
    i, j = random.randrange(len(chunks)), random.randrange(len(chunks))
    change = random.randrange(3)
    if change == 0:
        chunks[i], chunks[j] = chunks[j], chunks[i]
    elif change == 1:
        del chunks[i]
    else:
        chunks.insert(i, chunks[j])
    return png_file(chunks)


def png_more(data: bytes, random: Random) -> bytes:
    "A chunk that nobody expects, or one with an unreasonable content."
    chunks = png_chunks(data)
    bomb = zlib.compress(bytes(10**7))
    more = [
        (b"zTXt", b"k\0\0" + bomb),
        (b"iTXt", b"k\0\1\0\0\0" + bomb),
        (b"tEXt", random.randbytes(40)),
        (b"eXIf", random.randbytes(40)),
        (b"eXIf", b"MM\0*\0\0\0\x08\0\1\x01\x12\0\3\0\0\0\1\xff\xff\0\0"),
        (b"iCCP", b"p\0\0" + random.choice([bomb, random.randbytes(30)])),
        (b"acTL", struct.pack(">II", random.choice(EXTREME), 0)),
        (b"fcTL", random.randbytes(26)),
        (b"tRNS", random.randbytes(random.choice([0, 1, 6, 300]))),
        (b"gAMA", struct.pack(">I", random.choice(EXTREME))),
        (b"pHYs", struct.pack(">IIB", random.choice(EXTREME), random.choice(EXTREME), 1)),
        (random.randbytes(4), random.randbytes(9)),
    ]
    chunks.insert(random.randrange(1, len(chunks) + 1), random.choice(more))
    return png_file(chunks)


# ---- gif ----
def gif_screen(data: bytes, random: Random) -> bytes:
    "Another size, flags or background of the logical screen."
    start, size = random.choice([(6, 2), (8, 2), (10, 1), (11, 1), (12, 1)])
    number = random.choice(EXTREME) & (1 << 8 * size) - 1
    return data[:start] + number.to_bytes(size, "little") + data[start + size :]


def gif_frame(data: bytes, random: Random) -> bytes:
    "Another place, size or flag of one frame, or another delay."
    marks = (b"\x21\xf9\x04", b"\x2c\0\0")
    starts = [i for i in range(len(data)) if data.startswith(marks, i)]
    if not starts:
        return flip_bits(data, random)
    start = random.choice(starts) + random.randrange(1, 10)
    size = random.choice([1, 2])
    number = random.choice(EXTREME) & (1 << 8 * size) - 1
    return data[:start] + number.to_bytes(size, "little") + data[start + size :]


def bytes_after_the_end(data: bytes, random: Random) -> bytes:
    return data + random.randbytes(random.choice([1, 70, 3000]))


# ---- webp ----
def riff_chunk(data: bytes, random: Random) -> bytes:
    "Another length or number in one chunk of a RIFF file."
    kinds = (b"VP8X", b"VP8 ", b"VP8L", b"ANIM", b"ANMF", b"ALPH", b"EXIF", b"RIFF")
    starts = [i for i in range(len(data) - 4) if data[i : i + 4] in kinds]
    start = random.choice(starts) + random.choice([4, 4, 8, 11, 12, 14, 15, 18, 20])
    size = random.choice([1, 3, 4])
    number = random.choice(EXTREME) & (1 << 8 * size) - 1
    return data[:start] + number.to_bytes(size, "little") + data[start + size :]


def riff_more(data: bytes, random: Random) -> bytes:
    "A chunk with malformed EXIF, colours or something unknown, at the end."
    kind = random.choice([b"EXIF", b"ICCP", b"XMP ", b"ANMF", b"ABCD"])
    content = random.randbytes(random.choice([2, 24, 300]))
    data += kind + struct.pack("<I", len(content)) + content
    return data[:4] + struct.pack("<I", len(data) - 8) + data[8:]


# ---- mp4 ----
NESTED = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"edts", b"udta", b"dinf")


def mp4_boxes(data: bytes, start: int = 0, end: int | None = None) -> list[tuple[int, int]]:
    "Start and size of every box, those inside others included."
    found = []
    end = len(data) if end is None else end
    while start + 8 <= end:
        size, kind = struct.unpack(">I4s", data[start : start + 8])
        if size < 8:
            break
        found.append((start, size))
        if kind in NESTED:
            found += mp4_boxes(data, start + 8, min(end, start + size))
        start += size
    return found


def mp4_number(data: bytes, random: Random) -> bytes:
    "Another number in one of the boxes that describe the tracks."
    boxes = [(start, size) for start, size in mp4_boxes(data) if data[start + 4 : start + 8]]
    start, size = random.choice([box for box in boxes if box[1] < 5000] or boxes)
    position = start + random.randrange(0, min(size, 200), 4)
    if random.random() < 0.7:
        block = struct.pack(">I", random.choice(EXTREME))
    else:
        block = random.randbytes(4)
    return data[:position] + block + data[position + 4 :]


def mp4_box(data: bytes, random: Random) -> bytes:
    "A box repeated, left out or of another kind; the boxes around it keep their sizes."
    start, size = random.choice(mp4_boxes(data))
    box = data[start : start + size]
    change = random.randrange(3)
    if change == 0:
        return data[:start] + box + box + data[start + size :]
    if change == 1:
        return data[:start] + data[start + size :]
    kinds = [b"free", b"moov", b"trak", b"stbl", b"uuid", b"\0\0\0\0", b"udta", b"moof"]
    return data[: start + 4] + random.choice(kinds) + data[start + 8 :]


# ---- trees: headers, yaml, notebooks ----
def nodes(tree, path: tuple = ()) -> list[tuple]:
    "The path of every value in nested dicts and lists."
    found = [path] if path else []
    parts = {}
    if isinstance(tree, dict):
        parts = tree
    elif isinstance(tree, list):
        parts = dict(enumerate(tree))
    for key, value in parts.items():
        found += nodes(value, (*path, key))
    return found


def parent_of(tree, path: tuple):
    "The dict or list that holds the last key of a path."
    for key in path[:-1]:
        tree = tree[key]
    return tree


def larger(value, random: Random):
    "A number of the same kind, far off; a value of another kind otherwise."
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return random.choice([0, -1, value + 1, value * 10, 4000, 2**20, 2**31, 2**63])
    if isinstance(value, float):
        return random.choice([0.0, -value, value * 1e9, 1e-9, 1e308, float("nan"), float("inf")])
    return random.choice(VALUES)


def spoil_tree(tree, random: Random):
    "Nested dicts and lists with one value changed, left out, renamed or repeated."
    tree = copy.deepcopy(tree)
    path = random.choice(nodes(tree) or [()])
    if not path:
        return random.choice(VALUES)
    parent = parent_of(tree, path)
    key = path[-1]
    change = random.random()
    if change < 0.35:
        parent[key] = random.choice(VALUES)
    elif change < 0.75:
        parent[key] = larger(parent[key], random)
    elif change < 0.85:
        del parent[key]
    elif isinstance(parent, dict):
        parent[str(key) + random.choice("sx. ")] = parent.pop(key)
    else:
        parent.append(copy.deepcopy(parent[key]))
    return tree


def deep_text(random: Random) -> str:
    "Nested brackets, more than a reader can follow."
    n = random.choice([50, 1000, 100_000])
    return random.choice(["[" * n, '{"a":' * n, "[" * n + "]" * n])


# ---- safetensors: ours and others' ----
def split_header(data: bytes) -> tuple[bytes, bytes]:  # json, tensors
    "The two parts of a safetensors file."
    size = int.from_bytes(data[:8], "little")
    return data[8 : 8 + size], data[8 + size :]


def with_header(header: bytes, tensors: bytes) -> bytes:
    "A safetensors file of these parts."
    return len(header).to_bytes(8, "little") + header + tensors


def header_length(data: bytes, random: Random) -> bytes:
    number = random.choice([*EXTREME, 2**40, 2**63, 2**64 - 1, len(data)])
    return number.to_bytes(8, "little") + data[8:]


def header_bytes(data: bytes, random: Random) -> bytes:
    header, tensors = split_header(data)
    return with_header(random.choice(ANY_BYTES)(header, random), tensors)


def header_tensors(data: bytes, random: Random) -> bytes:
    "Another dtype, shape or place of one tensor."
    header, tensors = split_header(data)
    tree = json.loads(header)
    name = random.choice([name for name in tree if name != "__metadata__"])
    tree[name] = spoil_tree(tree[name], random)
    return with_header(dumps(tree), tensors)


def dumps(tree) -> bytes:
    "A tree as json; what utf-8 cannot hold is escaped."
    return json.dumps(tree).encode()


def our_header(data: bytes, random: Random) -> bytes:
    "Another value in the header that animlib reads; the tensors stay."
    header, tensors = split_header(data)
    tree = json.loads(header)
    ours = json.loads(tree["__metadata__"]["animlib"])
    if random.random() < 0.8:  # where the model is described
        ours["cfg"] = spoil_tree(ours["cfg"], random)
    else:
        ours = spoil_tree(ours, random)
    tree["__metadata__"]["animlib"] = json.dumps(ours)
    return with_header(dumps(tree), tensors)


def our_text(data: bytes, random: Random) -> bytes:
    "Another text where animlib's header should be."
    header, tensors = split_header(data)
    tree = json.loads(header)
    text = tree["__metadata__"]["animlib"].encode()
    broken = random.choice(ANY_BYTES)(text, random).decode("utf-8", errors="replace")
    others = [broken, broken, deep_text(random), "null", "3", "[]", '""', "{}", "NaN"]
    tree["__metadata__"]["animlib"] = random.choice(others)
    return with_header(dumps(tree), tensors)


# ---- checkpoints: a zip file of a pickle and of tensors ----
def zip_directory(data: bytes, random: Random) -> bytes:
    "Another number in the directory at the end of a zip file."
    start = data.find(b"PK\x01\x02")
    position = start + random.randrange(max(1, len(data) - start))
    size = random.choice([1, 2, 4])
    number = random.choice(EXTREME) & (1 << 8 * size) - 1
    return data[:position] + number.to_bytes(size, "little") + data[position + size :]


def zip_members(data: bytes) -> dict[str, bytes]:
    "The files in a zip file."
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        return {name: file.read(name) for name in file.namelist()}


def zip_file(members: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    "A zip file of these files."
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as file:
        for name, content in members.items():
            file.writestr(zipfile.ZipInfo(name), content)
    return out.getvalue()


def zip_pickle(data: bytes, random: Random) -> bytes:
    "A spoiled pickle in a whole zip file."
    members = zip_members(data)
    name = next(name for name in members if name.endswith("data.pkl"))
    members[name] = random.choice([*ANY_BYTES, pickle_number])(members[name], random)
    return zip_file(members)


def pickle_number(data: bytes, random: Random) -> bytes:
    "Another number where a pickle has one: a size, a stride, an offset."
    found = [
        (position, argument)
        for opcode, argument, position in pickletools.genops(data)
        if opcode.name in ("BININT", "BININT1", "BININT2")
    ]
    position, _ = random.choice(found)
    size = {b"J": 4, b"K": 1, b"M": 2}[data[position : position + 1]]
    number = random.choice([0, 1, 255, -1, 2**31 - 1, -(2**31), 10**6])
    return data[:position] + b"J" + struct.pack("<i", number) + data[position + 1 + size :]


def zip_again(data: bytes, random: Random) -> bytes:
    "Files compressed, left out, cut or under other names."
    members = zip_members(data)
    name = random.choice(list(members))
    change = random.randrange(4)
    if change == 0:
        return zip_file(members, zipfile.ZIP_DEFLATED)
    content = members.pop(name)
    if change == 1:
        members[name] = content[: len(content) // 2]
    elif change == 2:
        members["../" + name] = content
    return zip_file(members)


def zip_bomb(data: bytes, random: Random) -> bytes:
    "A tensor of zeros: small as a file, large in memory."
    members = zip_members(data)
    name = next(name for name in members if "/data/" in name)
    members[name] = bytes(random.choice([10**7, 2**28]))
    return zip_file(members, zipfile.ZIP_DEFLATED)


# ---- yaml ----
def yaml_tree(data: bytes, random: Random) -> bytes:
    tree = spoil_tree(yaml.safe_load(data), random)
    try:
        return yaml.safe_dump(tree, allow_unicode=True).encode("utf-8", "surrogatepass")
    except yaml.YAMLError:
        return dumps(tree)


def yaml_lines(data: bytes, random: Random) -> bytes:
    "Lines repeated, left out, exchanged, or moved to the right."
    lines = data.decode().splitlines()
    i, j = random.randrange(len(lines)), random.randrange(len(lines))
    change = random.randrange(4)
    if change == 0:
        lines[i], lines[j] = lines[j], lines[i]
    elif change == 1:
        del lines[i]
    elif change == 2:
        lines.insert(i, lines[j])
    else:
        lines[i] = random.choice(["  ", "\t", "- ", "? ", "&a ", "*a ", "!!int "]) + lines[i]
    return "\n".join(lines).encode()


def yaml_hostile(data: bytes, random: Random) -> bytes:
    "Aliases that multiply, depth, numbers of many digits, tags, other encodings."
    doubled = "".join(f"a{i + 1}: &a{i + 1} [*a{i}, *a{i}]\n" for i in range(40))
    choices = [
        f"a0: &a0 [x, x]\n{doubled}".encode() + data,
        b"a: &a\n  b: *a\n" + data,
        b"&a [*a]",
        b"a: &a {b: *a}",
        deep_text(random).encode(),
        b"a: " + deep_text(random).encode() + data,
        b"- " * random.choice([100, 5000]) + b"x",
        b"a: " + b"9" * 10**5 + b"\n" + data,
        b"a: 1" + b":59" * 5000 + b"\n" + data,
        b"a: !!timestamp 2001-99-99\n" + data,
        b"a: 2001-99-99\n" + data,
        b"a: !!python/name:os.system ''\n" + data,
        b"a: !!binary '%%%'\n" + data,
        b"? [a, {b: c}]\n: 1\n" + data,
        b"? {a: b}\n: 1\n",
        b"<<: 3\n" + data,
        b"a: 0x\n" + b"b: 0b_\n" + b"c: ._\n" + b"d: +.\n" + b"e: =\n" + data,
        b"model_params: " + b"a" * 10**6,
        data.decode().encode("utf-16"),
        data + b"\n# \xe9\xff",
        b"%YAML 9.9\n---\n" + data,
        data + b"\n---\n" + data,
    ]
    return random.choice(choices)


# ---- notebooks ----
def notebook_tree(data: bytes, random: Random) -> bytes:
    return dumps(spoil_tree(json.loads(data), random))


def notebook_source(data: bytes, random: Random) -> bytes:
    "Other text in the cell of parameters."
    tree = json.loads(data)
    cells = [cell for cell in tree["cells"] if "parameters" in cell["metadata"].get("tags", [])]
    text = "".join(cells[0]["source"])
    hostile = [
        "(" * random.choice([10, 150, 5000]) + "1",
        "-" * 5000 + "1",
        "x = " + "[" * 90 + "]" * 90,
        "x = " + "+".join(["1"] * 5000),
        "x = 9" + "9" * 5000,
        "x = '\\ud800'",
        "x = b'\\xff'",
        "x: int",
        "x.y = 1\nx[0] = 2",
        "(x, y) = 1, 2",
        "x = y = 3",
        "x = {**{}}",
        "x = {[]: 1}",
        "x = {1, []}",
        "x = 1\0",
        "x = 'é'  # é\u2028y = 1",
        "\f x = 1",
        "x = 1 \\",
        "x = -'a'",
        "x = 1e999 - 1e999",
        "%matplotlib inline\nx = 1",
        text + "\n" + text,
        random.choice(ANY_BYTES)(text.encode(), random).decode("utf-8", errors="replace"),
        random.choice(ANY_BYTES)(text.encode(), random).decode("utf-8", errors="replace"),
        text.replace(random.choice(text), random.choice("()[]:='\"\n#\\")),
    ]
    cells[0]["source"] = random.choice(hostile)
    return dumps(tree)


def notebook_hostile(data: bytes, random: Random) -> bytes:
    "Depth, numbers of many digits, other encodings, no object at all."
    choices = [
        deep_text(random).encode(),
        b'{"cells": ' + deep_text(random).encode(),
        data.replace(b'"nbformat": 4', b'"nbformat": ' + b"9" * 5000),
        data.decode().encode("utf-16"),
        b"\xef\xbb\xbf" + data,
        data.replace(b"a", b"\xe9"),
        b"null",
        b"[]",
        b"3",
        b'{"cells": 3}',
        b'{"cells": [3]}',
        b'{"cells": [{"metadata": null}]}',
        b'{"cells": [{"metadata": {"tags": ["parameters"]}}]}',
        b'{"cells": [{"metadata": {"tags": ["parameters"]}, "source": [3]}]}',
        b'{"cells": [{"metadata": {"tags": "parameters"}, "source": 3}]}',
        b'{"cells": [{"metadata": {"tags": {"parameters": 0}}, "source": {"x = 1": 0}}]}',
    ]
    return random.choice(choices)


# ---- one mutant ----
Spoiler = Callable[[bytes, Random], bytes]
NO_STRUCTURE = (  # what spoilers raise where an earlier change has left nothing to change
    *(ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError, EOFError),
    *(StopIteration, struct.error, yaml.YAMLError, zipfile.BadZipFile, zlib.error),
)
SPOILERS: dict[str, list[Spoiler]] = {
    "mp4": [*ANY_BYTES, mp4_number, mp4_number, mp4_number, mp4_box],
    "gif": [*ANY_BYTES, gif_screen, gif_frame, gif_frame, bytes_after_the_end],
    "png": [*ANY_BYTES, png_content, png_header, png_header, png_order, png_more],
    "webp": [*ANY_BYTES, riff_chunk, riff_chunk, riff_more, bytes_after_the_end],
    "model": [*ANY_BYTES, header_length, header_bytes, header_tensors, header_tensors],
    "header": [our_header, our_header, our_header, our_text],
    "checkpoint": [*ANY_BYTES, zip_directory, zip_pickle, zip_pickle, zip_again, zip_bomb],
    "yaml": [*ANY_BYTES, yaml_tree, yaml_tree, yaml_tree, yaml_lines, yaml_hostile],
    "notebook": [*ANY_BYTES, notebook_tree, notebook_tree, notebook_source, notebook_hostile],
}


def spoil(kind: str, data: bytes, random: Random) -> bytes:
    "One mutant of a file: one to three changes; what a change cannot be made to is left as it is."
    for _ in range(random.choice([1, 1, 1, 2, 3])):
        changed = random.choice(SPOILERS[kind])
        try:
            data = changed(data, random)
        except NO_STRUCTURE:
            continue
    return data
