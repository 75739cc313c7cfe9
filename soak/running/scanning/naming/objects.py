"""Read what CPython's objects hold in the memory of another process: the layouts of CPython 3.8 to 3.14.

Nothing here is sure: memory may look like a table and be another. Whoever asks gets None if something does not fit.
"""

from __future__ import annotations

import struct

from soak.probes.memory import ProcessMemory

_SIZE_WORD = 2
"""Of a list, a tuple, bytes, a str, a dict: its length follows the head of two words."""
_USED_OF_SET = 3
_OLD_TEXT, _NEW_TEXT = 48, 40
"""Where the characters of an ASCII str begin; since CPython 3.12 the second."""
_LONGEST_TEXT = 200
_DICT_KEYS, _DICT_VALUES = 4, 5
_OLD_HEADER, _NEW_HEADER = 40, 32
_SMALLEST_LOG, _LARGEST_LOG = 3, 32
_UNICODE_KINDS = (1, 2)
_SPLIT = 2
_GENERAL_ENTRY, _UNICODE_ENTRY = 3, 2
"""Words of an entry: hash, key, value; or key, value."""
_MODULE_NAME = 6
_FUNCTION_GLOBALS, _NEW_QUALIFIED_NAME, _OLD_QUALIFIED_NAME = 2, 5, 13
"""Since CPython 3.10 the globals come first; before, the code does, and the qualified name is the last field."""
_CODE_WITHIN = 8
_CACHED_KEYS_WITHIN = (52, 140)
"""Words of a heap type among which ht_cached_keys stands."""
_MOST_ENTRIES = 1 << 20
_DEQUE_FIELDS, _ITEMS_OF_BLOCK = range(3, 7), 64
_NAME_WORD = 3
_WORDS_OF_CODE, _ITEMS_AT = 24, 24


