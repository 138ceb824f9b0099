# cython: language_level=3, freethreading_compatible=True
"""Arrow's C data interface: tables of other libraries, read where they lie.

https://arrow.apache.org/docs/format/CDataInterface.html
"""
from cpython.memoryview cimport PyMemoryView_FromMemory
from cpython.pycapsule cimport PyCapsule_GetPointer
from libc.stdint cimport int64_t, uintptr_t
from libc.string cimport memset

import numpy as np

cdef extern from *:
    """
    #include <stdint.h>
    #ifndef ARROW_C_DATA_INTERFACE
    #define ARROW_C_DATA_INTERFACE
    struct ArrowSchema {
        const char *format, *name, *metadata;
        int64_t flags, n_children;
        struct ArrowSchema **children;
        struct ArrowSchema *dictionary;
        void (*release)(struct ArrowSchema *);
        void *private_data;
    };
    struct ArrowArray {
        int64_t length, null_count, offset, n_buffers, n_children;
        const void **buffers;
        struct ArrowArray **children;
        struct ArrowArray *dictionary;
        void (*release)(struct ArrowArray *);
        void *private_data;
    };
    #endif
    #ifndef ARROW_C_STREAM_INTERFACE
    #define ARROW_C_STREAM_INTERFACE
    struct ArrowArrayStream {
        int (*get_schema)(struct ArrowArrayStream *, struct ArrowSchema *);
        int (*get_next)(struct ArrowArrayStream *, struct ArrowArray *);
        const char *(*get_last_error)(struct ArrowArrayStream *);
        void (*release)(struct ArrowArrayStream *);
        void *private_data;
    };
    #endif
    """
    struct ArrowSchema:
        const char *format
        const char *name
        int64_t n_children
        ArrowSchema **children
        ArrowSchema *dictionary
        void (*release)(ArrowSchema *) noexcept nogil
    struct ArrowArray:
        int64_t length, null_count, offset, n_buffers, n_children
        const void **buffers
        ArrowArray **children
        ArrowArray *dictionary
        void (*release)(ArrowArray *) noexcept nogil
    struct ArrowArrayStream:
        int (*get_schema)(ArrowArrayStream *, ArrowSchema *) noexcept
        int (*get_next)(ArrowArrayStream *, ArrowArray *) noexcept nogil
        const char *(*get_last_error)(ArrowArrayStream *) noexcept
        void (*release)(ArrowArrayStream *) noexcept


cdef class _Owner:
    """Keeps an array of another library alive."""

    cdef ArrowArray array

    def __cinit__(self):
        memset(&self.array, 0, sizeof(ArrowArray))

    def __dealloc__(self):
        if self.array.release != NULL:
            self.array.release(&self.array)


cdef class Node:
    """An Arrow array: of a whole table, of a column, or of what a column is made of.

    Attributes
    ----------
    format, name : str
        Type, in the letters of the C data interface, and name of the field.
    length, offset, null_count : int
    children : list of Node
    dictionary : Node or None
    n_buffers : int
    """

    cdef readonly str format, name
    cdef readonly int64_t length, offset, null_count, n_buffers
    cdef readonly list children
    cdef readonly Node dictionary
    cdef readonly _Owner owner
    cdef const void **buffers

    def buffer(self, int64_t index, dtype, int64_t count):
        """Return items of a buffer as an ndarray, or None where there is no buffer.

        The array is a view: keep the node.
        """
        cdef const void *at = self.buffers[index]
        if count == 0:
            return np.empty(0, dtype)
        if at == NULL:
            return None
        size = count * np.dtype(dtype).itemsize
        return np.frombuffer(PyMemoryView_FromMemory(<char *>at, size, 0x100), dtype)  # 0x100: PyBUF_READ


cdef Node _node(ArrowSchema *schema, ArrowArray *array, _Owner owner):
    cdef Node node = Node()
    node.format = schema.format.decode()
    node.name = "" if schema.name == NULL else schema.name.decode()
    node.length, node.offset, node.null_count = array.length, array.offset, array.null_count
    node.n_buffers, node.buffers, node.owner = array.n_buffers, array.buffers, owner
    node.children = [_node(schema.children[k], array.children[k], owner) for k in range(array.n_children)]
    if schema.dictionary != NULL:
        node.dictionary = _node(schema.dictionary, array.dictionary, owner)
    return node


cdef _stream_error(ArrowArrayStream *stream):
    cdef const char *message = stream.get_last_error(stream)
    return ValueError("reading X failed: " + ("unknown error" if message == NULL else message.decode()))


cdef list _chunks(ArrowArrayStream *stream, ArrowSchema *schema):
    cdef _Owner owner
    cdef list chunks = []
    cdef int failed
    while True:
        owner = _Owner()
        with nogil:
            failed = stream.get_next(stream, &owner.array)
        if failed:
            raise _stream_error(stream)
        if owner.array.release == NULL:
            return chunks
        chunks.append(_node(schema, &owner.array, owner))


cdef list _names(ArrowSchema *schema):
    cdef list fields = []
    for k in range(schema.n_children):
        fields.append(("" if schema.children[k].name == NULL else schema.children[k].name.decode()))
    return fields


def read_stream(capsule):
    """Read all of an ``arrow_array_stream``.

    Returns
    -------
    format : str
        "+s" is a table.
    names : list of str
        Of the columns of a table.
    chunks : list of Node

    Raises
    ------
    ValueError
        If the stream reports an error.
    """
    cdef ArrowArrayStream *stream = <ArrowArrayStream *>PyCapsule_GetPointer(capsule, "arrow_array_stream")
    cdef ArrowSchema schema
    memset(&schema, 0, sizeof(ArrowSchema))
    if stream.get_schema(stream, &schema):
        raise _stream_error(stream)
    try:
        return schema.format.decode(), _names(&schema), _chunks(stream, &schema)
    finally:
        schema.release(&schema)
