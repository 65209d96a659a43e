# cython: language_level=3, embedsignature=True, boundscheck=False, wraparound=False, cdivision=True
"""Frames of RFC 6455 and what every message goes through, compiled: messages, bytes, errors and their words are those of ``_pure.py``, which explains them.

A frame that is in the input as a whole is unmasked straight into the bytes or the text that it becomes. Only what comes
in pieces is gathered, in buffers that go when their message is complete: a silent connection holds none.

Every read through a pointer is bounded by ``at <= end``. A pointer into a bytes object lives no longer than a call that
holds the object.
"""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_Free, PyMem_Malloc, PyMem_Realloc
from cpython.object cimport PyObject, PyObject_GenericGetAttr, PyObject_GenericSetAttr
from cpython.ref cimport Py_INCREF
from cpython.unicode cimport PyUnicode_Check, PyUnicode_DecodeUTF8
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

cimport cython as _cython

import os
import asyncio as _asyncio
from asyncio import CancelledError as _CancelledError
from collections import deque as _deque
from collections.abc import Coroutine as _Coroutine

from .errors import WebSocketError
from ._pure import PARALLEL_RECEIVE as _PARALLEL_RECEIVE
from . import limits as _limits
from .message import ENDS as _ENDS, WSMessage, WSMsgType
from .message import is_close_code as _is_close_code

cdef extern from "Python.h":
    ctypedef PyObject* (*iternextfunc)(PyObject*) except? NULL
    ctypedef struct PyTypeObject:
        iternextfunc tp_iternext
    const char* PyUnicode_AsUTF8AndSize(object text, Py_ssize_t* size) except NULL
    object PyUnicode_New(Py_ssize_t size, Py_UCS4 most)
    void* PyUnicode_DATA(object text)

cdef extern from *:
    """
    #ifdef _WIN32
    static Py_ssize_t send_bytes(int descriptor, const void* data, size_t size) { return -1; }
    #else
    #include <sys/socket.h>
    #ifndef MSG_NOSIGNAL
    #define MSG_NOSIGNAL 0
    #endif
    static Py_ssize_t send_bytes(int descriptor, const void* data, size_t size)
    {
        return send(descriptor, data, size, MSG_NOSIGNAL | MSG_DONTWAIT);
    }
    #endif
    /* A coroutine returns by a StopIteration. What Cython raises has a traceback, which costs more than the rest of a
       message; making the exception costs as much as all of Cython's part. One serves again and again: its value is
       taken at once, and is forgotten when what was awaited goes. */
    static PyObject* spare_stop = NULL;

    static void forget_value(void)
    {
        PyStopIterationObject* stop = (PyStopIterationObject*)spare_stop;
        if (stop == NULL)
            return;
        if (Py_REFCNT(stop) == 1 && !stop->traceback && !stop->context && !stop->cause && !stop->notes && !stop->dict)
            Py_CLEAR(stop->value);
        else
            Py_CLEAR(spare_stop);
    }

    static void stop_iteration(PyObject* value)
    {
        forget_value();
        if (spare_stop == NULL && (spare_stop = PyObject_CallNoArgs(PyExc_StopIteration)) == NULL)
            return;
        Py_INCREF(value);
        Py_XSETREF(((PyStopIterationObject*)spare_stop)->value, value);
    #if PY_VERSION_HEX >= 0x030C0000
        Py_INCREF(spare_stop);
        PyErr_SetRaisedException(spare_stop);
    #else
        PyErr_SetObject(PyExc_StopIteration, spare_stop);
    #endif
    }

    /* A named tuple's own constructor makes a tuple first, and copies it. */
    static PyObject* make_triple(PyTypeObject* type, PyObject* first, PyObject* second, PyObject* third)
    {
    #if PY_VERSION_HEX >= 0x030E0000  /* a tuple has more to it there: its hash */
        return PyObject_CallFunctionObjArgs((PyObject*)type, first, second, third, NULL);
    #else
        PyObject* made = type->tp_alloc(type, 3);
        if (made == NULL)
            return NULL;
        Py_INCREF(first);
        PyTuple_SET_ITEM(made, 0, first);
        Py_INCREF(second);
        PyTuple_SET_ITEM(made, 1, second);
        Py_INCREF(third);
        PyTuple_SET_ITEM(made, 2, third);
        return made;
    #endif
    }
    """
    void forget_value()
    object make_triple(PyTypeObject* type, object first, object second, object third)
    Py_ssize_t send_bytes(int descriptor, const void* data, size_t size)
    void stop_iteration(PyObject* value)

ctypedef const uint8_t* Bytes

IMPLEMENTATION = "fast"