class ObjectReader:
    """Reads the objects of one process that stands still."""

    def __init__(self, memory: ProcessMemory) -> None:
        """Read nothing yet."""
        self._memory = memory

    def words(self, address: int, count: int) -> list[int]:
        """Return some words; zeros for what cannot be read."""
        found: list[int] = self._memory.read(address, count).tolist() if 0 < address < 1 << 63 else []
        return found + [0] * (count - len(found))

    def text(self, address: int) -> str | None:
        """Return a str of ASCII at an address; None if there is none."""
        length = self.words(address, _SIZE_WORD + 1)[_SIZE_WORD]
        if not 0 < length <= _LONGEST_TEXT or not self._is(address, "str"):
            return None
        content = struct.pack("<30Q", *self.words(address + _NEW_TEXT, 30))
        start = 0 if content[0] else _OLD_TEXT - _NEW_TEXT
        found, end = content[start : start + length], content[start + length]
        return found.decode("ascii") if found.isascii() and b"\0" not in found and not end else None

    def size(self, address: int, kind: str) -> int | None:
        """Return how many items an object of a built-in type has; None of other types."""
        if kind in ("set", "frozenset"):
            return self.words(address, _USED_OF_SET + 1)[_USED_OF_SET]
        if kind in (
            "list",
            "tuple",
            "dict",
            "bytes",
            "str",
            "collections.deque",
            "bytearray",
            "collections.OrderedDict",
        ):
            return self.words(address, _SIZE_WORD + 1)[_SIZE_WORD]
        return None

    def module_name(self, address: int) -> str | None:
        """Return the name of the module at an address."""
        return self.text(self.words(address, _MODULE_NAME + 1)[_MODULE_NAME])

    def function_name(self, address: int) -> str | None:
        """Return the qualified name of the function at an address."""
        fields = self.words(address, _OLD_QUALIFIED_NAME + 1)
        is_new = self._is(fields[_FUNCTION_GLOBALS], "dict")
        return self.text(fields[_NEW_QUALIFIED_NAME if is_new else _OLD_QUALIFIED_NAME])

    def free_variable(self, function_at: int, closure_at: int, number: int) -> str | None:
        """Return what the variable in a cell of a function's closure is called."""
        count = self.size(closure_at, "tuple") or 0
        for code_at in self.words(function_at, _CODE_WITHIN)[_FUNCTION_GLOBALS:]:
            if self._is(code_at, "code"):
                fields = self.words(code_at, _WORDS_OF_CODE)
                return self._free_variable(fields, count, number)
        return None

    def _free_variable(self, fields: list[int], count: int, number: int) -> str | None:
        """Return the name of a free variable by the fields of a code object: all names, or three tuples of them."""
        kinds = ["tuple" if self._is(word, "tuple") else "bytes" if self._is(word, "bytes") else "" for word in fields]
        for at in range(len(fields) - 1):
            size = self.size(fields[at], "tuple") if kinds[at] == "tuple" else None
            if size and kinds[at + 1] == "bytes" and self.size(fields[at + 1], "bytes") == size >= count:
                return self.text(self.words(fields[at] + _ITEMS_AT + 8 * (size - count + number), 1)[0])
            if size == count and kinds[at + 1 : at + 3] == ["tuple", ""]:  # names of cells come last
                return self.text(self.words(fields[at] + _ITEMS_AT + 8 * number, 1)[0])
        return None

    def _is(self, address: int, kind: str) -> bool:
        """Whether an object of a type of CPython's own stands at an address."""
        if address % 8 or address < 1 << 16:
            return False
        name_at = self.words(self.words(address, 2)[1], _NAME_WORD + 1)[_NAME_WORD]
        return struct.pack("<2Q", *self.words(name_at, 2)).split(b"\0")[0] == kind.encode()

    def tables_of_dict(self, address: int) -> tuple[int, int]:
        """Return where the keys and the values of the dict at an address are; 0 if the values are with the keys."""
        found = self.words(address, _DICT_VALUES + 1)
        return found[_DICT_KEYS], found[_DICT_VALUES]

    def is_used_in_deque(self, address: int, block_at: int, word: int) -> bool:
        """Whether a word of a block of a deque is among its items, or is the way to its next block."""
        left_at, right_at, first, last = self.words(address, _DEQUE_FIELDS.stop)[_DEQUE_FIELDS.start :]
        number = (word - block_at) // 8 - 1  # behind the link to the block before
        if not 0 <= number < _ITEMS_OF_BLOCK:
            return True
        return not (block_at == left_at and number < first) and not (block_at == right_at and number > last)

    def half_of_table(self, keys_at: int, size_bytes: int) -> int:
        """Return the size in bytes of the table of a dict with half as many places, if all entries would fit into it.

        Else, and of a block that is no such table, 0. CPython makes a table larger when all places for entries have
        been used, also those of entries that were removed.
        """
        table = self._table(keys_at)
        if table is None:
            return 0
        entries_at, entry_words, _ = table
        for log in range(_SMALLEST_LOG + 1, _LARGEST_LOG):
            header = entries_at - keys_at - _index_bytes(log)
            if header in (_OLD_HEADER, _NEW_HEADER) and size_bytes == _table_bytes(header, log, entry_words):
                entries = self._memory.read(entries_at, entry_words * _usable(log))
                used = int((entries[entry_words - 2 :: entry_words] > 0).sum())
                is_read = len(entries) == entry_words * _usable(log)
                return _table_bytes(header, log - 1, entry_words) if is_read and used <= _usable(log - 1) else 0
        return 0

    def key_of_word(self, keys_at: int, word: int) -> str | None:
        """Return the text of the key in whose entry of a table of keys a word stands."""
        table = self._table(keys_at)
        if table is None:
            return None
        entries_at, entry_words, _ = table
        number = (word - entries_at) // (8 * entry_words)
        return self._key(entries_at, entry_words, number) if number >= 0 else None

    def key_of_value(self, keys_at: int, number: int) -> str | None:
        """Return the text of the key that belongs to a value of a table of values."""
        table = self._table(keys_at)
        return None if table is None or not 0 <= number < _MOST_ENTRIES else self._key(table[0], table[1], number)

    def cached_keys(self, type_at: int) -> int | None:
        """Return where the keys are that the instances of a class share."""
        first, end = _CACHED_KEYS_WITHIN
        for word in self.words(type_at, end)[first:]:
            table = self._table(word) if word % 8 == 0 and word > 1 << 16 else None
            if table is not None and table[2] and self._key(table[0], table[1], 0):
                return word
        return None

    def _table(self, keys_at: int) -> tuple[int, int, bool] | None:
        """Return where the entries of a table of keys begin, words of an entry, and whether values may stand apart."""
        header = self.words(keys_at, 2)[1]
        log, log_bytes, kind = header & 0xFF, header >> 8 & 0xFF, header >> 16 & 0xFF
        if _SMALLEST_LOG <= log <= _LARGEST_LOG and log <= log_bytes <= log + 3 and kind <= _SPLIT:
            entry = _UNICODE_ENTRY if kind in _UNICODE_KINDS else _GENERAL_ENTRY
            return keys_at + _NEW_HEADER + (1 << log_bytes), entry, kind == _SPLIT
        if header >= 1 << _SMALLEST_LOG and header & (header - 1) == 0 and header < 1 << _LARGEST_LOG:
            index_bytes = 1 if header <= 0xFF else 2 if header <= 0xFFFF else 4
            return keys_at + _OLD_HEADER + header * index_bytes, _GENERAL_ENTRY, True
        return None

    def _key(self, entries_at: int, entry_words: int, number: int) -> str | None:
        place = entries_at + 8 * (entry_words * number + entry_words - 2)
        return self.text(self.words(place, 1)[0])


def _index_bytes(log: int) -> int:
    return (1 << log) * (1 if log <= 7 else 2 if log <= 15 else 4)


def _usable(log: int) -> int:
    """Return for how many entries a table of so many places, as their logarithm, has room."""
    return (1 << log + 1) // 3


def _table_bytes(header: int, log: int, entry_words: int) -> int:
    return header + _index_bytes(log) + 8 * entry_words * _usable(log)
