"""Weights of the tiny models: a counter-based hash that this file and `testkit::tiny` compute bit for bit alike.

A tensor is described by its name, dtype, shape and either (scale, offset) or an inclusive range (low, high):
  x(i)   = splitmix64 output for the state fnv1a64(name) + (i + 1) * GAMMA, i = flat index
  floats = round_to_dtype(float32(top24(x) * 2^-23 - 1) * scale + offset), each step rounded to float32
  ints   = (low + (top32(x) * (high - low + 1) >> 32)) & mask   (mask: all ones unless given)
Nothing but the description is stored in the repository.
"""

import json
import struct

import numpy as np

GAMMA = np.uint64(0x9E3779B97F4A7C15)


def fnv1a64(data: bytes) -> int:
    value = 0xCBF29CE484222325
    for byte in data:
        value = ((value ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return value


def hash_words(name: str, count: int) -> np.ndarray:
    """`count` 64-bit hash words of the tensor `name`."""
    with np.errstate(over="ignore"):
        x = np.uint64(fnv1a64(name.encode())) + (np.arange(count, dtype=np.uint64) + np.uint64(1)) * GAMMA
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return x ^ (x >> np.uint64(31))


def bf16_bits(values: np.ndarray) -> np.ndarray:
    """float32 → bf16 bit patterns, round to nearest even (finite input)."""
    bits = values.astype(np.float32).view(np.uint32)
    return ((bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) >> np.uint32(16)).astype(np.uint16)


INTEGER_DTYPES = {"U8": np.uint8, "U32": np.uint32, "F8_E4M3": np.uint8}


def tensor_bytes(spec: dict) -> bytes:
    """The little-endian bytes of the tensor that `spec` describes."""
    count = int(np.prod(spec["shape"], dtype=np.int64))
    words = hash_words(spec["name"], count)
    if spec["dtype"] in INTEGER_DTYPES:
        span = np.uint64(spec["high"] - spec["low"] + 1)
        values = np.uint64(spec["low"]) + (((words >> np.uint64(32)) * span) >> np.uint64(32))
        values = values & np.uint64(spec.get("mask", 0xFFFFFFFF))
        return values.astype(INTEGER_DTYPES[spec["dtype"]]).tobytes()
    unit = (words >> np.uint64(40)).astype(np.float32) * np.float32(2.0**-23) - np.float32(1.0)
    values = unit * np.float32(spec["scale"]) + np.float32(spec["offset"])
    if spec["dtype"] == "BF16":
        return bf16_bits(values).tobytes()
    if spec["dtype"] == "F16":
        return values.astype(np.float16).tobytes()
    assert spec["dtype"] == "F32", spec
    return values.astype(np.float32).tobytes()


def checksum(data: bytes) -> str:
    """FNV-1a 64 of the bytes, in hexadecimal: cheap to write in any language."""
    return f"{fnv1a64(data):016x}"


def write_safetensors(path, tensors: list[tuple[str, str, list[int], bytes]]) -> None:
    """A safetensors file with the tensors in the given order."""
    header, offset = {"__metadata__": {"format": "pt"}}, 0
    for name, dtype, shape, data in tensors:
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [offset, offset + len(data)]}
        offset += len(data)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for _, _, _, data in tensors:
            file.write(data)