cdef enum:
    FIN = 0x80
    RSV = 0x70
    OPCODE = 0x0F
    MASKED = 0x80
    LENGTH = 0x7F
    CONTROL = 0x08
    TEXT = 0x1
    BINARY = 0x2
    CLOSE = 0x8
    MOST_CONTROL = 125
    MOST_HEAD = 14
    #: Turns of the loop that a transport may hold what it does not tell.
    TURNS = 2
    #: Keys made at once: asking the system for each would cost more than the masking of a small frame.
    KEY_POOL = 4096

cdef uint64_t CODED_SLACK = _limits.CODED_SLACK
cdef Py_ssize_t MAX_FRAGMENTS = _limits.MAX_FRAGMENTS
cdef Py_ssize_t FRAGMENT_BYTES = _limits.FRAGMENT_BYTES
cdef object MAX_CONTROL_BYTES = _limits.MAX_CONTROL_BYTES
cdef Py_ssize_t READ_LIMIT = _limits.READ_LIMIT
cdef Py_ssize_t MESSAGE_OVERHEAD = _limits.MESSAGE_OVERHEAD
cdef Py_ssize_t UNCOPIED = _limits.UNCOPIED_BYTES
cdef list TYPES = [None] * 16
for _kind in WSMsgType:
    if _kind < 16:
        TYPES[_kind] = _kind
cdef object MESSAGE = WSMessage
cdef object TEXT_TYPE = WSMsgType.TEXT
cdef object BINARY_TYPE = WSMsgType.BINARY
cdef object CLOSE_TYPE = WSMsgType.CLOSE
cdef object NO_EXTRA = ""
cdef object BLOCKING = "_asyncio_future_blocking"
cdef object GET_LOOP = "get_loop"
cdef object current_task = _asyncio.current_task

cdef bytes keys = b""
cdef Py_ssize_t keys_at = 0


def _forget_keys():
    """Give a child process keys of its own."""
    global keys, keys_at
    keys = b""
    keys_at = 0


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_keys)

# -- masking -----------------------------------------------------------------------------------------------------------


cdef inline uint32_t turn_key(uint32_t key, Py_ssize_t count) noexcept:
    """The key for what follows ``count`` bytes; in memory order, whatever the machine's."""
    cdef uint8_t[4] old
    cdef uint8_t[4] new
    cdef int number
    memcpy(old, &key, 4)
    for number in range(4):
        new[number] = old[(number + count) & 3]
    memcpy(&key, new, 4)
    return key


cdef inline void copy_masked(uint8_t* target, Bytes source, Py_ssize_t count, uint32_t key) noexcept:
    """Copy and mask: words as long as there are any, which compilers turn into vectors."""
    cdef uint64_t wide = <uint64_t> key << 32 | key
    cdef uint64_t word
    cdef Py_ssize_t at = 0
    cdef Py_ssize_t words = count >> 3
    cdef Py_ssize_t number
    cdef uint8_t* key_bytes = <uint8_t*> &key
    for number in range(words):
        memcpy(&word, source + number * 8, 8)
        word ^= wide
        memcpy(target + number * 8, &word, 8)
    for at in range(words << 3, count):
        target[at] = source[at] ^ key_bytes[at & 3]


cdef uint32_t take_key() except? 0:
    """Take 4 unpredictable bytes. Source: RFC 6455 section 5.3."""
    global keys, keys_at
    cdef uint32_t key
    if keys_at >= PyBytes_GET_SIZE(keys):
        keys = os.urandom(KEY_POOL)
        keys_at = 0
    memcpy(&key, PyBytes_AS_STRING(keys) + keys_at, 4)
    keys_at += 4
    return key


def apply_mask(bytes data not None, bytes key not None):
    """Mask or unmask bytes by a key of 4 bytes. Source: RFC 6455 section 5.3."""
    cdef Py_ssize_t size = PyBytes_GET_SIZE(data)
    cdef bytes out = PyBytes_FromStringAndSize(NULL, size)
    cdef uint32_t word
    if PyBytes_GET_SIZE(key) != 4:
        raise ValueError(f"a key has 4 bytes, not {len(key)}")
    memcpy(&word, PyBytes_AS_STRING(key), 4)
    copy_masked(<uint8_t*> PyBytes_AS_STRING(out), <Bytes> PyBytes_AS_STRING(data), size, word)
    return out


# -- writing -----------------------------------------------------------------------------------------------------------


cdef Py_ssize_t write_head(uint8_t* head, int first, Py_ssize_t length, bint is_masked) noexcept:
    cdef uint8_t mark = MASKED if is_masked else 0
    cdef int number
    head[0] = <uint8_t> first
    if length < 126:
        head[1] = mark | <uint8_t> length
        return 2
    if length < 65536:
        head[1] = mark | 126
        head[2] = <uint8_t> (length >> 8)
        head[3] = <uint8_t> length
        return 4
    head[1] = mark | 127
    for number in range(8):
        head[2 + number] = <uint8_t> (length >> (56 - 8 * number))
    return 10


