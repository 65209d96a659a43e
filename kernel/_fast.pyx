# cython: language_level=3, embedsignature=True
"""The wire, compiled: events, bytes, errors and messages are those of ``_pure.py``, which explains them.

A head is scanned where it lies in the input. Only a head that came in pieces is copied, line by line, to a buffer of its
own (``Scan.partial``) that goes when the head is complete. What a finished head keeps is one bytes object and the offsets
of its fields in it; text is made when asked for.

Every read through a pointer is bounded by ``at < stop <= end``, with ``end`` the number of bytes behind the pointer. A
pointer into a bytes object lives no longer than a call that holds the object. No Python code runs inside a scan, except
to make the error that ends it.
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_CheckExact, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_Free, PyMem_Malloc, PyMem_Realloc
from cpython.tuple cimport PyTuple_New, PyTuple_SET_ITEM
from cpython.ref cimport Py_INCREF
from cpython.exc cimport PyErr_Clear
from cpython.unicode cimport PyUnicode_Check, PyUnicode_DecodeASCII, PyUnicode_DecodeUTF8
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memchr, memcmp, memcpy

from collections import deque

from multidict import CIMultiDict, CIMultiDictProxy

from . import abc
from . import limits as _limits
from .errors import HeadTooLarge, LocalProtocolError, RemoteProtocolError, TargetTooLong
from .hdrs import PLAIN_METHODS, HttpVersion10, HttpVersion11

cdef extern from "Python.h":
    const char* PyUnicode_AsUTF8AndSize(object text, Py_ssize_t* size) except NULL
    const char* PyUnicode_AsUTF8AndSize_or_NULL "PyUnicode_AsUTF8AndSize" (object text, Py_ssize_t* size)

ctypedef const uint8_t* Bytes

IMPLEMENTATION = "fast"
LAST_CHUNK = b"0\r\n\r\n"

cdef object END_OF_MESSAGE = abc.END_OF_MESSAGE
cdef object PAUSED = abc.PAUSED
cdef object CHUNK_END = abc.CHUNK_END
cdef object GO_ON = object()  # a step was done that gives no event
cdef object DEFAULT_LIMITS = _limits.DEFAULT_LIMITS

cdef int MOST_LIMIT = 0x3FFFFFFF  # of a Limits: offsets into a head are 32 bits
cdef Py_ssize_t MAX_METHOD_BYTES = _limits.MAX_METHOD_BYTES
cdef int MAX_CONTENT_LENGTH_DIGITS = _limits.MAX_CONTENT_LENGTH_DIGITS
cdef int MAX_CHUNK_SIZE_DIGITS = _limits.MAX_CHUNK_SIZE_DIGITS
cdef Py_ssize_t JOINED_READ_BYTES = _limits.JOINED_READ_BYTES
cdef int MAX_INTERIM_RESPONSES = _limits.MAX_INTERIM_RESPONSES

# -- classes of bytes --------------------------------------------------------------------------------------------------

cdef enum:
    TCHAR = 1
    TARGET = 2  # visible ASCII but "#"
    TEXT = 4  # HTAB, SP, visible, obs-text
    PLAIN = 8  # of a path that needs no normalising
    DIGIT = 16
    HEXDIG = 32
    REG_NAME = 64  # unreserved and sub-delims
    QUOTED = 128  # of a quoted-string, as it is

cdef enum:
    HTAB = 0x09
    LF = 0x0A
    CR = 0x0D
    SP = 0x20
    QUOTE = 0x22
    COLON = 0x3A
    SEMICOLON = 0x3B
    EQUALS = 0x3D
    BACKSLASH = 0x5C

cdef const char* HTTP = b"HTTP/"

cdef uint8_t CLASS[256]


cdef int classify(bytes members, int kind) except -1:
    cdef uint8_t byte
    for byte in members:
        CLASS[byte] |= kind
    return 0


cdef bytes ALPHANUMERIC = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
cdef bytes VISIBLE = bytes(range(0x21, 0x7F))
cdef bytes SPOKEN = b"\t " + VISIBLE + bytes(range(0x80, 0x100))

classify(ALPHANUMERIC + b"!#$%&'*+-.^_`|~", TCHAR)
classify(VISIBLE.replace(b"#", b""), TARGET)
classify(SPOKEN, TEXT)
classify(ALPHANUMERIC + b"-._~!$&'()*+,;=:@/", PLAIN)
classify(b"0123456789", DIGIT)
classify(b"0123456789ABCDEFabcdef", HEXDIG)
classify(ALPHANUMERIC + b"-._~!$&'()*+,;=", REG_NAME)
classify(SPOKEN.replace(b'"', b"").replace(b"\\", b""), QUOTED)

cdef uint64_t EACH_01 = 0x0101010101010101ULL
cdef uint64_t EACH_20 = 0x2020202020202020ULL
cdef uint64_t EACH_7F = 0x7F7F7F7F7F7F7F7FULL
cdef uint64_t EACH_80 = 0x8080808080808080ULL


cdef inline Py_ssize_t skip_class(Bytes base, Py_ssize_t at, Py_ssize_t stop, int kind) noexcept nogil:
    while at < stop and CLASS[base[at]] & kind:
        at += 1
    return at


cdef inline Py_ssize_t skip_text(Bytes base, Py_ssize_t at, Py_ssize_t stop) noexcept nogil:
    """Skip TEXT, eight bytes a step while none of them is below SP or DEL."""
    cdef uint64_t word, deleted
    while at + 8 <= stop:
        memcpy(&word, base + at, 8)
        deleted = word ^ EACH_7F
        if (((word - EACH_20) & ~word) | ((deleted - EACH_01) & ~deleted)) & EACH_80:
            break
        at += 8
    return skip_class(base, at, stop, TEXT)


cdef inline bint is_word(Bytes text, Py_ssize_t size, const char* word, Py_ssize_t word_size) noexcept nogil:
    """Whether text without controls is a word, in any case; the word in lower case."""
    cdef Py_ssize_t i
    if size != word_size:
        return False
    for i in range(size):
        if text[i] | 0x20 != <uint8_t>word[i]:
            return False
    return True


# -- host and path -----------------------------------------------------------------------------------------------------

cdef bint is_ipv4(Bytes text, Py_ssize_t size) noexcept nogil:
    cdef Py_ssize_t at = 0, begin
    cdef int octets = 0, value
    while True:
        begin = at
        value = 0
        while at < size and CLASS[text[at]] & DIGIT and at - begin < 3:
            value = value * 10 + text[at] - 0x30
            at += 1
        if at == begin or value > 255 or (at - begin > 1 and text[begin] == 0x30):
            return False
        octets += 1
        if at == size:
            return octets == 4
        if text[at] != 0x2E or octets == 4:
            return False
        at += 1


cdef bint is_ipv6(Bytes text, Py_ssize_t size) noexcept nogil:
    """Source: RFC 3986 section 3.2.2."""
    cdef Py_ssize_t at = 0, begin
    cdef int groups = 0
    cdef bint is_short = False
    if size >= 2 and text[0] == COLON and text[1] == COLON:
        is_short = True
        at = 2
        if size == 2:
            return True
    while groups < 8:
        begin = at
        while at < size and CLASS[text[at]] & HEXDIG:
            at += 1
        if at < size and text[at] == 0x2E and is_ipv4(text + begin, size - begin):
            groups += 2
            at = size
            break
        if at == begin or at - begin > 4:
            return False
        groups += 1
        if at == size:
            break
        if text[at] != COLON or at + 1 == size:
            return False
        at += 1
        if text[at] == COLON:
            if is_short:
                return False
            is_short = True
            at += 1
            if at == size:
                break
    return at == size and (groups <= 7 if is_short else groups == 8)


cdef bint is_ip_future(Bytes text, Py_ssize_t size) noexcept nogil:
    cdef Py_ssize_t dot, at
    if size < 4 or text[0] | 0x20 != 0x76:
        return False
    dot = skip_class(text, 1, size, HEXDIG)
    if dot == 1 or dot >= size - 1 or text[dot] != 0x2E:
        return False
    for at in range(dot + 1, size):
        if not (CLASS[text[at]] & REG_NAME or text[at] == COLON):
            return False
    return True


cdef inline bint is_escape(Bytes text, Py_ssize_t at, Py_ssize_t size) noexcept nogil:
    """Whether a percent sign begins a complete escape, of another byte than NUL."""
    if at + 2 >= size or not (CLASS[text[at + 1]] & HEXDIG and CLASS[text[at + 2]] & HEXDIG):
        return False
    return text[at + 1] != 0x30 or text[at + 2] != 0x30


cdef Py_ssize_t skip_host(Bytes text, Py_ssize_t size) noexcept nogil:
    """Skip a uri-host; 0 where there is none."""
    cdef Py_ssize_t at = 0
    cdef const void* bracket
    if size and text[0] == 0x5B:
        bracket = memchr(text, 0x5D, size)
        if bracket == NULL:
            return 0
        at = <Bytes>bracket - text
        return at + 1 if is_ipv6(text + 1, at - 1) or is_ip_future(text + 1, at - 1) else 0
    while at < size:
        if CLASS[text[at]] & REG_NAME:
            at += 1
        elif text[at] == 0x25 and is_escape(text, at, size):
            at += 3
        else:
            break
    return at


cdef bint is_authority(Bytes text, Py_ssize_t size, bint needs_port) noexcept nogil:
    cdef Py_ssize_t at = skip_host(text, size)
    cdef int port = 0
    if at == 0:
        return False
    if at < size:
        if text[at] != COLON:
            return False
        for at in range(at + 1, size):
            if not CLASS[text[at]] & DIGIT:
                return False
            port = port * 10 + text[at] - 0x30
            if port > 65535:
                return False
    return port > 0 or not needs_port


cdef bint has_valid_escapes(Bytes text, Py_ssize_t size) noexcept nogil:
    cdef const void* found
    cdef Py_ssize_t at = 0
    while True:
        found = memchr(text + at, 0x25, size - at)
        if found == NULL:
            return True
        at = <Bytes>found - text
        if not is_escape(text, at, size):
            return False
        at += 3


cdef str show(Bytes text, Py_ssize_t size):
    cdef str shown = ascii((<const char*>text)[:min(size, 80)].decode("latin-1"))
    return shown if size <= 80 else shown + "..."


# -- heads -------------------------------------------------------------------------------------------------------------

cdef struct Field:
    uint32_t name
    uint32_t name_end
    uint32_t value
    uint32_t value_end


cdef inline str decode_ascii(Bytes text, Py_ssize_t size):
    return PyUnicode_DecodeASCII(<const char*>text, size, NULL)


cdef inline str decode_value(Bytes text, Py_ssize_t size):
    return PyUnicode_DecodeUTF8(<const char*>text, size, "surrogateescape")


@cython.no_gc
cdef class _HeadBase:
    """The fields of a head: offsets into the bytes of the head."""

    cdef bytes _raw
    cdef Field* _fields
    cdef uint32_t _count
    cdef uint8_t _is_modern
    cdef readonly bint keep_alive
    cdef readonly bint upgrade
    cdef readonly bint chunked
    cdef readonly bint has_body
    cdef int64_t _content_length
    cdef tuple _raw_headers
    cdef object _headers

    def __dealloc__(self):
        PyMem_Free(self._fields)

    cdef int _keep(self, bytes raw, const Field* fields, uint32_t count) except -1:
        """Take a copy of offsets that were checked to lie in ``raw``."""
        self._raw = raw
        if count:
            self._fields = <Field*>PyMem_Malloc(count * sizeof(Field))
            if self._fields == NULL:
                raise MemoryError
            memcpy(self._fields, fields, count * sizeof(Field))
            self._count = count
        return 0

    @property
    def version(self):
        return HttpVersion11 if self._is_modern else HttpVersion10

    @property
    def content_length(self):
        return None if self._content_length < 0 else self._content_length

    @property
    def raw_headers(self):
        if self._raw_headers is None:
            self._raw_headers = raw_fields(self._raw, self._fields, self._count)
        return self._raw_headers

    @property
    def headers(self):
        """The fields as a map; values decoded as UTF-8, bytes that are not kept by surrogateescape."""
        cdef list items
        cdef Bytes base
        cdef Field* field
        cdef uint32_t i
        if self._headers is None:
            items = []
            if self._count:
                base = <Bytes>PyBytes_AS_STRING(self._raw)
                for i in range(self._count):
                    field = &self._fields[i]
                    items.append((
                        decode_ascii(base + field.name, field.name_end - field.name),
                        decode_value(base + field.value, field.value_end - field.value),
                    ))
            self._headers = CIMultiDictProxy(CIMultiDict(items))
        return self._headers

    def field(self, name):
        """Get the first value of a field by its name in any case, without making the map."""
        cdef Py_ssize_t size = 0
        cdef Bytes wanted, base
        cdef Field* field
        cdef uint32_t i
        if not PyUnicode_Check(name):
            raise TypeError(f"field() takes a str, not {type(name).__name__}")
        if not name.isascii() or not self._count:
            return None
        wanted = <Bytes>PyUnicode_AsUTF8AndSize(name, &size)
        base = <Bytes>PyBytes_AS_STRING(self._raw)
        for i in range(self._count):
            field = &self._fields[i]
            if field.name_end - field.name == size and is_name(base + field.name, wanted, size):
                return decode_value(base + field.value, field.value_end - field.value)
        return None


cdef inline uint8_t lower(uint8_t byte) noexcept nogil:
    return byte | 0x20 if 0x41 <= byte <= 0x5A else byte


cdef bint is_name(Bytes text, Bytes wanted, Py_ssize_t size) noexcept nogil:
    """Whether two names are one, in whatever case."""
    cdef Py_ssize_t i
    for i in range(size):
        if lower(text[i]) != lower(wanted[i]):
            return False
    return True


cdef tuple raw_fields(bytes raw, const Field* fields, uint32_t count):
    cdef tuple made = PyTuple_New(count)
    cdef const char* base
    cdef tuple item
    cdef uint32_t i
    if count:
        base = PyBytes_AS_STRING(raw)
        for i in range(count):
            item = (
                PyBytes_FromStringAndSize(base + fields[i].name, fields[i].name_end - fields[i].name),
                PyBytes_FromStringAndSize(base + fields[i].value, fields[i].value_end - fields[i].value),
            )
            Py_INCREF(item)
            PyTuple_SET_ITEM(made, i, item)
    return made


cdef enum Form:
    ORIGIN
    ABSOLUTE
    AUTHORITY
    ASTERISK


cdef struct Line:
    # A request line, as offsets into the head. The target begins behind the method and a space.
    uint32_t method_end
    uint32_t target_end
    uint32_t authority
    uint32_t authority_end
    uint32_t path
    uint32_t path_end  # where "?" stands, or the target ends
    uint8_t form
    uint8_t is_plain


@cython.final
@cython.no_gc
cdef class RequestHead(_HeadBase):
    """A request line and its fields, checked; read-only. Made by :class:`RequestParser` only."""

    cdef Line _line
    cdef readonly str method
    cdef str _target
    cdef str _path
    cdef str _query
    cdef readonly bint expect_continue
    cdef uint32_t _host
    cdef uint32_t _host_end  # 0 where the head has no Host

    cdef str _cut(self, uint32_t begin, uint32_t end):
        return decode_ascii(<Bytes>PyBytes_AS_STRING(self._raw) + begin, end - begin) if end > begin else ""

    @property
    def target(self):
        if self._target is None:
            self._target = self._cut(self._line.method_end + 1, self._line.target_end)
        return self._target

    @property
    def path(self):
        if self._path is None:
            if self._line.form == ABSOLUTE and self._line.path == self._line.path_end:
                self._path = "/"
            else:
                self._path = self._cut(self._line.path, self._line.path_end)
        return self._path

    @property
    def query(self):
        if self._query is None:
            self._query = self._cut(self._line.path_end + 1, self._line.target_end)
        return self._query

    @property
    def is_plain(self):
        return self._line.is_plain != 0

    cdef bint is_simple_head(self) except -1:
        return self._is_modern != 0 and self.keep_alive and not self.upgrade and self.method in PLAIN_METHODS

    @property
    def is_simple(self):
        return self.is_simple_head()

    @property
    def authority(self):
        if self._line.form != ABSOLUTE and self._line.form != AUTHORITY:
            return None
        return self._cut(self._line.authority, self._line.authority_end)

    @property
    def scheme(self):
        if self._line.form != ABSOLUTE:
            return None
        return "https" if self._line.authority - self._line.method_end == 9 else "http"

    @property
    def host(self):
        return self._cut(self._host, self._host_end) if self._host_end else None

    def __repr__(self):
        return f"<RequestHead {self.method} {self.target}>"


@cython.final
@cython.no_gc
cdef class ResponseHead(_HeadBase):
    """A status line and its fields, checked; read-only. Made by :class:`ResponseParser` only."""

    cdef readonly int status
    cdef readonly str reason
    cdef readonly bint is_interim

    def __repr__(self):
        return f"<ResponseHead {self.status} {self.reason}>"


cdef str method_name(Bytes text, Py_ssize_t size):
    if size == 3:
        if memcmp(text, b"GET", 3) == 0:
            return "GET"
        if memcmp(text, b"PUT", 3) == 0:
            return "PUT"
    elif size == 4:
        if memcmp(text, b"POST", 4) == 0:
            return "POST"
        if memcmp(text, b"HEAD", 4) == 0:
            return "HEAD"
    elif size == 5:
        if memcmp(text, b"PATCH", 5) == 0:
            return "PATCH"
        if memcmp(text, b"TRACE", 5) == 0:
            return "TRACE"
    elif size == 6:
        if memcmp(text, b"DELETE", 6) == 0:
            return "DELETE"
    elif size == 7:
        if memcmp(text, b"OPTIONS", 7) == 0:
            return "OPTIONS"
        if memcmp(text, b"CONNECT", 7) == 0:
            return "CONNECT"
    return decode_ascii(text, size)


# -- parsers -----------------------------------------------------------------------------------------------------------

cdef enum State:
    HEAD
    BODY_BY_LENGTH
    BODY_UNTIL_EOF
    CHUNK_LINE
    CHUNK_DATA
    CHUNK_DATA_END
    TRAILERS
    END
    PAUSE
    FINISHED
    TAKEN

cdef enum Row:
    LINE_END
    SECTION_END
    METHOD_START
    METHOD
    TARGET_START
    TARGET_ROW
    RESPONSE_START
    REQUEST_VERSION
    VERSION
    STATUS
    STATUS_END
    REASON
    FIELD_START
    NAME
    VALUE
    SIZE_START
    SIZE
    BEFORE_SEMICOLON
    EXT_START
    EXT_NAME
    AFTER_EXT_NAME
    EXT_VALUE_START
    EXT_TOKEN
    EXT_QUOTED
    EXT_ESCAPE
    EXT_QUOTED_END
    DATA_END

cdef tuple WHERE = (
    "after CR, expected LF",
    "after CR, expected LF",
    "at the start of a request",
    "in the method",
    "at the start of the request target",
    "in the request target",
    "at the start of a response",
    "in the HTTP version",
    "in the HTTP version",
    "in the status code",
    "in the status code",
    "in the reason phrase",
    "at the start of a field line",
    "in a field name",
    "in a field value",
    "in a chunk size",
    "in a chunk size",
    *("in a chunk extension",) * 9,
    "after the data of a chunk, expected CR",
)

cdef enum Seen:
    CLOSE = 1
    KEEP_ALIVE = 2
    UPGRADE = 4
    UPGRADE_FIELD = 8
    EXPECT_CONTINUE = 16
    CONTENT_TYPE = 32
    AUTHORIZATION = 64
    CONTENT_RANGE = 128
    CHUNKED = 256
    HOST = 512
    EXPECT_OTHER = 1024

cdef enum:
    FEW_FIELDS = 24

cdef struct Scan:
    # Lines that are read together, as far as they came: a head or a trailer section. Offsets count from its start.
    Bytes base
    Py_ssize_t at
    Py_ssize_t line
    Py_ssize_t max_line
    Py_ssize_t mark  # where the row before this was left: colon of a field, start of version or status
    int row
    uint8_t is_start_line
    uint8_t is_trailer
    uint8_t major
    uint8_t minor
    # what the fields say about the message
    uint32_t seen
    uint32_t host
    uint32_t host_end
    uint32_t expect
    uint32_t expect_end
    int64_t content_length
    Line request
    int status
    uint32_t reason
    uint32_t reason_end
    # fields, in `few` or in the parser's own array
    uint32_t count
    uint32_t room
    Field* fields
    # a copy of what came, where the section was cut
    uint8_t* partial
    Py_ssize_t partial_size
    Py_ssize_t partial_room
    Field few[FEW_FIELDS]


@cython.no_gc
cdef class _Parser:
    """What parsers of both directions do: buffering, lines, fields, bodies."""

    cdef bytes _data
    cdef Py_ssize_t _pos
    cdef Py_ssize_t _size
    cdef object _more  # reads that wait behind the one at hand; None for none
    cdef Py_ssize_t _waiting  # their bytes
    cdef Scan* _scan  # a section that was cut
    cdef Field* _fields  # of a section with more than a few
    cdef tuple _trailers
    cdef tuple _refusal
    cdef int64_t _remaining
    cdef int64_t _chunk_size
    cdef int _max_line
    cdef int _max_field
    cdef int _max_fields
    cdef int _max_head
    cdef int _max_chunk_line
    cdef int _line_size  # bytes of a chunk line that is not complete
    cdef uint8_t _digits
    cdef uint8_t _row  # in a chunk line
    cdef uint8_t _state
    cdef uint8_t _first_row
    cdef uint8_t _serving
    cdef uint8_t _pausing
    cdef uint8_t _eof
    cdef uint8_t _chunk_marks

    def __init__(self, limits=DEFAULT_LIMITS, *, bint chunk_marks=False):
        self._release()
        self._max_line = min(limits.max_line_bytes, MOST_LIMIT)
        self._max_field = min(limits.max_field_bytes, MOST_LIMIT)
        self._max_fields = min(limits.max_fields, MOST_LIMIT)
        self._max_head = min(limits.max_head_bytes, MOST_LIMIT)
        self._max_chunk_line = min(limits.max_chunk_line_bytes, MOST_LIMIT)
        self._chunk_marks = chunk_marks
        self._state = HEAD
        self._serving = True
        self._pausing = self._eof = False
        self._trailers = ()
        self._refusal = None

    def __dealloc__(self):
        self._free()

    # what a user calls

    cpdef feed_data(self, data):
        """Give received bytes to the parser.

        Args:
            data: bytes as they came from the socket; kept, not copied, until they were consumed.

        Raises:
            RemoteProtocolError: the parser is dead, by an error that it raised before.
            RuntimeError: called after ``feed_eof()`` or ``take_rest()``; a bug in the caller.
        """
        if self._refusal is not None:
            self._raise()
        if not PyBytes_CheckExact(data):
            raise TypeError(f"feed_data() takes bytes, not {type(data).__name__}")
        if self._state == TAKEN:
            raise RuntimeError("feed_data() after take_rest(): these bytes belong to who took the connection")
        if self._eof:
            raise RuntimeError("feed_data() after feed_eof()")
        if self._state == FINISHED or PyBytes_GET_SIZE(data) == 0:
            return
        if self._pos == self._size and self._more is None:
            self._data = data
            self._pos = 0
            self._size = PyBytes_GET_SIZE(data)
        else:
            self._put_behind(data)

    def feed_eof(self):
        """Say that no more bytes will come; the next events tell whether a message was cut short.

        Raises:
            RemoteProtocolError: the parser is dead, by an error that it raised before.
        """
        if self._refusal is not None:
            self._raise()
        self._eof = True

    cpdef next_event(self):
        """Take the next event that is complete.

        Returns:
            A head, then bytes of its decoded content, then ``END_OF_MESSAGE``; ``PAUSED`` for as long as an offered
            upgrade is neither taken nor declined; ``CHUNK_END`` between chunks from a parser made with
            ``chunk_marks=True``; None where more input is needed, or after the last message of a connection.

        Raises:
            RemoteProtocolError: the peer broke HTTP/1.1; ``status_hint`` is what to answer. The parser is dead then:
                every later call raises the same error.
        """
        if self._refusal is not None:
            self._raise()
        event = self._step()
        while event is GO_ON:
            event = self._step()
        if event is None and self._eof:
            return self._finish()
        return event

    def resume(self):
        """Decline the upgrade that paused the parser: what follows is HTTP/1.1 again.

        Raises:
            RemoteProtocolError: the parser is dead, by an error that it raised before.
            RuntimeError: the parser is not paused.
        """
        self._check_paused("resume")
        self._state = HEAD if self._serving else FINISHED

    def take_rest(self):
        """Accept the upgrade that paused the parser, and take the bytes that came after the message.

        Returns:
            Bytes that were fed and not consumed. The parser is finished then.

        Raises:
            RemoteProtocolError: the parser is dead, by an error that it raised before.
            RuntimeError: the parser is not paused.
        """
        self._check_paused("take_rest")
        rest = b"" if self._pos == self._size else self._data[self._pos :]
        if self._more is not None:
            rest += b"".join(self._more)
        self._release()
        self._state = TAKEN
        return rest

    @property
    def buffered(self):
        """Bytes that were fed and not consumed yet."""
        return self._count_buffered()

    @property
    def is_idle(self):
        """Whether no byte of a message was seen since the last one ended."""
        return self._is_between() and self._count_buffered() == 0

    @property
    def trailers(self):
        """The trailer fields of the last complete message, as sent. Source: RFC 9110 section 6.5."""
        return self._trailers

    # what the directions differ in

    cdef int _may_start(self) except -1:
        return 1

    cdef int _end_start_line(self, Scan* s) except -1:
        return 0

    cdef int _read_field(self, Scan* s, Bytes name, Py_ssize_t size, Bytes value, Py_ssize_t value_size) except -1:
        return 0

    cdef object _end_head(self, Scan* s):
        return None

    cdef int _message_ended(self) except -1:
        return 0

    cdef bint _expects_more(self) noexcept:
        return False

    # states

    cdef int _raise(self) except -1:
        kind, message, status = self._refusal
        raise kind(message, status)

    cdef int _refuse(self, str message, object kind=RemoteProtocolError, object status=None) except -1:
        """Kill the parser. Frees all buffers: callers touch none after this."""
        self._refusal = (kind, message, status)
        self._release()
        raise kind(message, status)

    cdef int _refuse_byte(self, uint8_t byte, int row) except -1:
        return self._refuse(f"invalid byte 0x{byte:02x} {WHERE[row]}")

    cdef int _check_paused(self, str caller) except -1:
        if self._refusal is not None:
            self._raise()
        if self._state != PAUSE:
            raise RuntimeError(f"{caller}() is for a parser that gave PAUSED")
        return 0

    cdef void _free(self) noexcept:
        if self._scan != NULL:
            PyMem_Free(self._scan.partial)
            PyMem_Free(self._scan)
            self._scan = NULL
        if self._fields != NULL:
            PyMem_Free(self._fields)
            self._fields = NULL

    cdef void _release(self) noexcept:
        self._data = None
        self._pos = self._size = 0
        self._more = None
        self._waiting = 0
        self._line_size = 0
        self._free()

    cdef int _give_up(self) except -1:
        """Fail for want of memory, with no half a section left."""
        self._release()
        raise MemoryError

    cdef bint _is_between(self) noexcept:
        return self._state == HEAD or self._state == PAUSE or self._state == FINISHED or self._state == TAKEN

    cdef Py_ssize_t _count_buffered(self) except -1:
        cdef Py_ssize_t held = self._size - self._pos + self._line_size + self._waiting
        if self._scan != NULL:
            held += self._scan.partial_size
        return held

    cdef object _step(self):
        if self._state == HEAD:
            return self._step_head()
        if self._state == END:
            return self._step_end()
        if self._state == BODY_BY_LENGTH:
            return self._step_body_by_length()
        if self._state == BODY_UNTIL_EOF:
            return self._take_piece(self._size)
        if self._state == TRAILERS:
            return self._step_trailers()
        if self._state == PAUSE:
            return PAUSED
        if self._state == FINISHED or self._state == TAKEN:
            self._release()
            return None
        return self._step_chunk() if self._chunk_marks else self._join_chunks()

    cdef object _finish(self):
        if self._state == BODY_UNTIL_EOF:
            return self._step_end()
        if self._state == HEAD:
            if self._scan != NULL:
                self._refuse("connection closed in the middle of a head")
            if self._expects_more():
                self._refuse("connection closed before the response")
            return None
        if self._is_between():
            return None
        self._refuse("connection closed in the middle of a body")

    cdef object _step_head(self):
        cdef Scan local
        cdef Scan* s
        if self._scan == NULL:
            if not self._fill() or not self._may_start():
                return None
            begin_scan(&local, self._first_row, self._max_line)
        s = self._read_section(&local)
        if s == NULL:
            return None
        head = self._end_head(s)
        self._close_section(s)
        return head

    cdef object _step_end(self):
        self._message_ended()
        if self._pausing:
            self._state = PAUSE
        elif self._serving:
            self._state = HEAD
        else:
            self._state = FINISHED
            self._release()
        return END_OF_MESSAGE

    cdef void _begin_body(self, Scan* s) noexcept:
        if s.seen & CHUNKED:
            self._state = CHUNK_LINE
            self._begin_chunk_line(SIZE_START)
        elif s.content_length > 0:
            self._state = BODY_BY_LENGTH
            self._remaining = s.content_length
        else:
            self._state = END

    cdef object _step_body_by_length(self):
        piece = self._take_piece(self._remaining)
        if piece is not None:
            self._remaining -= PyBytes_GET_SIZE(piece)
            if self._remaining == 0:
                self._state = END
        return piece

    cdef object _join_chunks(self):
        """Take the content of all chunks at hand as one piece."""
        cdef list pieces = None
        cdef object first = None, event
        while CHUNK_LINE <= self._state <= CHUNK_DATA_END:
            try:
                event = self._step_chunk()
            except RemoteProtocolError:
                if first is None:
                    raise
                break
            if event is None:
                break
            if event is GO_ON:
                continue
            if first is None:
                first = event
            elif pieces is None:
                pieces = [first, event]
            else:
                pieces.append(event)
        if pieces is not None:
            return b"".join(pieces)
        if first is not None:
            return first
        return None if CHUNK_LINE <= self._state <= CHUNK_DATA_END else GO_ON

    cdef object _step_chunk(self):
        if self._state == CHUNK_DATA:
            piece = self._take_piece(self._remaining)
            if piece is not None:
                self._remaining -= PyBytes_GET_SIZE(piece)
                if self._remaining == 0:
                    self._state = CHUNK_DATA_END
                    self._begin_chunk_line(DATA_END)
            return piece
        while not self._scan_chunk_line():
            if not self._fill():
                return None
        if self._state == CHUNK_DATA_END:
            self._state = CHUNK_LINE
            self._begin_chunk_line(SIZE_START)
            return CHUNK_END if self._chunk_marks else GO_ON
        if self._digits > MAX_CHUNK_SIZE_DIGITS:
            self._refuse(f"chunk size has over {MAX_CHUNK_SIZE_DIGITS} digits")
        self._line_size = 0
        self._remaining = self._chunk_size
        self._state = CHUNK_DATA if self._chunk_size else TRAILERS
        return GO_ON

    cdef object _step_trailers(self):
        cdef Scan local
        cdef Scan* s
        if self._scan == NULL:
            if not self._fill():
                return None
            begin_scan(&local, FIELD_START, self._max_field)
            local.is_trailer = True
        s = self._read_section(&local)
        if s == NULL:
            return None
        if s.count:
            raw = PyBytes_FromStringAndSize(<const char*>s.base, s.at)
            self._trailers = raw_fields(raw, s.fields, s.count)
        else:
            self._trailers = ()
        self._close_section(s)
        self._state = END
        return GO_ON

    # bytes

    cdef int _fill(self) except -1:
        """Have a byte at hand; 0 where all input is consumed."""
        if self._pos < self._size:
            return 1
        self._pos = self._size = 0
        if self._more is None:
            self._data = None
            return 0
        self._data = self._more.popleft()
        self._size = PyBytes_GET_SIZE(self._data)
        self._waiting -= self._size
        if not self._more:
            self._more = None
        return 1

    cdef int _put_behind(self, bytes data) except -1:
        """Let a read wait; small ones together, since each bytes object costs more than a few bytes."""
        if self._more is None:
            self._more = deque()
        if self._more and len(self._more[-1]) + PyBytes_GET_SIZE(data) <= JOINED_READ_BYTES:
            self._more[-1] += data
        else:
            self._more.append(data)
        self._waiting += PyBytes_GET_SIZE(data)
        return 0

    cdef object _take_piece(self, int64_t size):
        """Take content as it lies in the input, without a copy where it is all of a read."""
        cdef bytes piece
        cdef Py_ssize_t pos
        if not self._fill():
            return None
        pos = self._pos
        if self._state == BODY_UNTIL_EOF or size >= self._size - pos:
            piece = self._data
            if pos:
                piece = PyBytes_FromStringAndSize(PyBytes_AS_STRING(self._data) + pos, self._size - pos)
            self._data = None
            self._pos = self._size = 0
            return piece
        self._pos = pos + size
        return PyBytes_FromStringAndSize(PyBytes_AS_STRING(self._data) + pos, size)

    # lines of heads and trailers

    cdef Scan* _read_section(self, Scan* local) except? NULL:
        """Read lines to the blank one; NULL where it has not come. What it gives is for _close_section()."""
        cdef Scan* s = self._scan
        if s == NULL:
            local.base = <Bytes>PyBytes_AS_STRING(self._data) + self._pos
            if self._scan_lines(local, self._size - self._pos):
                return local
            s = self._keep_scan(local)
        while self._fill():
            self._append_line(s)
            if self._scan_lines(s, s.partial_size):
                return s
        return NULL

    cdef int _close_section(self, Scan* s) except -1:
        if s != self._scan:
            self._pos += s.at
        self._free()
        return 0

    cdef Scan* _keep_scan(self, Scan* local) except NULL:
        """Go on later: keep the scan and the bytes it has seen, which are all that came."""
        cdef Scan* s = <Scan*>PyMem_Malloc(sizeof(Scan))
        if s == NULL:
            self._give_up()
        memcpy(s, local, sizeof(Scan))
        if s.fields == local.few:
            s.fields = s.few
        s.partial = NULL
        s.partial_size = s.partial_room = 0
        self._scan = s
        self._append(s, self._size - self._pos)
        return s

    cdef int _append_line(self, Scan* s) except -1:
        """Move input up to an LF to a section that was cut."""
        cdef Py_ssize_t size = min(self._size - self._pos, <Py_ssize_t>self._max_head + 2)
        cdef Bytes begin = <Bytes>PyBytes_AS_STRING(self._data) + self._pos
        cdef const void* lf = memchr(begin, LF, size)
        if lf != NULL:
            size = <Bytes>lf - begin + 1
        return self._append(s, size)

    cdef int _append(self, Scan* s, Py_ssize_t size) except -1:
        cdef Py_ssize_t needed = s.partial_size + size
        cdef uint8_t* moved
        if needed > s.partial_room:
            needed += needed // 2 + 64
            moved = <uint8_t*>PyMem_Realloc(s.partial, needed)
            if moved == NULL:
                self._give_up()
            s.partial = moved
            s.partial_room = needed
        memcpy(s.partial + s.partial_size, PyBytes_AS_STRING(self._data) + self._pos, size)
        s.partial_size += size
        s.base = s.partial
        self._pos += size
        return 0

    cdef int _check_limits(self, Scan* s, int row, Py_ssize_t at) except -1:
        """Refuse a byte that is over a limit; the checks and their order are those of ``_pure``."""
        cdef uint8_t byte = s.base[at]
        cdef str section = "trailer section" if s.is_trailer else "head"
        if at >= self._max_head:
            self._refuse(f"{section} is over {self._max_head} bytes (Limits.max_head_bytes)", HeadTooLarge)
        if row == FIELD_START and byte != CR and <int64_t>s.count >= self._max_fields:
            self._refuse(f"{section} has over {self._max_fields} fields (Limits.max_fields)", HeadTooLarge)
        if at >= s.line + s.max_line and byte != CR and row != LINE_END and row != SECTION_END:
            if not s.is_start_line:
                self._refuse(f"field line is over {self._max_field} bytes (Limits.max_field_bytes)", HeadTooLarge)
            if self._first_row == METHOD_START:
                self._refuse(f"request line is over {self._max_line} bytes (Limits.max_line_bytes)", TargetTooLong)
            self._refuse(f"status line is over {self._max_line} bytes (Limits.max_line_bytes)", HeadTooLarge)
        return 0

    cdef int _scan_lines(self, Scan* s, Py_ssize_t end) except -1:
        """Run lines through the automaton of ``_pure``; 1 behind the blank line, 0 where input ends before it.

        Reads ``s.base[at]`` for ``at < end`` only.
        """
        cdef Bytes base = s.base
        cdef Py_ssize_t at = s.at
        cdef Py_ssize_t stop = min(end, self._max_head, s.line + s.max_line)
        cdef int row = s.row
        cdef uint8_t byte
        while True:
            # the bytes that stay in the row
            if row == NAME or row == METHOD:
                at = skip_class(base, at, stop, TCHAR)
            elif row == VALUE or row == REASON:
                at = skip_text(base, at, stop)
            elif row == TARGET_ROW:
                at = skip_class(base, at, stop, TARGET)
            elif row == REQUEST_VERSION and at + 10 <= stop and memcmp(base + at, b"HTTP/1.1\r\n", 10) == 0:
                s.major = s.minor = 1
                at += 9
                row = LINE_END
            if at == end:
                s.at = at
                s.row = row
                return 0
            if at >= stop or row == FIELD_START:
                self._check_limits(s, row, at)
            # the byte that leads on
            byte = base[at]
            at += 1
            if row == FIELD_START:
                if CLASS[byte] & TCHAR:
                    row = NAME
                elif byte == CR:
                    row = SECTION_END
                else:
                    self._refuse_byte(byte, row)
            elif row == NAME:
                if byte != COLON:
                    self._refuse_byte(byte, row)
                s.mark = at
                row = VALUE
            elif row == VALUE:
                if byte != CR:
                    self._refuse_byte(byte, row)
                row = LINE_END
            elif row == LINE_END:
                if byte != LF:
                    self._refuse_byte(byte, row)
                if s.is_start_line:
                    self._end_start_line(s)
                    s.is_start_line = False
                    s.max_line = self._max_field
                else:
                    self._end_field(s, at - 2)
                s.line = at
                stop = min(end, self._max_head, at + s.max_line)
                row = FIELD_START
            elif row == SECTION_END:
                if byte != LF:
                    self._refuse_byte(byte, row)
                s.at = at
                return 1
            else:
                row = self._leave_start_row(s, row, at - 1, byte)

    cdef int _leave_start_row(self, Scan* s, int row, Py_ssize_t at, uint8_t byte) except -1:
        """Find the row behind one of a start line."""
        if row == METHOD_START and CLASS[byte] & TCHAR:
            return METHOD
        if row == METHOD and byte == SP:
            s.request.method_end = at
            return TARGET_START
        if row == TARGET_START and CLASS[byte] & TARGET:
            return TARGET_ROW
        if row == TARGET_ROW and byte == SP:
            s.request.target_end = at
            return REQUEST_VERSION
        if (row == REQUEST_VERSION or row == RESPONSE_START) and byte == 0x48:
            s.mark = at
            return VERSION
        if row == VERSION:
            return self._leave_version(s, at - s.mark, byte)
        if row == STATUS and CLASS[byte] & DIGIT:
            s.status = s.status * 10 + byte - 0x30
            return STATUS_END if at - s.mark == 11 else STATUS
        if row == STATUS_END and byte == SP:
            s.reason = at + 1
            return REASON
        if row == STATUS_END and byte == CR:
            s.reason = s.reason_end = at
            return LINE_END
        if row == REASON and byte == CR:
            s.reason_end = at
            return LINE_END
        return self._refuse_byte(byte, row)

    cdef int _leave_version(self, Scan* s, Py_ssize_t place, uint8_t byte) except -1:
        if place < 5 and byte == <uint8_t>HTTP[place]:
            return VERSION
        if place == 5 and CLASS[byte] & DIGIT:
            s.major = byte - 0x30
            return VERSION
        if place == 6 and byte == 0x2E:
            return VERSION
        if place == 7 and CLASS[byte] & DIGIT:
            s.minor = byte - 0x30
            return VERSION
        if place == 8 and self._first_row == METHOD_START and byte == CR:
            return LINE_END
        if place == 8 and self._first_row != METHOD_START and byte == SP:
            return STATUS
        return self._refuse_byte(byte, VERSION)

    cdef int _end_field(self, Scan* s, Py_ssize_t value_end) except -1:
        cdef Bytes base = s.base
        cdef Py_ssize_t value = s.mark, name_end = s.mark - 1
        cdef Field* field
        while value < value_end and (base[value] == SP or base[value] == HTAB):
            value += 1
        while value < value_end and (base[value_end - 1] == SP or base[value_end - 1] == HTAB):
            value_end -= 1
        if s.count == s.room:
            self._grow(s)
        field = &s.fields[s.count]
        field.name = s.line
        field.name_end = name_end
        field.value = value
        field.value_end = value_end
        s.count += 1
        if s.is_trailer:
            return 0
        return self._read_field(s, base + s.line, name_end - s.line, base + value, value_end - value)

    cdef int _grow(self, Scan* s) except -1:
        """Have room for more fields, in an array that the parser owns, whatever becomes of the scan."""
        cdef Field* fields = <Field*>PyMem_Realloc(self._fields, 2 * s.room * sizeof(Field))
        if fields == NULL:
            self._give_up()
        if self._fields == NULL:
            memcpy(fields, s.fields, s.count * sizeof(Field))
        self._fields = s.fields = fields
        s.room *= 2
        return 0

    # lines of chunks

    cdef void _begin_chunk_line(self, int row) noexcept:
        self._row = row
        self._line_size = 0
        self._chunk_size = 0
        self._digits = 0

    cdef int _scan_chunk_line(self) except -1:
        """Run a chunk's line through the automaton of ``_pure``; 1 behind its LF, 0 where input ends before it."""
        cdef Bytes base
        cdef Py_ssize_t at = self._pos, end = self._size, begin = self._pos - self._line_size
        cdef Py_ssize_t stop = begin + self._max_chunk_line
        cdef int row = self._row
        cdef uint8_t byte
        if at == end:
            return 0
        base = <Bytes>PyBytes_AS_STRING(self._data)
        while at < end:
            byte = base[at]
            if at >= stop and byte != CR and row != LINE_END and row != DATA_END:
                self._refuse(f"chunk line is over {self._max_chunk_line} bytes (Limits.max_chunk_line_bytes)")
            at += 1
            if row == LINE_END:
                if byte != LF:
                    self._refuse_byte(byte, row)
                self._pos = at
                self._line_size = 0
                return 1
            if row <= SIZE and CLASS[byte] & HEXDIG:
                self._add_digit(byte)
                row = SIZE
            else:
                row = leave_chunk_row(row, byte)
                if row < 0:
                    self._refuse_byte(byte, -1 - row)
        self._row = row
        self._line_size += at - self._pos
        self._pos = at
        return 0

    cdef void _add_digit(self, uint8_t byte) noexcept:
        """Add a digit to the chunk's size, as long as it has not too many; leading zeros don't count."""
        if self._digits == 0 and byte == 0x30:
            return
        if self._digits <= MAX_CHUNK_SIZE_DIGITS:
            self._digits += 1
        if self._digits <= MAX_CHUNK_SIZE_DIGITS:
            self._chunk_size = self._chunk_size << 4 | (byte - 0x30 if byte < 0x3A else (byte | 0x20) - 0x57)

    # fields that both directions read the same

    cdef int _read_framing(self, Scan* s, Bytes name, Py_ssize_t size, Bytes value, Py_ssize_t value_size) except -1:
        if size == 10 and is_word(name, size, b"connection", 10):
            read_connection(s, value, value_size)
        elif size == 14 and is_word(name, size, b"content-length", 14):
            self._read_content_length(s, value, value_size)
        elif size == 17 and is_word(name, size, b"transfer-encoding", 17):
            if s.seen & CHUNKED:
                self._refuse("Transfer-Encoding is repeated")
            if not is_word(value, value_size, b"chunked", 7):
                self._refuse(f"Transfer-Encoding is not chunked: {show(value, value_size)}")
            s.seen |= CHUNKED
        elif size == 7 and value_size and is_word(name, size, b"upgrade", 7):
            s.seen |= UPGRADE_FIELD
        return 0

    cdef int _read_content_length(self, Scan* s, Bytes value, Py_ssize_t size) except -1:
        cdef int64_t length = 0
        cdef Py_ssize_t i = 0
        if s.content_length >= 0:
            self._refuse("Content-Length is repeated")
        if size == 0 or skip_class(value, 0, size, DIGIT) != size:
            self._refuse(f"Content-Length is not a number: {show(value, size)}")
        while i < size and value[i] == 0x30:
            i += 1
        if size - i > MAX_CONTENT_LENGTH_DIGITS:
            self._refuse(f"Content-Length has over {MAX_CONTENT_LENGTH_DIGITS} digits: {show(value, size)}")
        while i < size:
            length = length * 10 + value[i] - 0x30
            i += 1
        s.content_length = length
        return 0

    cdef int _check_framing(self, Scan* s) except -1:
        if s.seen & CHUNKED:
            if s.minor == 0:
                self._refuse("Transfer-Encoding in HTTP/1.0")
            if s.content_length >= 0:
                self._refuse("both Content-Length and Transfer-Encoding")
        return 0

    cdef bytes _take_head(self, Scan* s):
        """The bytes of a complete head: the input itself where it is nothing else."""
        if s != self._scan and self._pos == 0 and s.at == self._size:
            return self._data
        return PyBytes_FromStringAndSize(<const char*>s.base, s.at)


