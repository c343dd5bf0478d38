# SPDX-License-Identifier: Apache-2.0
"""Prints the colours of a screenshot, `rrggbb count` a line, the most frequent first. PNG: W3C, second edition."""

import collections
import struct
import sys
import zlib


def chunks(data):
    at = 8
    while at < len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        yield data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        at += 12 + length


def rows(width, height, depth, raw):
    stride, before = width * depth, bytearray(width * depth)
    for y in range(height):
        kind = raw[y * (stride + 1)]
        row = bytearray(raw[y * (stride + 1) + 1 : (y + 1) * (stride + 1)])
        for x in range(stride) if kind else ():
            left = row[x - depth] if x >= depth else 0
            up = before[x]
            corner = before[x - depth] if x >= depth else 0
            if kind == 4:
                guess = left + up - corner
                near = min((abs(guess - left), 0, left), (abs(guess - up), 1, up), (abs(guess - corner), 2, corner))
                add = near[2]
            else:
                add = {1: left, 2: up, 3: (left + up) // 2}[kind]
            row[x] = (row[x] + add) & 255
        yield row
        before = row


parts = list(chunks(open(sys.argv[1], "rb").read()))
width, height, bits, colour = struct.unpack(">IIBB", dict(parts)[b"IHDR"][:10])
assert bits == 8 and colour in (2, 6), (bits, colour)
depth = {2: 3, 6: 4}[colour]
raw = zlib.decompress(b"".join(data for name, data in parts if name == b"IDAT"))
count = collections.Counter()
for row in rows(width, height, depth, raw):
    count.update(row[x : x + 3].hex() for x in range(0, len(row), depth))
for name, number in count.most_common(400):
    print(name, number)