cdef bytes make_frame(int first, Bytes payload, Py_ssize_t length, bint is_masked):
    cdef uint8_t[MOST_HEAD] head
    cdef Py_ssize_t size = write_head(head, first, length, is_masked)
    cdef uint32_t key = 0
    cdef uint8_t* out
    cdef bytes frame
    if is_masked:
        key = take_key()
        memcpy(head + size, &key, 4)
        size += 4
    frame = PyBytes_FromStringAndSize(NULL, size + length)
    out = <uint8_t*> PyBytes_AS_STRING(frame)
    memcpy(out, head, size)
    if is_masked:
        copy_masked(out + size, payload, length, key)
    else:
        memcpy(out + size, payload, length)
    return frame


def serialize_frame(int first, payload, bint is_masked):
    """Make one frame: its first byte, then the payload, text as UTF-8. Source: RFC 6455 section 5.2."""
    return serialize(first, payload, is_masked)


cdef bytes serialize(int first, object payload, bint is_masked):
    cdef Py_ssize_t size = 0
    cdef const char* text
    cdef Py_buffer view
    if PyUnicode_Check(payload):
        text = PyUnicode_AsUTF8AndSize(payload, &size)
        return make_frame(first, <Bytes> text, size, is_masked)
    PyObject_GetBuffer(payload, &view, PyBUF_SIMPLE)
    try:
        return make_frame(first, <Bytes> view.buf, view.len, is_masked)
    finally:
        PyBuffer_Release(&view)


def serialize_head(int first, Py_ssize_t length, bint is_masked):
    """Make the head of a frame, without the key of a masked one."""
    cdef uint8_t[MOST_HEAD] head
    cdef Py_ssize_t size = write_head(head, first, length, is_masked)
    return PyBytes_FromStringAndSize(<char*> head, size)


# -- reading -----------------------------------------------------------------------------------------------------------


cdef inline object make_message(object kind, object data, object extra):
    return make_triple(<PyTypeObject*> MESSAGE, kind, data, extra)


cdef struct Buffer:
    uint8_t* data
    Py_ssize_t length
    Py_ssize_t capacity


cdef int grow(Buffer* buffer, Py_ssize_t count) except -1:
    """Make room for ``count`` bytes more, by doubling."""
    cdef Py_ssize_t wanted = buffer.length + count
    cdef Py_ssize_t capacity = buffer.capacity * 2
    cdef void* data
    if wanted <= buffer.capacity:
        return 0
    if capacity < wanted:
        capacity = wanted
    data = PyMem_Realloc(buffer.data, capacity)
    if data is NULL:
        raise MemoryError()
    buffer.data = <uint8_t*> data
    buffer.capacity = capacity
    return 0


cdef inline void drop(Buffer* buffer) noexcept:
    PyMem_Free(buffer.data)
    buffer.data = NULL
    buffer.length = 0
    buffer.capacity = 0


cdef struct Utf8:
    # Continuation bytes that are missing, and what the next one may be. Source: RFC 3629 section 4.
    int missing
    uint8_t least
    uint8_t most


cdef bint check_utf8(Utf8* state, Bytes data, Py_ssize_t count) noexcept:
    """Whether what has come so far can become UTF-8."""
    cdef Py_ssize_t at = 0
    cdef uint64_t word
    cdef uint8_t byte
    while at < count:
        if not state.missing:
            while at + 8 <= count:
                memcpy(&word, data + at, 8)
                if word & <uint64_t> 0x8080808080808080ULL:
                    break
                at += 8
            if at >= count:
                break
        byte = data[at]
        at += 1
        if state.missing:
            if not state.least <= byte <= state.most:
                return False
            state.missing -= 1
            state.least = 0x80
            state.most = 0xBF
        elif byte >= 0x80:
            state.least = 0x80
            state.most = 0xBF
            if 0xC2 <= byte <= 0xDF:
                state.missing = 1
            elif 0xE0 <= byte <= 0xEF:
                state.missing = 2
                if byte == 0xE0:
                    state.least = 0xA0
                elif byte == 0xED:
                    state.most = 0x9F
            elif 0xF0 <= byte <= 0xF4:
                state.missing = 3
                if byte == 0xF0:
                    state.least = 0x90
                elif byte == 0xF4:
                    state.most = 0x8F
            else:
                return False
    return True


cdef object fail(int code, str message):
    raise WebSocketError(code, message)


cdef object fail_text():
    raise WebSocketError(1007, "a text message is not UTF-8") from None


cdef object decode_text(Bytes data, Py_ssize_t count):
    try:
        return PyUnicode_DecodeUTF8(<const char*> data, count, NULL)
    except UnicodeDecodeError:
        fail_text()


cdef object decode_masked(Bytes data, Py_ssize_t count, uint32_t key):
    """Decode masked text. Most is ASCII, which is unmasked straight into the str; what is not is decoded from there."""
    cdef object text = PyUnicode_New(count, 127)
    cdef uint8_t* out = <uint8_t*> PyUnicode_DATA(text)
    copy_masked(out, data, count, key)
    return text if is_ascii(out, count) else decode_text(out, count)