cdef inline void begin_scan(Scan* s, int row, int max_line) noexcept:
    s.at = s.line = s.mark = 0
    s.max_line = max_line
    s.row = row
    s.is_start_line = row != FIELD_START
    s.is_trailer = False
    s.seen = s.host = s.host_end = s.expect = s.expect_end = 0
    s.content_length = -1
    s.status = 0
    s.reason = s.reason_end = 0
    s.count = 0
    s.room = FEW_FIELDS
    s.fields = s.few


cdef inline bint keeps_alive(const Scan* s) noexcept:
    return not s.seen & CLOSE and (s.minor > 0 or s.seen & KEEP_ALIVE)


cdef void read_connection(Scan* s, Bytes value, Py_ssize_t size) noexcept:
    cdef Py_ssize_t begin = 0, comma, left, right
    while begin <= size:
        comma = begin
        while comma < size and value[comma] != 0x2C:
            comma += 1
        left = begin
        right = comma
        while left < right and (value[left] == SP or value[left] == HTAB):
            left += 1
        while left < right and (value[right - 1] == SP or value[right - 1] == HTAB):
            right -= 1
        if is_word(value + left, right - left, b"keep-alive", 10):
            s.seen |= KEEP_ALIVE
        elif is_word(value + left, right - left, b"close", 5):
            s.seen |= CLOSE
        elif is_word(value + left, right - left, b"upgrade", 7):
            s.seen |= UPGRADE
        begin = comma + 1


