"""The text of a price list: a file, or an https address; nothing else is ever fetched."""

import time
from pathlib import Path
from typing import IO, Any

from advisor.errors import AdvisorError, ErrorName, Fault

MOST_BYTES = 50_000_000
TIMEOUT_S = 30.0
# A server that sends a byte now and then must not hold the command for ever.
LONGEST_S = 300.0
BLOCK = 1 << 16


def is_address(source: str) -> bool:
    """Tell whether a source is to be fetched, not read."""
    return "://" in source


def text_of(source: str) -> str:
    """Return the text at a path or an https address.

    Raises:
        AdvisorError: `file_unreadable`, saying why.
    """
    try:
        content = _fetched(source) if is_address(source) else _read(Path(source))
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise _unreadable(source, expected="UTF-8 text", found="other bytes") from None
    except OSError as error:
        # The reason of an URLError, and of a certificate that is not trusted, is in `reason`.
        found = str(getattr(error, "reason", None) or error.strerror or error)
        raise _unreadable(source, expected="a list that can be read", found=found) from None


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        return _limited(file, str(path))


def _fetched(address: str) -> bytes:
    from http.client import HTTPException  # noqa: PLC0415 - only a refresh by address needs it
    from urllib.error import HTTPError  # noqa: PLC0415
    from urllib.request import HTTPRedirectHandler, Request, build_opener  # noqa: PLC0415

    class OnlyHttps(HTTPRedirectHandler):
        """Follows a redirection only where it leads to https again."""

        def redirect_request(
            self,
            req: Request,
            fp: IO[bytes],
            *given: Any,  # noqa: ANN401 - as urllib hands it on
        ) -> Request | None:
            request = super().redirect_request(req, fp, *given)
            if request is not None and not _is_https(request.full_url):
                fp.close()
                _check(request.full_url)
            return request

    _check(address)
    try:
        with build_opener(OnlyHttps).open(address, timeout=TIMEOUT_S) as answer:
            return _limited(answer, address)
    except HTTPError as error:
        error.close()
        raise
    except (HTTPException, ValueError) as error:
        raise _unreadable(address, expected="an answer by HTTP", found=str(error)) from None


def _is_https(address: str) -> bool:
    return address.lower().startswith("https://")


def _check(address: str) -> None:
    if not _is_https(address):
        raise _unreadable(address, expected="an https address", found=address.partition(":")[0])


def _limited(stream: IO[bytes], source: str) -> bytes:
    """Return all that the stream holds, as long as that is not too much and not too slow."""
    blocks, size, end = [], 0, time.monotonic() + LONGEST_S
    while block := stream.read(BLOCK):
        blocks.append(block)
        size += len(block)
        if size > MOST_BYTES:
            most = f"at most {MOST_BYTES // 1_000_000} MB"
            raise _unreadable(source, expected=most, found="more")
        if time.monotonic() > end:
            raise _unreadable(source, expected=f"all within {LONGEST_S:.0f} s", found="less")
    return b"".join(blocks)


def _unreadable(source: str, *, expected: str, found: str) -> AdvisorError:
    return AdvisorError(
        ErrorName.FILE_UNREADABLE,
        "the price list cannot be read",
        [Fault(path=source, expected=expected, found=found)],
    )