cdef bint is_ascii(Bytes data, Py_ssize_t count) noexcept:
    cdef uint64_t seen = 0
    cdef uint64_t word
    cdef Py_ssize_t number
    for number in range(count >> 3):
        memcpy(&word, data + number * 8, 8)
        seen |= word
    for number in range(count >> 3 << 3, count):
        seen |= data[number]
    return not seen & <uint64_t> 0x8080808080808080ULL


cdef object make_close(bytes payload):
    cdef int code
    if not payload:
        return make_message(CLOSE_TYPE, 0, NO_EXTRA)
    if len(payload) == 1:
        fail(1002, "a close frame has half a code")
    code = <int> (<Bytes> PyBytes_AS_STRING(payload))[0] << 8 | (<Bytes> PyBytes_AS_STRING(payload))[1]
    if not _is_close_code(code):
        fail(1002, f"close code is {code}, which is never sent")
    try:
        return make_message(CLOSE_TYPE, code, payload[2:].decode())
    except UnicodeDecodeError:
        raise WebSocketError(1007, "the reason in a close frame is not UTF-8") from None


cdef class FrameReader:
    """Turn bytes into messages; see ``_pure.FrameReader``."""

    #: What ended the reader: it takes nothing more then.
    cdef readonly object error
    cdef tuple extensions
    cdef tuple coders
    cdef Buffer frame
    cdef Buffer message
    # 0 for no limit.
    cdef uint64_t max_size
    cdef uint64_t left
    cdef Py_ssize_t fragments
    cdef uint32_t key
    cdef Utf8 utf8
    cdef int known_bits
    cdef int opcode
    cdef int message_opcode
    cdef int head_length
    cdef int control_length
    cdef bint is_client
    cdef bint decodes_text
    cdef bint in_payload
    cdef bint is_last
    cdef bint is_masked
    cdef bint is_coded
    cdef uint8_t[MOST_HEAD] head
    cdef uint8_t[MOST_CONTROL] control

    def __init__(self, *, bint is_client, max_msg_size, extensions=(), bint decode_text=True):
        self.is_client = is_client
        self.max_size = max_msg_size
        self.extensions = tuple(reversed(extensions))
        self.coders = ()
        self.decodes_text = decode_text
        for extension in extensions:
            self.known_bits |= extension.rsv

    def __dealloc__(self):
        PyMem_Free(self.frame.data)
        PyMem_Free(self.message.data)

    @property
    def is_idle(self):
        """Whether no message has begun."""
        return not (self.head_length or self.in_payload or self.message_opcode)

    def feed_data(self, bytes data not None):
        """Give received bytes to the reader and take the messages that they complete; see :attr:`error` afterwards."""
        return self.take(data)

    cdef list take(self, bytes data):
        cdef list messages = []
        if self.error is not None:
            return messages
        try:
            self.feed(<Bytes> PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data), messages)
        except WebSocketError as exc:
            self.error = exc
            drop(&self.frame)
            drop(&self.message)
        return messages

    cdef int feed(self, Bytes data, Py_ssize_t end, list messages) except -1:
        cdef Py_ssize_t at = 0
        cdef Py_ssize_t taken
        cdef object message
        while True:
            if not self.in_payload:
                taken = self.start_frame(data + at, end - at)
                if taken < 0:
                    return 0
                at += taken
                if not self.opcode & CONTROL and self.is_plain_whole(end - at):
                    messages.append(self.take_whole(data + at))
                    at += <Py_ssize_t> self.left
                    continue
                self.in_payload = True
            taken = end - at
            if <uint64_t> taken > self.left:
                taken = <Py_ssize_t> self.left
            if taken:
                self.take_payload(data + at, taken)
                at += taken
                self.left -= taken
            if self.left:
                return 0
            self.in_payload = False
            message = self.end_frame()
            if message is not None:
                messages.append(message)

    cdef inline bint is_plain_whole(self, Py_ssize_t available) noexcept:
        """Whether the frame is a message of its own, uncoded, and all of it is here."""
        return self.is_last and not self.is_coded and self.fragments == 1 and self.left <= <uint64_t> available

    cdef object take_whole(self, Bytes data):
        cdef Py_ssize_t count = <Py_ssize_t> self.left
        cdef object kind = TYPES[self.message_opcode]
        cdef bytes out
        self.message_opcode = 0
        if kind is TEXT_TYPE and self.decodes_text:
            if not self.is_masked or not count:
                return make_message(kind, decode_text(data, count), NO_EXTRA)
            return make_message(kind, decode_masked(data, count, self.key), NO_EXTRA)
        out = PyBytes_FromStringAndSize(<const char*> data if not self.is_masked else NULL, count)
        if self.is_masked:
            copy_masked(<uint8_t*> PyBytes_AS_STRING(out), data, count, self.key)
        if kind is not TEXT_TYPE:
            return make_message(kind, out, NO_EXTRA)
        self.utf8.missing = 0
        if not check_utf8(&self.utf8, <Bytes> PyBytes_AS_STRING(out), count) or self.utf8.missing:
            fail_text()
        return make_message(kind, out, NO_EXTRA)

    cdef Py_ssize_t start_frame(self, Bytes data, Py_ssize_t available) except -2:
        """Read a head: how many bytes of the input it took, -1 where it took all and is not complete."""
        cdef Py_ssize_t kept = self.head_length
        cdef Py_ssize_t more
        cdef Py_ssize_t size
        if not kept:
            size = self.read_head(data, available)
            if size >= 0:
                return size
            memcpy(self.head, data, available)
            self.head_length = <int> available
            return -1
        more = MOST_HEAD - kept
        if more > available:
            more = available
        memcpy(self.head + kept, data, more)
        size = self.read_head(self.head, kept + more)
        if size < 0:
            self.head_length = <int> (kept + more)
            return -1
        self.head_length = 0
        return size - kept

    cdef Py_ssize_t read_head(self, Bytes data, Py_ssize_t available) except -2:
        cdef int first, second
        cdef Py_ssize_t size
        cdef uint64_t length
        if available < 2:
            return -1
        first = data[0]
        second = data[1]
        self.check_head(first, second)
        length = second & LENGTH
        size = 2
        if length >= 126:
            size = 4 if length == 126 else 10
            if available < size:
                return -1
            length = read_length(data + 2, <int> size - 2)
        self.check_length(first, length)
        self.is_masked = second & MASKED
        if self.is_masked:
            if available < size + 4:
                return -1
            memcpy(&self.key, data + size, 4)
            size += 4
        self.opcode = first & OPCODE
        self.is_last = first & FIN
        self.left = length
        if not first & CONTROL:
            self.start_fragment(first)
        return size

    cdef int check_head(self, int first, int second) except -1:
        cdef int opcode = first & OPCODE
        cdef int bits = first & RSV
        if TYPES[opcode] is None:
            fail(1002, f"opcode is {opcode:#x}, which is reserved")
        if bits and (bits & ~self.known_bits or opcode & CONTROL or not opcode):
            fail(1002, f"reserved bits are {bits:#04x}, which nothing that was negotiated allows here")
        if opcode & CONTROL:
            if not first & FIN:
                fail(1002, "a control frame is fragmented")
            if second & LENGTH > MOST_CONTROL:
                fail(1002, f"a control frame has more than {MAX_CONTROL_BYTES} bytes")
        elif opcode and self.message_opcode:
            fail(1002, "a new message came before the end of a fragmented one")
        elif not opcode and not self.message_opcode:
            fail(1002, "a continuation came without a beginning")
        if <bint> (second & MASKED) == self.is_client:
            fail(1002, f"a frame of the {'server is' if self.is_client else 'client is not'} masked")
        return 0

    cdef int check_length(self, int first, uint64_t length) except -1:
        cdef uint64_t limit = self.max_size
        cdef bint is_coded
        if first & CONTROL or not limit:
            return 0
        is_coded = self.is_coded if not first & OPCODE else self.has_coders(first)
        if is_coded:
            if length > limit + CODED_SLACK:
                fail(1009, f"a frame has {length} coded bytes, limit for a message {limit}")
        elif length + <uint64_t> self.message.length > limit:
            fail(1009, f"a message has at least {length + <uint64_t> self.message.length} bytes, limit {limit}")
        return 0

    cdef bint has_coders(self, int first) except -1:
        if not self.extensions:
            return False
        return bool(self.find_coders(first))

    cdef tuple find_coders(self, int first):
        return tuple([each for each in self.extensions if not each.rsv or first & each.rsv])

    cdef int start_fragment(self, int first) except -1:
        if first & OPCODE:
            self.message_opcode = first & OPCODE
            if self.extensions:
                self.coders = self.find_coders(first)
                self.is_coded = bool(self.coders)
            self.fragments = 0
            self.utf8.missing = 0
        self.fragments += 1
        if self.fragments > MAX_FRAGMENTS + self.message.length // FRAGMENT_BYTES:
            fail(1008, f"a message of {self.message.length} bytes came in {self.fragments} fragments")
        return 0

    cdef int take_payload(self, Bytes data, Py_ssize_t count) except -1:
        cdef Buffer* buffer
        cdef uint8_t* target
        if self.opcode & CONTROL:
            target = self.control + self.control_length
            self.control_length += <int> count
        else:
            buffer = &self.frame if self.is_coded else &self.message
            grow(buffer, count)
            target = buffer.data + buffer.length
            buffer.length += count
        if self.is_masked:
            copy_masked(target, data, count, self.key)
            self.key = turn_key(self.key, count)
        else:
            memcpy(target, data, count)
        if not self.opcode & CONTROL and not self.is_coded and self.message_opcode == TEXT:
            if not check_utf8(&self.utf8, target, count):
                fail_text()
        return 0

    cdef object end_frame(self):
        cdef bytes payload
        if self.opcode & CONTROL:
            payload = PyBytes_FromStringAndSize(<char*> self.control, self.control_length)
            self.control_length = 0
            if self.opcode == CLOSE:
                return make_close(payload)
            return make_message(TYPES[self.opcode], payload, NO_EXTRA)
        if self.is_coded:
            self.decode_coded()
        return self.end_message() if self.is_last else None

    cdef int decode_coded(self) except -1:
        cdef object data = PyBytes_FromStringAndSize(<char*> self.frame.data, self.frame.length)
        cdef object room = <Py_ssize_t> self.max_size - self.message.length if self.max_size else -1
        cdef Py_ssize_t size
        drop(&self.frame)
        for extension in self.coders:
            data = extension.decode(data, self.is_last, room)
        size = len(<bytes?> data)
        if not size:
            return 0
        if self.message_opcode == TEXT and not check_utf8(&self.utf8, <Bytes> PyBytes_AS_STRING(data), size):
            fail_text()
        grow(&self.message, size)
        memcpy(self.message.data + self.message.length, PyBytes_AS_STRING(data), size)
        self.message.length += size
        return 0

    cdef object end_message(self):
        cdef object kind = TYPES[self.message_opcode]
        cdef object data
        self.message_opcode = 0
        if kind is TEXT_TYPE:
            if self.utf8.missing:
                fail_text()
            if self.decodes_text:
                data = decode_text(self.message.data, self.message.length) if self.message.length else ""
                drop(&self.message)
                return make_message(kind, data, NO_EXTRA)
        data = PyBytes_FromStringAndSize(<char*> self.message.data, self.message.length)
        drop(&self.message)
        return make_message(kind, data, NO_EXTRA)