cdef int leave_chunk_row(int row, uint8_t byte) noexcept:
    """Find the row of a chunk line behind this one; -1 - row where the byte fits nowhere."""
    cdef bint is_blank = byte == SP or byte == HTAB
    if row == DATA_END:
        return LINE_END if byte == CR else -1 - row
    if row == EXT_QUOTED:
        if CLASS[byte] & QUOTED:
            return row
        if byte == BACKSLASH:
            return EXT_ESCAPE
        return EXT_QUOTED_END if byte == QUOTE else -1 - row
    if row == EXT_ESCAPE:
        return EXT_QUOTED if CLASS[byte] & TEXT else -1 - row
    if row == EXT_START or row == EXT_VALUE_START:
        if is_blank:
            return row
        if CLASS[byte] & TCHAR:
            return EXT_NAME if row == EXT_START else EXT_TOKEN
        return EXT_QUOTED if byte == QUOTE and row == EXT_VALUE_START else -1 - row
    if row == SIZE_START:
        return -1 - row
    # behind a size, a name or a value
    if (row == EXT_NAME or row == EXT_TOKEN) and CLASS[byte] & TCHAR:
        return row
    if byte == SEMICOLON:
        return EXT_START
    if byte == EQUALS and (row == EXT_NAME or row == AFTER_EXT_NAME):
        return EXT_VALUE_START
    if is_blank:
        return AFTER_EXT_NAME if row == EXT_NAME or row == AFTER_EXT_NAME else BEFORE_SEMICOLON
    if byte == CR and row != BEFORE_SEMICOLON and row != AFTER_EXT_NAME:
        return LINE_END
    return -1 - row


