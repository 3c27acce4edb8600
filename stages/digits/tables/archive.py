"""Read one of Kaggle's files from a directory or zip archive, within limits on its size and on memory."""

import io
import stat
import struct
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from reprlib import repr

from stages.digits.base.errors import InputError

BLOCK_SIZE = 2**18  # bytes: the fastest, as what is computed from a block stays in the CPU's cache
CONTENTS_MAX_BYTES = 2**18  # of an archive's table of contents: 5,000 files
END_MAX_BYTES = 22 + 2**16  # of an archive's end, with its comment
MAX_BYTES = 2**31  # of a file: 28 times Kaggle's train.csv
SMALL_ARCHIVE = 100_000  # bytes: a file in a zip archive smaller than that ...
SMALL_ARCHIVE_MAX_BYTES = 50_000_000  # ... may have that many: images compress 8-fold, but zeros 1,000-fold
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # others expand without limit; Kaggle's archive has none


def read_blocks(raw: Path, name: str, max_bytes: int = MAX_BYTES) -> Iterator[bytes]:
    """The file `name` in the directory or .zip `raw`, in blocks of at most BLOCK_SIZE bytes.

    FileNotFoundError if `raw` has no such file; InputError if it can't be read, isn't a regular file, is damaged,
    or is larger than `max_bytes`. Damage may show only after the last block, when the checksum is compared.
    """
    try:
        mode = raw.stat().st_mode
    except (OSError, ValueError) as error:  # the latter: a NUL character in the path
        reason = "missing" if isinstance(error, FileNotFoundError) else getattr(error, "strerror", error)
        raise InputError(f"{raw}: {reason}; params.yaml's `raw` is the directory or .zip with Kaggle's files") from None
    if stat.S_ISDIR(mode):
        yield from _read_file(raw, name, max_bytes)
    elif stat.S_ISREG(mode):
        yield from _read_zip(raw, name, max_bytes)
    else:
        raise InputError(f"{raw}: found a device, pipe or socket, expected a directory or .zip with Kaggle's files")


def check_regular(path: Path, where: str, expected: str, max_bytes: int) -> None:
    """InputError, its line begun with `where`, unless `path` is a regular file of at most that many bytes."""
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):  # opening a pipe would wait for ever, a device may never end
        raise InputError(f"{where}: found a directory, device, pipe or socket, expected {expected}")
    if status.st_size > max_bytes:
        raise InputError(f"{where}: found {status.st_size:,} bytes, expected at most {max_bytes:,}")


def _read_file(raw: Path, name: str, max_bytes: int) -> Iterator[bytes]:
    path = raw / name
    try:
        check_regular(path, f"{raw}: {name}", "a CSV file", max_bytes)
        with path.open("rb") as file:
            while block := file.read(BLOCK_SIZE):
                yield block
    except FileNotFoundError:
        raise
    except OSError as error:
        raise InputError(f"{raw}: {name}: {error.strerror}; expected a CSV file that can be read") from None


def _read_zip(raw: Path, name: str, max_bytes: int) -> Iterator[bytes]:
    try:
        with _BoundedFile(io.FileIO(raw)) as file:
            if not zipfile.is_zipfile(file):
                raise zipfile.BadZipFile("not a whole zip archive")
            if raw.stat().st_size < SMALL_ARCHIVE:
                max_bytes = min(max_bytes, SMALL_ARCHIVE_MAX_BYTES)
            with zipfile.ZipFile(file) as archive:
                _check_count(file, archive)
                entry = _find_entry(archive, name)
                _check_checksum(file, entry)
                if entry.file_size > max_bytes:
                    raise zipfile.BadZipFile(f"found {entry.file_size:,} bytes, expected at most {max_bytes:,}")
                with archive.open(entry) as stream:
                    while block := stream.read(BLOCK_SIZE):
                        yield block
    except FileNotFoundError:
        raise
    except PermissionError as error:
        raise InputError(f"{raw}: {error.strerror}; expected a zip archive that can be read") from None
    except Exception as error:  # damage makes zipfile raise a dozen kinds, and only zipfile's work is done in here
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise InputError(f"{raw}: {name}: damaged: {reason}; download it again") from None


class _BoundedFile(io.BufferedReader):
    """An archive's file, with bounded reads: zipfile would read a table of contents of any length at once."""

    def read(self, size: int | None = -1) -> bytes:
        if size is not None and size > CONTENTS_MAX_BYTES:  # of data it never reads more than BLOCK_SIZE at once
            raise zipfile.BadZipFile(f"found a table of contents of {size:,} bytes, expected a few hundred")
        return super().read(size)


def _check_count(file: io.BufferedReader, archive: zipfile.ZipFile) -> None:
    """BadZipFile if the number of entries isn't that in the archive's end record, which zipfile doesn't check."""
    file.seek(max(0, file.seek(0, io.SEEK_END) - END_MAX_BYTES))
    end = file.read()
    [expected] = struct.unpack_from("<H", end, end.rindex(b"PK\x05\x06") + 10)
    found = len(archive.infolist())
    if not found or expected not in (found, 0xFFFF):  # the latter: the count is in the large form of the end
        raise zipfile.BadZipFile(f"found {found} files in its table of contents, expected {expected}")


def _find_entry(archive: zipfile.ZipFile, name: str) -> zipfile.ZipInfo:
    """The entry of that name; FileNotFoundError if an archive that isn't damaged has none."""
    names = archive.namelist()
    if len(set(names)) < len(names):
        raise zipfile.BadZipFile(f"found {repr(Counter(names).most_common(1)[0][0])} more than once")
    for other in names:
        if other.startswith(("/", "\\")) or ".." in PurePosixPath(other.replace("\\", "/")).parts:
            raise zipfile.BadZipFile(f"found {repr(other)}, a path that leads out of the archive")
    if name not in names:
        for entry in archive.infolist():  # opening compares its two names: where they differ, one is damaged
            archive.open(entry).close()
        raise FileNotFoundError(name)
    entry = archive.getinfo(name)
    if entry.compress_type not in METHODS:
        raise zipfile.BadZipFile(f"found compression method {entry.compress_type}, expected deflate")
    return entry


def _check_checksum(file: io.BufferedReader, entry: zipfile.ZipInfo) -> None:
    """BadZipFile if the entry's header and the table of contents, which zipfile trusts, have different checksums."""
    file.seek(entry.header_offset)
    flags, checksum = struct.unpack("<6xH6xL12x", file.read(30))
    comes_later = 0b1000
    if checksum != entry.CRC and not flags & comes_later:
        raise zipfile.BadZipFile(f"found two checksums for {entry.filename!r}")