cdef uint64_t read_length(Bytes data, int size) except? 0:
    cdef uint64_t length = 0
    cdef int number
    for number in range(size):
        length = length << 8 | data[number]
    if length >> 63:
        fail(1002, "a frame's length has its highest bit set")
    if length < (126 if size == 2 else 65536):
        fail(1002, f"a frame's length {length} is written in {size} bytes, which it does not need")
    return length


# -- one connection's messages -----------------------------------------------------------------------------------------


cdef class LoopState:
    """What all channels of a loop share: a future that is done, and a count of the loop's turns.

    Turns are counted while anybody needs to know, by one callback in each.
    """

    cdef object loop
    cdef object woken
    cdef object get_loop
    cdef uint64_t turn
    cdef int wanted

    def __cinit__(self, loop):
        self.loop = loop
        self.get_loop = self.give_loop
        self.woken = loop.create_future()
        self.woken.set_result(None)

    def give_loop(self):
        """The loop, for who asks a receiver for it."""
        return self.loop

    cdef int count(self) except -1:
        if not self.wanted:
            self.loop.call_soon(self)
        self.wanted = TURNS
        return 0

    def __call__(self):
        self.turn += 1
        self.wanted -= 1
        if self.wanted:
            self.loop.call_soon(self)


cdef LoopState last_state = None