@cython.final
@cython.no_gc
cdef class RequestParser(_Parser):
    """Read requests from the bytes of one connection, whatever way they were cut.

    Args:
        limits: what bounds a message; every error of size names the field to raise.
        chunk_marks: give each chunk's bytes by themselves, and ``CHUNK_END`` after each.

    Source: RFC 9112, strict where it allows both.
    """

    cdef uint8_t _empty_line

    def __init__(self, limits=DEFAULT_LIMITS, *, bint chunk_marks=False):
        _Parser.__init__(self, limits, chunk_marks=chunk_marks)
        self._first_row = METHOD_START
        self._empty_line = 0

    cdef int _may_start(self) except -1:
        if self._empty_line == 2:
            return 1
        if self._empty_line == 0:
            if PyBytes_AS_STRING(self._data)[self._pos] != CR:
                return 1
            self._empty_line = 1
            self._pos += 1
            if not self._fill():
                return 0
        if PyBytes_AS_STRING(self._data)[self._pos] != LF:
            self._refuse_byte(PyBytes_AS_STRING(self._data)[self._pos], LINE_END)
        self._empty_line = 2
        self._pos += 1
        return self._fill()

    cdef int _end_start_line(self, Scan* s) except -1:
        if <Py_ssize_t>s.request.method_end > MAX_METHOD_BYTES:
            self._refuse(
                f"method is over {MAX_METHOD_BYTES} bytes: {show(s.base, s.request.method_end)}", RemoteProtocolError, 501
            )
        if s.major != 1:
            self._refuse(f"HTTP version {s.major}.{s.minor} is not 1.0 or 1.1", RemoteProtocolError, 505)
        return self._read_target(s)

    cdef int _read_target(self, Scan* s) except -1:
        cdef Line* line = &s.request
        cdef uint32_t begin = line.method_end + 1
        cdef Bytes target = s.base + begin
        cdef Py_ssize_t size = line.target_end - begin, scheme
        cdef const void* mark
        line.path = begin
        line.path_end = line.target_end
        line.is_plain = True
        if line.method_end == 7 and memcmp(s.base, b"CONNECT", 7) == 0:
            if not is_authority(target, size, True):
                self._refuse(f"target of CONNECT is not host:port: {show(target, size)}")
            line.form = AUTHORITY
            line.authority = begin
            line.authority_end = line.path = line.target_end
            return 0
        if target[0] == 0x2F:
            line.form = ORIGIN
        elif size == 1 and target[0] == 0x2A:
            if not (line.method_end == 7 and memcmp(s.base, b"OPTIONS", 7) == 0):
                self._refuse("target * is for OPTIONS only")
            line.form = ASTERISK
            return 0
        else:
            scheme = 7 if size >= 7 and is_word(target, 7, b"http://", 7) else 0
            if scheme == 0 and size >= 8 and is_word(target, 8, b"https://", 8):
                scheme = 8
            if scheme == 0:
                self._refuse(f"target is neither a path nor an http URI: {show(target, size)}")
            line.form = ABSOLUTE
            line.authority = begin + scheme
            line.path = line.authority
            while line.path < line.target_end and s.base[line.path] != 0x2F and s.base[line.path] != 0x3F:
                line.path += 1
            line.authority_end = line.path
            if not is_authority(target + scheme, line.path - line.authority, False):
                self._refuse(f"target has no valid host: {show(target, size)}")
        mark = memchr(s.base + line.path, 0x3F, line.target_end - line.path)
        if mark != NULL:
            line.path_end = <Bytes>mark - s.base
        if skip_class(s.base, line.path, line.path_end, PLAIN) != line.path_end:
            line.is_plain = False
            if not has_valid_escapes(s.base + line.path, line.path_end - line.path):
                self._refuse(f"target has a bad percent escape: {show(target, size)}")
        return 0

    cdef int _read_field(self, Scan* s, Bytes name, Py_ssize_t size, Bytes value, Py_ssize_t value_size) except -1:
        if size == 4:
            if is_word(name, 4, b"host", 4):
                return self._read_host(s, value, value_size)
        elif size == 6:
            if is_word(name, 6, b"expect", 6):
                read_expect(s, value, value_size)
        elif size == 12:
            if is_word(name, 12, b"content-type", 12):
                return self._read_singleton(s, CONTENT_TYPE, "Content-Type")
        elif size == 13:
            if is_word(name, 13, b"authorization", 13):
                return self._read_singleton(s, AUTHORIZATION, "Authorization")
            if is_word(name, 13, b"content-range", 13):
                return self._read_singleton(s, CONTENT_RANGE, "Content-Range")
        elif 7 <= size <= 17:
            return self._read_framing(s, name, size, value, value_size)
        return 0

    cdef int _read_host(self, Scan* s, Bytes value, Py_ssize_t size) except -1:
        if s.seen & HOST:
            self._refuse("Host is repeated")
        if size and not is_authority(value, size, False):
            self._refuse(f"Host is not host[:port]: {show(value, size)}")
        s.seen |= HOST
        s.host = value - s.base
        s.host_end = s.host + size
        return 0

    cdef int _read_singleton(self, Scan* s, uint32_t flag, str name) except -1:
        if s.seen & flag:
            self._refuse(f"{name} is repeated")
        s.seen |= flag
        return 0

    cdef object _end_head(self, Scan* s):
        cdef RequestHead head
        cdef bint is_connect = s.request.form == AUTHORITY
        if s.minor > 0 and not s.seen & HOST:
            self._refuse("Host is missing")
        self._check_framing(s)
        if is_connect and (s.seen & CHUNKED or s.content_length > 0):
            self._refuse("CONNECT with content")
        if s.seen & EXPECT_OTHER and s.minor > 0:
            self._refuse(
                f"expectation is not 100-continue: {show(s.base + s.expect, s.expect_end - s.expect)}", RemoteProtocolError, 417
            )
        head = RequestHead.__new__(RequestHead)
        head._keep(self._take_head(s), s.fields, s.count)
        head._line = s.request
        head._is_modern = s.minor > 0
        head._content_length = s.content_length
        head._host = s.host
        head._host_end = s.host_end
        head.method = method_name(s.base, s.request.method_end)
        head.keep_alive = keeps_alive(s)
        head.chunked = s.seen & CHUNKED != 0
        head.has_body = head.chunked or s.content_length > 0
        head.upgrade = s.minor > 0 and s.seen & UPGRADE != 0 and s.seen & UPGRADE_FIELD != 0
        head.expect_continue = s.minor > 0 and head.has_body and s.seen & EXPECT_CONTINUE != 0
        self._serving = head.keep_alive
        self._pausing = head.upgrade or is_connect
        self._begin_body(s)
        return head

    cdef int _message_ended(self) except -1:
        self._empty_line = 0
        return 0


