"""nftables through libnftables, in this process: text commands in, text or an error out; without the library, the
`nft` program.

One `Nft` belongs to one network namespace: the one its maker's thread is in. Calls block and release the interpreter
lock: run them in a thread. A call is one atomic transaction: the kernel takes all of it or nothing.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import subprocess
import threading
from typing import Protocol

# NFT_CTX_OUTPUT_NUMERIC_{PROTO,PRIO,SYMBOL,TIME}: answers must not depend on the machine's names for numbers.
_OUTPUT_NUMERIC_ALL = (1 << 5) | (1 << 6) | (1 << 7) | (1 << 8)
_OUTPUT_TERSE = 1 << 11  # listings without the elements of sets


class NftError(Exception):
    """The kernel or the parser refused a transaction; the message is nft's own."""


class Nft(Protocol):
    """Runs nft's language."""

    def run(self, commands: str, *, dry_run: bool = False) -> str:
        """Carry out the commands as one transaction; what they print. Raises NftError, and then nothing was changed."""
        ...

    def close(self) -> None: ...


class LibraryNft:
    """libnftables.so.1. Calls are serialized: a context is not safe for two threads at a time."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._library = library
        self._lock = threading.Lock()
        self._context = library.nft_ctx_new(0)
        if not self._context:
            raise NftError("libnftables gave no context")
        library.nft_ctx_buffer_output(self._context)
        library.nft_ctx_buffer_error(self._context)
        library.nft_ctx_output_set_flags(self._context, _OUTPUT_NUMERIC_ALL | _OUTPUT_TERSE)

    def run(self, commands: str, *, dry_run: bool = False) -> str:
        with self._lock:
            if self._context is None:
                raise NftError("closed")
            self._library.nft_ctx_set_dry_run(self._context, dry_run)
            status = self._library.nft_run_cmd_from_buffer(self._context, f"{commands}\n".encode())
            output = (self._library.nft_ctx_get_output_buffer(self._context) or b"").decode(errors="replace")
            error = (self._library.nft_ctx_get_error_buffer(self._context) or b"").decode(errors="replace")
        if status != 0:
            raise NftError(error.strip() or f"nft failed with status {status}")
        return output

    def close(self) -> None:
        with self._lock:
            if self._context is not None:
                self._library.nft_ctx_free(self._context)
                self._context = None


class ProgramNft:
    """The `nft` program, a process for each transaction."""

    def __init__(self, program: str = "nft") -> None:
        self._program = program

    def run(self, commands: str, *, dry_run: bool = False) -> str:
        arguments = [self._program, "-n", "-t", *(["-c"] if dry_run else []), "-f", "-"]
        done = subprocess.run(arguments, input=f"{commands}\n".encode(), capture_output=True, check=False)
        if done.returncode != 0:
            raise NftError(done.stderr.decode(errors="replace").strip() or f"nft failed with status {done.returncode}")
        return done.stdout.decode(errors="replace")

    def close(self) -> None:
        return


def _load() -> ctypes.CDLL | None:
    try:
        library = ctypes.CDLL("libnftables.so.1")
    except OSError:
        return None
    library.nft_ctx_new.argtypes = [ctypes.c_uint32]
    library.nft_ctx_new.restype = ctypes.c_void_p
    library.nft_ctx_free.argtypes = [ctypes.c_void_p]
    library.nft_ctx_free.restype = None
    library.nft_ctx_set_dry_run.argtypes = [ctypes.c_void_p, ctypes.c_bool]
    library.nft_ctx_set_dry_run.restype = None
    library.nft_ctx_output_set_flags.argtypes = [ctypes.c_void_p, ctypes.c_uint]
    library.nft_ctx_output_set_flags.restype = None
    library.nft_run_cmd_from_buffer.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
    library.nft_run_cmd_from_buffer.restype = ctypes.c_int
    for name in ("nft_ctx_buffer_output", "nft_ctx_buffer_error"):
        function = getattr(library, name)
        function.argtypes = [ctypes.c_void_p]
        function.restype = ctypes.c_int
    for name in ("nft_ctx_get_output_buffer", "nft_ctx_get_error_buffer"):
        function = getattr(library, name)
        function.argtypes = [ctypes.c_void_p]
        function.restype = ctypes.c_char_p
    return library


def open_nft() -> Nft:
    """The library where it is installed, else the program. Belongs to the calling thread's network namespace."""
    library = _load()
    return LibraryNft(library) if library is not None else ProgramNft()


def delete_table(nft: Nft, family: str, name: str) -> None:
    """Remove a table with all it holds; it is no error when there is none."""
    nft.run(f"table {family} {name}\ndelete table {family} {name}\n")