cdef LoopState find_state(object loop):
    """Find what a loop's channels share; most processes have one loop."""
    global last_state
    if last_state is None or last_state.loop is not loop:
        last_state = LoopState(loop)
    return last_state


cdef class Receiver:
    """A future-like object that one task at a time awaits; see ``_pure.Receiver``."""

    cdef public bint _asyncio_future_blocking
    cdef object loop
    cdef object callback
    cdef object context
    cdef object reason
    cdef LoopState state
    cdef bint is_cancelled

    def __init__(self, loop):
        self.loop = loop
        self.state = find_state(loop)

    def __getattribute__(self, name):
        # A task asks these of each future that it waits for; the general way to an attribute is many times as long.
        if name is BLOCKING:
            return self._asyncio_future_blocking
        if name is GET_LOOP:
            return self.state.get_loop
        return PyObject_GenericGetAttr(self, name)

    def __setattr__(self, name, value):
        if name is BLOCKING:
            self._asyncio_future_blocking = value
        else:
            PyObject_GenericSetAttr(self, name, value)

    def wake(self):
        """Let the task that waits go on, now where no other task runs."""
        self.wake_task()

    cdef int wake_task(self) except -1:
        cdef object callback = self.callback
        cdef object context = self.context
        if callback is None:
            return 0
        self.callback = self.context = None
        if context is None or current_task(self.loop) is not None:
            self.loop.call_soon(callback, self, context=context)
            return 0
        try:
            # A task asks a true future for its result by a C call, and another by a Python one.
            context.run(callback, self.state.woken)
        except (SystemExit, KeyboardInterrupt) as exc:
            self.loop.call_soon(_raise, exc)
        return 0

    def add_done_callback(self, callback, *, context=None):
        """Take what wakes the task."""
        self.callback = callback
        self.context = context

    def remove_done_callback(self, callback):
        """Forget what wakes the task."""
        cdef bint known = self.callback is not None and self.callback == callback
        if known:
            self.callback = None
        return int(known)

    def cancel(self, msg=None):
        """Wake the task with a CancelledError, in the loop's next turn."""
        cdef object callback = self.callback
        if callback is None:
            return False
        self.callback = None
        self.is_cancelled = True
        self.reason = msg
        self.loop.call_soon(callback, self, context=self.context)
        return True

    def result(self):
        """Give None, or raise what the task was woken for."""
        if self.is_cancelled:
            raise _CancelledError() if self.reason is None else _CancelledError(self.reason)

    def exception(self):
        """Give None, or raise CancelledError."""
        self.result()

    def done(self):
        """Whether nobody waits."""
        return self.callback is None

    def cancelled(self):
        """Whether the wait was cancelled."""
        return self.is_cancelled