cdef void read_expect(Scan* s, Bytes value, Py_ssize_t size) noexcept:
    if is_word(value, size, b"100-continue", 12):
        s.seen |= EXPECT_CONTINUE
    elif not s.seen & EXPECT_OTHER:
        s.seen |= EXPECT_OTHER
        s.expect = value - s.base
        s.expect_end = s.expect + size


@cython.final
@cython.no_gc
cdef class ResponseParser(_Parser):
    """Read responses from the bytes of one connection, whatever way they were cut.

    Args:
        limits: what bounds a message; every error of size names the field to raise.
        chunk_marks: give each chunk's bytes by themselves, and ``CHUNK_END`` after each.

    Source: RFC 9112, strict where it allows both.
    """

    cdef list _expected
    cdef int _interims

    def __init__(self, limits=DEFAULT_LIMITS, *, bint chunk_marks=False):
        _Parser.__init__(self, limits, chunk_marks=chunk_marks)
        self._first_row = RESPONSE_START
        self._expected = []
        self._interims = 0

    def expect(self, method):
        """Say that a request was sent: the next response that nobody waits for yet answers it.

        Args:
            method: the request's; HEAD's answer has no body, a 2xx to CONNECT pauses the parser.
        """
        self._expected.append(method)

    @property
    def is_idle(self):
        """Whether no byte of a response was seen since the last one ended."""
        return self._interims == 0 and self._is_between() and self._count_buffered() == 0

    cdef int _may_start(self) except -1:
        if not self._expected:
            self._refuse("response that no request asked for")
        return 1

    cdef bint _expects_more(self) noexcept:
        return len(self._expected) > 0

    cdef int _end_start_line(self, Scan* s) except -1:
        if s.major != 1:
            self._refuse(f"HTTP version {s.major}.{s.minor} is not 1.0 or 1.1")
        if s.status < 100:
            self._refuse(f"status {s.status:03} is below 100")
        return 0

    cdef int _read_field(self, Scan* s, Bytes name, Py_ssize_t size, Bytes value, Py_ssize_t value_size) except -1:
        return self._read_framing(s, name, size, value, value_size)

    cdef object _end_head(self, Scan* s):
        cdef ResponseHead head
        method = self._expected[0]
        cdef bint tunnel = method == "CONNECT" and 200 <= s.status < 300
        cdef bint bodiless = s.status < 200 or tunnel or s.status == 204 or s.status == 304 or method == "HEAD"
        cdef bint until_eof = not (bodiless or s.seen & CHUNKED or s.content_length >= 0)
        self._check_framing(s)
        if s.status == 101 and (s.minor == 0 or not (s.seen & UPGRADE and s.seen & UPGRADE_FIELD)):
            self._refuse("status 101 without an upgrade")
        head = ResponseHead.__new__(ResponseHead)
        head.is_interim = s.status < 200 and s.status != 101
        if head.is_interim:
            self._interims += 1
            if self._interims > MAX_INTERIM_RESPONSES:
                self._refuse(f"over {MAX_INTERIM_RESPONSES} interim responses to one request")
        head._keep(self._take_head(s), s.fields, s.count)
        head._is_modern = s.minor > 0
        head._content_length = s.content_length
        head.status = s.status
        head.reason = decode_value(s.base + s.reason, s.reason_end - s.reason)
        head.keep_alive = keeps_alive(s) and not until_eof
        head.upgrade = s.status == 101
        head.chunked = s.seen & CHUNKED != 0
        head.has_body = not bodiless and s.content_length != 0
        if head.is_interim:
            return head
        self._serving = head.keep_alive
        self._pausing = head.upgrade or tunnel
        if bodiless:
            self._state = END
        elif until_eof:
            self._state = BODY_UNTIL_EOF
        else:
            self._begin_body(s)
        return head

    cdef int _message_ended(self) except -1:
        self._interims = 0
        del self._expected[0]
        return 0


