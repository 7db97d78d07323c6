"""The program of the pause container: a static ELF executable of some 250 bytes, put together here from machine code.

It holds a pod's namespaces open. As the first process of a process namespace it blocks SIGCHLD, SIGINT and SIGTERM
and then takes them one at a time: SIGCHLD reaps every child that has ended, the other two end it with status 0.
(The kernel keeps blocked signals even for a first process, which would otherwise never get one without a handler.)
No compiler or registry is needed for it. It leaves packing into an image to `images.py`.
"""

from __future__ import annotations

import struct

_SIGNAL_SET = 1 << (17 - 1) | 1 << (2 - 1) | 1 << (15 - 1)
_LOAD_ADDRESS = 0x400000
_HEADERS_LENGTH = 64 + 56


def _x86_64() -> bytes:
    start = (
        b"\x68"
        + struct.pack("<I", _SIGNAL_SET)  # push set
        + b"\x48\x89\xe3"  # mov rbx, rsp
        + b"\x31\xff\x48\x89\xde\x31\xd2\x6a\x08\x41\x5a"  # edi = SIG_BLOCK, rsi = set, edx = 0, r10 = 8
        + b"\x6a\x0e\x58\x0f\x05"  # rt_sigprocmask
    )
    take = (
        b"\x48\x89\xdf\x31\xf6\x31\xd2\x6a\x08\x41\x5a"  # rdi = set, esi = 0, edx = 0, r10 = 8
        + b"\xb8\x80\x00\x00\x00\x0f\x05"  # rt_sigtimedwait
    )
    leave = b"\x31\xff\xb8\xe7\x00\x00\x00\x0f\x05"  # exit_group(0)
    reap = (
        b"\x48\xc7\xc7\xff\xff\xff\xff\x31\xf6\x6a\x01\x5a\x45\x31\xd2"  # rdi = -1, esi = 0, rdx = WNOHANG, r10 = 0
        + b"\x6a\x3d\x58\x0f\x05"  # wait4
        + b"\x85\xc0"  # test eax, eax
    )
    # Jumps have two bytes and count from their own end.
    choose_length = 3 * (3 + 2)
    to_reap = 2 * 5 + len(leave)
    to_leave = 5
    to_take = -(len(take) + choose_length)
    choose = (
        b"\x83\xf8\x11\x74"
        + struct.pack("b", to_reap)  # cmp eax, SIGCHLD; je reap
        + b"\x83\xf8\x0f\x74"
        + struct.pack("b", to_leave)  # cmp eax, SIGTERM; je leave
        + b"\x83\xf8\x02\x75"
        + struct.pack("b", to_take)  # cmp eax, SIGINT; jne take
    )
    again = b"\x7f" + struct.pack("b", -(len(reap) + 2))  # jg reap
    back = b"\xeb" + struct.pack("b", to_take - len(leave) - len(reap) - 4)  # jmp take
    return start + take + choose + leave + reap + again + back


def _aarch64() -> bytes:
    def put(register: int, value: int) -> int:  # movz
        return 0xD2800000 | value << 5 | register

    def from_stack_pointer(register: int) -> int:  # add register, sp, #0
        return 0x910003E0 | register

    def compare(value: int) -> int:  # cmp w0, #value
        return 0x7100001F | value << 10

    def jump_if(condition: int, words: int) -> int:
        return 0x54000000 | (words & 0x7FFFF) << 5 | condition

    call = 0xD4000001  # svc #0
    equal, unequal, greater = 0, 1, 12
    start = [
        put(19, _SIGNAL_SET & 0xFFFF),
        0xF2A00000 | (_SIGNAL_SET >> 16) << 5 | 19,  # movk x19, #high, lsl 16
        0xD10043FF,  # sub sp, sp, #16
        0xF90003F3,  # str x19, [sp]
        *(put(0, 0), from_stack_pointer(1), put(2, 0), put(3, 8), put(8, 135), call),  # rt_sigprocmask
    ]
    take = [from_stack_pointer(0), put(1, 0), put(2, 0), put(3, 8), put(8, 137), call]  # rt_sigtimedwait
    leave = [put(0, 0), put(8, 94), call]  # exit_group(0)
    reap = [0x92800000, put(1, 0), put(2, 1), put(3, 0), put(8, 260), call, compare(0)]  # wait4(-1, 0, WNOHANG, 0)
    # Jumps count words from their own place.
    choose = [
        *(compare(17), jump_if(equal, 5 + len(leave))),
        *(compare(15), jump_if(equal, 3)),
        *(compare(2), jump_if(unequal, -(len(take) + 5))),
    ]
    to_take = -(len(take) + len(choose) + len(leave) + len(reap) + 1)
    words = [*start, *take, *choose, *leave, *reap, jump_if(greater, -len(reap)), 0x14000000 | (to_take & 0x3FFFFFF)]
    return struct.pack(f"<{len(words)}I", *words)


def pause_binary(architecture: str) -> bytes:
    """The executable for "amd64" or "arm64". Raises ValueError for another architecture."""
    if architecture == "amd64":
        machine, code = 62, _x86_64()
    elif architecture == "arm64":
        machine, code = 183, _aarch64()
    else:
        raise ValueError(f"there is no pause program for the architecture {architecture!r}, only for amd64 and arm64")
    length = _HEADERS_LENGTH + len(code)
    header = struct.pack(
        "<16sHHIQQQIHHHHHH",
        b"\x7fELF\x02\x01\x01",  # 64 bits, little endian
        2,  # executable
        machine,
        1,
        _LOAD_ADDRESS + _HEADERS_LENGTH,
        64,  # the program header follows
        0,
        0,
        64,
        56,
        1,
        0,
        0,
        0,
    )
    # One segment, readable and executable, aligned for pages of up to 64 KiB.
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, _LOAD_ADDRESS, _LOAD_ADDRESS, length, length, 0x10000)
    return header + segment + code
