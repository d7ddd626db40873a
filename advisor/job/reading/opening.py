"""Opens a data file as text; a compressed one is unpacked while it is read, never onto the disk."""

import io
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from pathlib import Path
from typing import Any, Final

PACKED: Final = (".gz", ".bz2", ".xz", ".zst")
BUFFER: Final = 1 << 18
# Text packs to a third or a tenth of its size, the most regular tables to a fiftieth. What grows
# beyond both bounds is nearly all repetition: nothing to learn from, and perhaps an attack.
MOST_TIMES: Final = 100
HONEST_BYTES: Final = 10**9


class FileFault(Exception):  # noqa: N818 - becomes a Fault with its place
    """Why a file cannot be read, or not any further, and what to do."""

    def __init__(self, reason: str, hint: str, line: int | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.hint = hint
        self.line = line


def kind_of(path: Path) -> str:
    """Return the suffix that tells the kind of a file; that of compression is passed over."""
    packed = path.suffix.lower() in PACKED
    return (Path(path.stem) if packed else path).suffix.lower()


def is_packed(path: Path) -> bool:
    """Return whether the file's name says that it is compressed."""
    return path.suffix.lower() in PACKED


def open_text(path: Path) -> io.TextIOWrapper:
    """Open a file of UTF-8 text, with or without a byte order mark, its line ends all LF.

    A byte that is no UTF-8 comes as a lone surrogate: the row that holds it is to be blamed.

    Raises:
        FileFault: for UTF-16, and on reading for a damaged file or a bomb.
    """
    stream = _unpacked(path) if is_packed(path) else path.open("rb", BUFFER)
    try:
        _pass_mark(stream)
    except BaseException:
        stream.close()
        raise
    return io.TextIOWrapper(stream, encoding="utf-8", errors="surrogateescape", newline=None)


def _pass_mark(stream: io.BufferedReader) -> None:
    """Pass over a byte order mark; raise FileFault for that of UTF-16."""
    head = stream.peek(len(BOM_UTF8))
    if head.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
        raise FileFault("UTF-16 text", "save the file as UTF-8", line=1)
    if head.startswith(BOM_UTF8):
        stream.read(len(BOM_UTF8))


def _unpacked(path: Path) -> io.BufferedReader:
    stream, damages = _UNPACK[path.suffix.lower()](path)
    most = max(HONEST_BYTES, MOST_TIMES * path.stat().st_size)
    return io.BufferedReader(_Unpacked(stream, damages, most), BUFFER)


class _Unpacked(io.RawIOBase):
    """The unpacked bytes of a compressed file, `most` of them; `damages` tell that it is none."""

    def __init__(self, stream: Any, damages: tuple[type[Exception], ...], most: int) -> None:  # noqa: ANN401
        self._stream, self._damages, self._most = stream, damages, most
        self._read = 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 - any writable buffer
        """Fill the buffer; raise FileFault for a damaged file or a bomb."""
        try:
            count = int(self._stream.readinto(buffer))
        except self._damages as error:
            raise FileFault(f"damaged: {error}", "pack the file again") from None
        self._read += count
        if self._read > self._most:
            reason = f"unpacks to more than {MOST_TIMES} times its size"
            raise FileFault(reason, "unpack it yourself if it is to be trusted")
        return count

    def close(self) -> None:
        """Close the compressed file as well."""
        self._stream.close()
        super().close()


def _gzip(path: Path) -> tuple[Any, tuple[type[Exception], ...]]:
    import gzip  # noqa: PLC0415 - few files need it
    import zlib  # noqa: PLC0415

    return gzip.open(path), (gzip.BadGzipFile, EOFError, zlib.error)


def _bzip2(path: Path) -> tuple[Any, tuple[type[Exception], ...]]:
    import bz2  # noqa: PLC0415 - few files need it

    return bz2.open(path), (OSError, EOFError)


def _xz(path: Path) -> tuple[Any, tuple[type[Exception], ...]]:
    import lzma  # noqa: PLC0415 - few files need it

    return lzma.open(path), (lzma.LZMAError, EOFError)


def _zstandard(path: Path) -> tuple[Any, tuple[type[Exception], ...]]:
    import pyarrow as pa  # noqa: PLC0415 - starts slowly, and few files need it

    return pa.input_stream(str(path), compression="zstd"), (OSError, pa.ArrowException)


_UNPACK: Final = {".gz": _gzip, ".bz2": _bzip2, ".xz": _xz, ".zst": _zstandard}