# -- what goes out -----------------------------------------------------------------------------------------------------

cdef struct Text:
    const char* begin
    Py_ssize_t size


cdef object refuse_text(object text, str what):
    """Say what is wrong with a text that can't be sent."""
    for char in text:
        if (char < " " and char != "\t") or char == "\x7f":
            raise LocalProtocolError(f"{what} has a control character: {text!a}")
    raise LocalProtocolError(f"{what} has a lone surrogate: {text!a}")


cdef object encode_surrogates(object text, str what):
    """Encode a text that has surrogates, which stand for bytes that were not UTF-8."""
    try:
        encoded = text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        refuse_text(text, what)
    if skip_text(<Bytes>PyBytes_AS_STRING(encoded), 0, PyBytes_GET_SIZE(encoded)) != PyBytes_GET_SIZE(encoded):
        refuse_text(text, what)
    return encoded


cdef object check_name(object name, Text* text):
    """Point at the bytes of a field's name."""
    if not PyUnicode_Check(name):
        raise TypeError(f"field name is not a str: {name!r}")
    text.begin = PyUnicode_AsUTF8AndSize_or_NULL(name, &text.size)
    if text.begin == NULL:
        PyErr_Clear()
        text.size = 0
    if text.size == 0 or skip_class(<Bytes>text.begin, 0, text.size, TCHAR) != text.size:
        raise LocalProtocolError(f"field name is not a token: {name!a}")


