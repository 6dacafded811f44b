import ctypes
import sys

import pytest

from gigalane.core.memory import keep_freed_memory


@pytest.mark.skipif(sys.platform != "linux", reason="asks glibc where a block lies")
def test_large_blocks_come_from_the_heap_afterwards():
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "mallopt"):
        assert not keep_freed_memory()
        return
    assert keep_freed_memory()
    libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
    libc.free.argtypes = [ctypes.c_void_p]
    first = libc.malloc(200 << 20)
    libc.free(first)
    # A block that was given back would be mapped anew; one that was kept is found again.
    second = libc.malloc(200 << 20)
    header = ctypes.c_size_t.from_address(second - ctypes.sizeof(ctypes.c_size_t)).value
    libc.free(second)
    is_mapped = bool(header & 2)
    assert not is_mapped
