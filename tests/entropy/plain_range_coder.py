"""A range coder in plain Python, for reading and for checking the fast one against: both write the same bytes.

A message is a number in [0, 1), written in base 2^32. Every symbol narrows an interval [low, low + width) in proportion
to its probability, count / 2^24. `low` is one big integer, so carries need no thought; `width` is cut to 64 bits: once
it falls below 2^32 the interval is measured in units 2^32 times finer.

A step is (running sum of the counts before the symbol, its count, sum of all counts as a power of two).
"""

WORD, STATE = 32, 64


def encode(steps):
    low, width, words = 0, 2**STATE - 1, 0
    for left, count, precision in steps:
        unit = width >> precision
        low, width = low + unit * left, unit * count
        if width < 2**WORD:
            low, width, words = low << WORD, width << WORD, words + 1
    digits = WORD // 8 * words + STATE // 8  # bytes that `low` has room for
    for n_bytes in range(WORD // 8 * words, digits + 1):  # shortest ending with a number inside the interval
        grid = 256 ** (digits - n_bytes)
        number = -(-low // grid) * grid
        if number < low + width and number < 256**digits:
            return number.to_bytes(digits, "big")[:n_bytes]


class Decoder:
    def __init__(self, data):
        self.data = data + bytes(STATE // 8)
        self.at = STATE // 8
        self.offset = int.from_bytes(self.data[: self.at], "big")  # of the message's number above `low`
        self.width = 2**STATE - 1

    def pop(self, counts, precision=24):
        """Index of the next symbol under a row of counts."""
        unit = self.width >> precision
        place, index = self.offset // unit, 0
        while place >= counts[index]:
            place -= counts[index]
            index += 1
        self.offset -= unit * sum(counts[:index])
        self.width = unit * counts[index]
        if self.width < 2**WORD:
            word = self.data[self.at : self.at + WORD // 8].ljust(WORD // 8, b"\0")
            self.offset = self.offset << WORD | int.from_bytes(word, "big")
            self.width, self.at = self.width << WORD, self.at + WORD // 8
        return index