cdef object check_value(object name, object value, Text* text):
    """Point at the bytes of a field's value. Gives what the bytes belong to."""
    if not PyUnicode_Check(value):
        raise TypeError(f"field {name!r} takes a str, not {type(value).__name__}")
    text.begin = PyUnicode_AsUTF8AndSize_or_NULL(value, &text.size)
    if text.begin == NULL:
        PyErr_Clear()
        value = encode_surrogates(value, f"value of field {name!r}")
        text.begin = PyBytes_AS_STRING(value)
        text.size = PyBytes_GET_SIZE(value)
    elif skip_text(<Bytes>text.begin, 0, text.size) != text.size:
        refuse_text(value, f"value of field {name!r}")
    return value


cdef inline char* put(char* out, const char* text, Py_ssize_t size) noexcept:
    memcpy(out, text, size)
    return out + size


cdef inline char* put_field(char* out, const Text* name, const Text* value) noexcept:
    out = put(put(out, name.begin, name.size), b": ", 2)
    return put(put(out, value.begin, value.size), b"\r\n", 2)


cdef Text CONTENT_TYPE_NAME = Text(b"Content-Type", 12)
cdef Text CONTENT_LENGTH_NAME = Text(b"Content-Length", 14)
cdef Text NOTHING = Text(b"", 0)
cdef bytes REQUEST_LINE_END = b" HTTP/1.1\r\n"

cdef enum:
    MOST_DIGITS = 20  # of 64 bits


cdef Text write_number(int64_t number, char* digits) noexcept:
    """Write a number that is not negative to the end of MOST_DIGITS characters."""
    cdef Text text
    cdef Py_ssize_t at = MOST_DIGITS
    while True:
        at -= 1
        digits[at] = 0x30 + number % 10
        number //= 10
        if number == 0:
            break
    text.begin = digits + at
    text.size = MOST_DIGITS - at
    return text


cdef bytes join_head(
    const Text* line, object headers, object content_type, int64_t content_length, const Text* automatic, const Text* body
):
    """Join a head in one allocation of its size."""
    cdef Text few[2 * FEW_FIELDS]
    cdef Text* texts = few
    cdef list items = None if headers is None else list(headers.items())
    cdef Py_ssize_t room = 2 if items is None else len(items) + 2
    if room > FEW_FIELDS:
        texts = <Text*>PyMem_Malloc(2 * room * sizeof(Text))
        if texts == NULL:
            raise MemoryError
    try:
        return join_fields(line, items, content_type, content_length, automatic, body, texts)
    finally:
        if texts != few:
            PyMem_Free(texts)


cdef bytes join_fields(
    const Text* line,
    list items,
    object content_type,
    int64_t content_length,
    const Text* automatic,
    const Text* body,
    Text* texts,
):
    """Join a head; ``texts`` has room for a name and a value of each field."""
    cdef Py_ssize_t size = line.size + automatic.size + 2 + body.size
    cdef Py_ssize_t count = 0, i
    cdef char digits[MOST_DIGITS]
    cdef bytes made
    cdef char* out
    cdef list encoded = None  # keeps what no item keeps
    if items is not None:
        for name, value in items:
            check_name(name, &texts[count])
            kept = check_value(name, value, &texts[count + 1])
            if kept is not value:
                if encoded is None:
                    encoded = []
                encoded.append(kept)
            count += 2
    kept = None
    if content_type is not None:
        texts[count] = CONTENT_TYPE_NAME
        kept = check_value("Content-Type", content_type, &texts[count + 1])
        count += 2
    if content_length >= 0:
        texts[count] = CONTENT_LENGTH_NAME
        texts[count + 1] = write_number(content_length, digits)
        count += 2
    for i in range(0, count, 2):
        size += texts[i].size + texts[i + 1].size + 4
    made = PyBytes_FromStringAndSize(NULL, size)
    out = put(PyBytes_AS_STRING(made), line.begin, line.size)
    for i in range(0, count, 2):
        out = put_field(out, &texts[i], &texts[i + 1])
    out = put(out, automatic.begin, automatic.size)
    out = put(out, b"\r\n", 2)
    put(out, body.begin, body.size)
    return made


cdef inline Text text_of(bytes source) noexcept:
    cdef Text text
    text.begin = PyBytes_AS_STRING(source)
    text.size = PyBytes_GET_SIZE(source)
    return text


def check_field(name, value):
    """Refuse a field that can't be sent.

    Raises:
        LocalProtocolError: the name is not a token, or the value has a control character other than HTAB, or a
            surrogate that stands for no byte.

    Source: RFC 9110 section 5.
    """
    cdef Text text
    check_name(name, &text)
    check_value(name, value, &text)


def make_status_line(version, status, reason):
    r"""Make a status line, with its CRLF: ``b"HTTP/1.1 200 OK\r\n"``.

    Raises:
        LocalProtocolError: the status is not of three digits from 100, or the reason has a control character.

    Source: RFC 9112 section 4.
    """
    if not 100 <= status <= 999:
        raise LocalProtocolError(f"status is not from 100 to 999: {status}")
    encoded = encode_surrogates(reason, "reason phrase")
    return b"HTTP/%d.%d %d %b\r\n" % (version[0], version[1], status, encoded)


def serialize_fields(headers):
    r"""Make complete field lines, such as go out with many heads: ``b"Accept: */*\r\n"``.

    Raises:
        LocalProtocolError: a field can't be sent; see :func:`check_field`.
    """
    return join_head(&NOTHING, headers, None, -1, &NOTHING, &NOTHING)[:-2]


cdef int point_at(object text, Text* found) except -1:
    """Point at the bytes of a text; at nothing where it has none, for a surrogate."""
    if not PyUnicode_Check(text):
        raise TypeError(f"method and target take a str, not {type(text).__name__}")
    found.begin = PyUnicode_AsUTF8AndSize_or_NULL(text, &found.size)
    if found.begin == NULL:
        PyErr_Clear()
        found.size = 0
    return 0