def _raise(exc):
    raise exc


cdef class Channel:
    """What every message goes through; see ``_pure.Channel``."""

    cdef readonly FrameReader reader
    cdef readonly Receiver receiver
    cdef readonly object loop
    cdef readonly tuple extensions
    cdef public object transport
    cdef public object ended
    cdef object first
    cdef object queue
    cdef public Py_ssize_t queued_bytes
    cdef public double heard_at
    #: The socket, where frames may go to it by the system's call; -1 where only the transport may write.
    cdef public int descriptor
    cdef bint is_direct
    # Whether the transport may hold something.
    cdef bint may_hold
    # The turn of the loop from which on the transport holds nothing that it does not tell.
    cdef uint64_t free_turn
    cdef LoopState state
    cdef readonly bint is_client
    cdef readonly bint has_heartbeat
    cdef public bint ping_sent
    cdef public bint close_sent
    cdef public bint close_received
    cdef public bint is_failed
    cdef public bint is_behind
    cdef bint is_receiving
    cdef public bint is_reading_paused

    def __init__(self, loop, FrameReader reader not None, *, bint is_client, extensions, bint has_heartbeat):
        self.loop = loop
        self.reader = reader
        self.receiver = Receiver(loop)
        self.state = self.receiver.state
        self.is_client = is_client
        self.extensions = tuple(extensions)
        self.has_heartbeat = has_heartbeat
        self.descriptor = -1

    def data_received(self, bytes data not None):
        """Take bytes, and wake who waits for the messages that they complete."""
        cdef list messages
        if self.is_failed:
            return
        if self.has_heartbeat:
            self.heard_at = self.loop.time()
            self.ping_sent = False
        messages = self.reader.take(data)
        for message in messages:
            if <object> (<tuple> message)[0] is not TEXT_TYPE and <object> (<tuple> message)[0] is not BINARY_TYPE:
                self.take_control(message)
            elif not self.close_sent and not self.close_received:
                self.put(message)
        if self.first is not None:
            # The answer to a single message goes to the socket at once; several are collected by the transport.
            self.is_direct = self.descriptor >= 0 and not self.queue and self.state.turn >= self.free_turn
            self.receiver.wake_task()
            self.is_direct = False
            if self.queued_bytes > READ_LIMIT and not self.close_sent:
                self.pause_reading()
        if self.reader.error is not None:
            self.take_error(self.reader.error)

    cdef int put(self, object message) except -1:
        self.queued_bytes += weigh(message)
        if self.first is None:
            self.first = message
            return 0
        if self.queue is None:
            self.queue = _deque()
        self.queue.append(message)
        return 0

    def enqueue(self, message):
        """Let a message wait for ``take_message()``."""
        self.put(message)

    def take_message(self):
        """Take the next message without waiting; None where there is none yet."""
        return self.take()

    cdef object take(self):
        cdef object message = self.first
        if message is None:
            if self.reader.error is not None or self.ended is not None:
                return self.take_end()
            return None
        self.first = self.queue.popleft() if self.queue else None
        self.queued_bytes -= weigh(message)
        if self.is_reading_paused and self.queued_bytes <= READ_LIMIT // 2:
            self.resume_reading()
        return message

    def next_message(self, *, bint stops):
        """Wait for the next message; at the end, with ``stops``, raise StopAsyncIteration."""
        return make_next(self, stops)

    @property
    def has_message(self):
        """Whether a message waits."""
        return self.first is not None

    def drop_messages(self):
        """Forget what waits."""
        self.first = self.queue = None
        self.queued_bytes = 0

    def send(self, int opcode, data, level=None):
        """Hand a message or a control frame to the transport."""
        cdef int first = FIN | opcode
        if self.close_sent or self.transport is None or self.transport.is_closing():
            raise ConnectionResetError("the WebSocket is closed: it can't send any more")
        if self.extensions and not opcode & CONTROL:
            data = data.encode() if PyUnicode_Check(data) else bytes(data)
            for extension in self.extensions:
                coded = extension.encode(data, level)
                if coded is not None:
                    data = coded
                    first |= <int> extension.rsv
        self.write(first, data)
        return self.is_behind

    def write_frame(self, int first, data):
        """Hand one frame to the transport."""
        self.write(first, data)

    cdef int write(self, int first, object data) except -1:
        if self.is_direct:
            self.is_direct = False
            self.write_directly(serialize(first, data, self.is_client))
            return 0
        if self.descriptor >= 0:
            self.hold()
        if self.is_client or type(data) is not bytes or PyBytes_GET_SIZE(data) < UNCOPIED:
            self.transport.write(serialize(first, data, self.is_client))
        else:
            self.transport.write(serialize_head(first, PyBytes_GET_SIZE(data), False))
            self.transport.write(data)
        return 0

    cdef int write_directly(self, bytes frame) except -1:
        """Write to the socket what it takes now, and the rest by the transport."""
        cdef Py_ssize_t size = PyBytes_GET_SIZE(frame)
        cdef Py_ssize_t sent = -1
        if self.may_hold:
            self.may_hold = self.transport.get_write_buffer_size() > 0
        if not self.may_hold:
            sent = send_bytes(self.descriptor, PyBytes_AS_STRING(frame), size)
        if sent == size:
            return 0
        self.hold()
        self.transport.write(frame if sent <= 0 else frame[sent:])
        return 0

    def note_queued(self):
        """Write by the transport alone for a while: what it collects now goes first.

        uvloop may write what it has collected behind a turn's callbacks, and what a timer collects has these before it.
        """
        self.hold()

    cdef int hold(self) except -1:
        self.state.count()
        self.may_hold = True
        self.free_turn = self.state.turn + TURNS
        return 0


