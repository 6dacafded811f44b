"""What a compiled CUDA kernel needs, read from its ELF file: no tool of NVIDIA's is at hand."""

import struct
from dataclasses import dataclass
from pathlib import Path

FRAME_SIZE, REGISTER_COUNT = 0x11, 0x2F
"""Attributes of a .nv.info section: EIATTR_FRAME_SIZE and EIATTR_REGCOUNT."""
BYTE, HALF, SIZED = 2, 3, 4
"""Formats of an attribute: its value is a byte, two bytes, or as many as it says."""


@dataclass
class Needs:
    """Of one kernel, a thread."""

    registers: int = 0
    frame: int = 0
    """Bytes of local memory: arrays indexed by variables, and what registers cannot hold."""


def kernel_needs(cubin: Path) -> dict[str, Needs]:
    """Registers and local memory of every function of a cubin, by name."""
    data = cubin.read_bytes()
    assert data[:4] == b"\x7fELF"
    assert data[4] == 2, "64-bit"
    (offset,) = struct.unpack_from("<Q", data, 0x28)
    size, count, names_at = struct.unpack_from("<HHH", data, 0x3A)
    sections = [struct.unpack_from("<IIQQQQIIQQ", data, offset + k * size) for k in range(count)]

    def text(at: int) -> str:
        return data[at : data.index(b"\0", at)].decode()

    names = [text(sections[names_at][4] + one[0]) for one in sections]
    symbols = sections[names.index(".symtab")]
    strings = sections[symbols[6]]
    needs: dict[str, Needs] = {}
    info = sections[names.index(".nv.info")]
    at, end = info[4], info[4] + info[5]
    while at < end:
        kind, attribute, value = struct.unpack_from("<BBH", data, at)
        at += 4
        if kind != SIZED:
            continue
        if attribute in (FRAME_SIZE, REGISTER_COUNT):
            symbol, number = struct.unpack_from("<II", data, at)
            (name,) = struct.unpack_from("<I", data, symbols[4] + symbol * symbols[9])
            found = needs.setdefault(text(strings[4] + name), Needs())
            if attribute == FRAME_SIZE:
                found.frame = number
            else:
                found.registers = number
        at += value
    return needs