cdef bytes make_request_line(object method, object target, object version):
    cdef Text name, place
    cdef bytes end = REQUEST_LINE_END if version == (1, 1) else b" HTTP/%d.%d\r\n" % (version[0], version[1])
    cdef bytes made
    cdef char* out
    point_at(method, &name)
    if name.size == 0 or skip_class(<Bytes>name.begin, 0, name.size, TCHAR) != name.size:
        raise LocalProtocolError(f"method is not a token: {method!a}")
    point_at(target, &place)
    if place.size == 0 or skip_class(<Bytes>place.begin, 0, place.size, TARGET) != place.size:
        raise LocalProtocolError(f"target is not visible ASCII without a fragment: {target!a}")
    made = PyBytes_FromStringAndSize(NULL, name.size + 1 + place.size + PyBytes_GET_SIZE(end))
    out = put(PyBytes_AS_STRING(made), name.begin, name.size)
    out = put(out, b" ", 1)
    out = put(out, place.begin, place.size)
    put(out, PyBytes_AS_STRING(end), PyBytes_GET_SIZE(end))
    return made


def serialize_request_head(method, target, version, headers, bytes automatic not None=b""):
    """Make a request line and its fields, with the blank line.

    Args:
        method: a token.
        target: what stands for the resource; RFC 9112 section 3.2.
        version: of HTTP.
        headers: fields in their order; None for none.
        automatic: complete field lines that follow, as :func:`serialize_fields` makes them; not checked.

    Raises:
        LocalProtocolError: the method is not a token, the target is not visible ASCII without a fragment, or a field
            can't be sent; see :func:`check_field`.

    Source: RFC 9112 section 3.
    """
    cdef bytes request_line = make_request_line(method, target, version)
    cdef Text line = text_of(request_line), rest = text_of(automatic)
    return join_head(&line, headers, None, -1, &rest, &NOTHING)


def serialize_response_head(
    bytes status_line not None, headers, content_type, int64_t content_length, bytes automatic not None, bytes body=None
):
    """Make a response's head, and a body that is at hand, as one piece.

    Args:
        status_line: with its CRLF, as :func:`make_status_line` makes it.
        headers: fields in their order; None for none.
        content_type: value of a Content-Type that follows them; None for none.
        content_length: value of a Content-Length that follows; none where negative.
        automatic: complete field lines that follow, like Date and Server; not checked.
        body: bytes after the blank line.

    Raises:
        LocalProtocolError: a field can't be sent; see :func:`check_field`.
    """
    cdef Text line = text_of(status_line), rest = text_of(automatic), content = NOTHING
    if body is not None:
        content = text_of(body)
    return join_head(&line, headers, content_type, content_length, &rest, &content)


def serialize_plain_response(
    bytes status_line not None, headers, content_type, bytes automatic not None, bytes body not None
):
    """Make a whole response, its Content-Length from its body; None where ``headers`` has a say in how it is sent.

    Args:
        status_line: with its CRLF, as :func:`make_status_line` makes it.
        headers: fields in their order; None for none.
        content_type: value of a Content-Type that follows them; None for none.
        automatic: complete field lines that follow, like Date and Server; not checked.
        body: bytes after the blank line.

    Returns:
        The response; None where ``headers`` has Connection, Content-Length, Date, Server or Transfer-Encoding.

    Raises:
        LocalProtocolError: a field can't be sent; see :func:`check_field`.
    """
    cdef Text line = text_of(status_line), rest = text_of(automatic), content = text_of(body)
    if headers is not None:
        for name in headers:
            if decides(name):
                return None
    return join_head(&line, headers, content_type, content.size, &rest, &content)


cdef bint decides(object name) except -1:
    """Whether a field decides how a message is sent, or would be sent twice."""
    cdef Text text
    check_name(name, &text)
    if text.size == 4:
        return is_word(<Bytes>text.begin, 4, b"date", 4)
    if text.size == 6:
        return is_word(<Bytes>text.begin, 6, b"server", 6)
    if text.size == 10:
        return is_word(<Bytes>text.begin, 10, b"connection", 10)
    if text.size == 14:
        return is_word(<Bytes>text.begin, 14, b"content-length", 14)
    return text.size == 17 and is_word(<Bytes>text.begin, 17, b"transfer-encoding", 17)


def make_chunk_line(size):
    r"""Make the line that goes before a chunk of ``size`` bytes, at least 1: ``b"5\r\n"``.

    Raises:
        LocalProtocolError: the size is below 1: a chunk of 0 bytes would end the body.

    Source: RFC 9112 section 7.1.
    """
    if size < 1:
        raise LocalProtocolError(f"chunk size is below 1: {size}")
    return b"%x\r\n" % size


# -- connections -------------------------------------------------------------------------------------------------------

cdef double NEVER = _limits.NEVER
cdef Py_ssize_t BURST = _limits.BURST


cdef class ServiceBase:
    """What a server has that every request needs; ``corelet.connection.Service`` has the rest."""

    cdef public object handler
    cdef public object request_factory
    cdef public object empty_content
    cdef public object make_task
    cdef public object prepare_response
    cdef public object request_started
    cdef public object request_finished
    cdef public object access_logger
    cdef public object automatic_fields
    cdef public double now
    cdef public double keepalive_seconds
    cdef public bint is_stopping


cdef class ConnectionBase:
    """The part of a server connection that every request passes without a wait: from bytes to the start of a handler.

    ``corelet.connection.Connection`` has the rest, what may wait and what is rare. The two are one object, and share
    its attributes and steps that begin with an underscore.
    """

    cdef public ServiceBase _service
    cdef public object _transport
    cdef public RequestParser _parser
    cdef public object _request
    cdef public object _task
    cdef public object _upgraded
    cdef public list _out
    cdef public object automatic_fields
    cdef public object prepare_response
    cdef public double deadline
    cdef public bint keep_alive
    cdef public bint _in_head
    cdef public bint _is_receiving
    cdef public bint _has_eof
    cdef public bint _is_reading_paused
    cdef public bint _is_writing_paused
    cdef bint _takes_plain

    def __init__(self, ServiceBase service not None):
        self._service = service
        self._in_head = True
        self.deadline = NEVER
        self.automatic_fields = b""
        self.prepare_response = service.prepare_response

    @property
    def is_simple(self):
        """Whether an answer that is plain itself can be sent as it is, and nobody wants to see it before."""
        return self._takes_plain and self.keep_alive and self.prepare_response is None

    def data_received(self, data):
        """Take bytes and do with them what can be done at once."""
        cdef RequestParser parser = self._parser
        if parser is None:
            if self._upgraded is not None:
                self._upgraded.data_received(data)
                return
            parser = self._make_parser()
            if parser is None:
                return
        parser.feed_data(data)
        if self._is_receiving:
            self._receive(parser)
            if self._is_receiving:
                return
        elif self._request is None and not self._is_writing_paused:
            self._serve()
        if self._request is not None or self._is_writing_paused:
            self._bound_backlog(parser)

    def serve(self):
        """Answer what has been read, until a handler waits or nothing is left. A burst is answered with few writes."""
        self._serve()

    cdef int _serve(self) except -1:
        cdef RequestParser parser
        cdef bint is_last
        while self._request is None and not self._is_receiving and not self._is_writing_paused:
            parser = self._parser
            if parser is None:
                break
            try:
                head = parser.next_event()
            except RemoteProtocolError as exc:
                self._refuse(exc)
                break
            if head is None:
                self._wait_for_head(parser)
                break
            if head is PAUSED:
                parser.resume()
                continue
            is_last = parser._count_buffered() == 0
            if self._out is None and not is_last:
                self._out = []
            self._start(parser, head)
            if is_last and self._out is None and not self._is_reading_paused and not self._has_eof:
                return 0
            if self._out is not None and len(self._out) >= BURST:
                self._uncork()
        self._uncork()
        return 0

    cdef int _start(self, RequestParser parser, RequestHead head) except -1:
        cdef ServiceBase service = self._service
        self._in_head = False
        self.deadline = NEVER
        self.automatic_fields = service.automatic_fields
        self._takes_plain = head.is_simple_head()
        self.keep_alive = head.keep_alive and not service.is_stopping
        if head.has_body:
            content = self._start_content(parser, head)
            if content is None:
                return 0
        else:
            parser.next_event()
            content = service.empty_content
        if self._has_eof and parser._count_buffered() == 0:
            self.keep_alive = False
        try:
            request = self._request = service.request_factory(head, content, self)
        except Exception as exc:
            self._end_without_request(exc)
            return 0
        if service.request_started is not None:
            service.request_started(request)
        try:
            task = service.make_task(self._answer(request, service.handler, service.access_logger))
        except (SystemExit, KeyboardInterrupt) as exc:
            self._ask_to_stop(exc)
            return 0
        if self._request is None:
            return 0  # the task has run to its end, started eagerly
        self._task = task
        task.add_done_callback(self._end_task)
        return 0

    def send_answer(self, bytes data not None):
        """Write a whole answer, or collect it where a burst is being answered."""
        if self._out is not None:
            self._out.append(data)
        elif self._transport is not None:
            self._transport.write(data)

    def finish(self, request, response):
        """Take note that a request has been answered; by None where the connection has to end."""
        cdef ServiceBase service = self._service
        if service.request_finished is not None:
            service.request_finished(request, response)
        self._request = None
        self._task = None
        if response is None or not self.keep_alive or self._is_receiving or self._upgraded is not None:
            self._end_specially(response)
        else:
            self.deadline = service.now + service.keepalive_seconds