@_cython.freelist(64)
cdef class NextMessage:
    """The next message of a channel, to be awaited once: what a coroutine would be, without its frame."""

    cdef Channel channel
    cdef bint stops
    cdef bint is_waiting

    def __dealloc__(self):
        forget_value()

    def __await__(self):
        return self

    def __next__(self):
        """Give the receiver to wait for, or stop with the message; ``next_message()`` does it."""

    cdef object step(self):
        """Take the message; None where it has to be waited for."""
        cdef Channel channel = self.channel
        cdef object message
        cdef object kind
        cdef bint is_taken
        # A task that was woken is the receiver's callback no more; where one is, it awaits this object, and so does another.
        is_taken = channel.receiver.callback is not None if self.is_waiting else channel.is_receiving
        if is_taken:
            raise RuntimeError(_PARALLEL_RECEIVE)
        self.is_waiting = channel.is_receiving = False
        message = channel.take()
        if message is None:
            self.is_waiting = channel.is_receiving = True
            return None
        kind = <object> (<tuple> message)[0]
        if kind is not TEXT_TYPE and kind is not BINARY_TYPE:
            channel.react(message)
            if self.stops and kind in _ENDS:
                raise StopAsyncIteration
        return message

    def send(self, value):
        """Go on, as a coroutine does."""
        return next(self)

    def throw(self, kind, value=None, trace=None):
        """Receive no more, and raise the error."""
        self.close()
        if value is None:
            value = kind() if isinstance(kind, type) else kind
        raise value

    def close(self):
        """Receive no more."""
        if self.is_waiting:
            self.is_waiting = self.channel.is_receiving = False


_Coroutine.register(NextMessage)


cdef NextMessage make_next(Channel channel, bint stops):
    cdef NextMessage made = NextMessage.__new__(NextMessage)
    made.channel = channel
    made.stops = stops
    return made


cdef PyObject* next_message(PyObject* pointer) except? NULL:
    """``NextMessage.__next__``, which would spend its time on the traceback of its StopIteration."""
    cdef NextMessage self = <NextMessage> pointer
    cdef object message = self.step()
    cdef Receiver receiver
    if message is not None:
        stop_iteration(<PyObject*> message)
        return NULL
    receiver = self.channel.receiver
    receiver.is_cancelled = False
    receiver._asyncio_future_blocking = True
    Py_INCREF(receiver)
    return <PyObject*> receiver


(<PyTypeObject*> NextMessage).tp_iternext = next_message


cdef class MessageIterator:
    """Give a channel's messages to ``async for``; see ``_pure.MessageIterator``."""

    cdef Channel channel

    def __init__(self, Channel channel not None):
        self.channel = channel

    def __aiter__(self):
        return self

    def __anext__(self):
        return make_next(self.channel, True)


cdef Py_ssize_t weigh(object message) except -1:
    """What a waiting message counts against the limit; those that come once count nothing."""
    cdef object data = (<tuple> message)[1]
    if PyUnicode_Check(data) or type(data) is bytes:
        return len(data) + MESSAGE_OVERHEAD
    return 0
