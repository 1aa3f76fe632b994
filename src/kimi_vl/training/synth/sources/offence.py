"""Words that no picture for training shall make a name of: slurs, and what is as bad on a shop sign.

The pack's words are a dictionary's, which has them all, and names of people, towns and shops are drawn from it. They are kept as digests,
so that nobody has to read them; to add one, put `digest(word)` into its list. Used when a pack is built; one that is there stays as it
is.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator

INSIDE = frozenset(
    """
08a841e996781e9e 120f6e5b4ea32f65 15551266fa4ff7c4 16ea09fc78ca83ca 1c4bfd100aa92982 22fc75e65a0e9d34 27a62b68179c96f5 27eb0c4ad7072067
2d84fef55bc7815d 3175bf0638675a5b 333f7618092958c7 33740da8a87dc7de 37616f44667257f0 43508b5c03b8b8ce 46505206c396cda4 469c0fdb6020d4bf
470dd2458785405b 4c58f5d5fe92c3ed 4c9ee079b6093c2f 6122fdf4ae1474fb 6939937b0ac62334 6ac3c336e4094835 6d1833779e389477 70e4043b678ff365
88dedc4f85bc864d 8ea8c84240050ac8 8f5083e3e5c7dc89 9ae315a94e428a7e 9d57436661e1dce7 a40ccba874d28799 a7847e36277d2ee0 ad412adb493df95a
b3cec2f6ece2cef2 b726c4b4a1b4f011 bb87adf8aa783887 be00f1af522eaa99 c2c3b68b48832afd c3de533e9b7fe63b c709d1a287817777 cc02032349c833ac
ce20df7259154252 dc675e448132fd2a e742d17ff490c87e eef3bd091670c344 fd70ad909b94deb2
""".split()
)  # wherever in a word they stand
WHOLE = frozenset(
    """
0515b9e67e0e8306 093b7636b24aca21 09616d58d55b8b0c 0be9b885f4a35a18 0c9eff9d6b113fd8 118418653f4d41e9 12e6274e4309293e 158869a97379229b
1802d081455e60cd 1cb662b51707f04d 267463e5e36cd787 2a6937d721b14cdd 30a989afc82c0a21 3160c321bcd0c49b 3b1e0d7c5dd45583 3cc0a581d3bbe605
428cc39e867f3776 45cd3e1bb472d8e2 517ae3f73216da64 566f532d486c9477 59cc3cb8a4297301 60a2bd4c34b9656f 60bb8db6108a8442 619bc82e0d200e4a
6437ea7144483cfa 66a97042be34a629 6b95d47887bf5070 70aafb4266950c0d 77ccd22350728f06 7991d51fe699b9e7 7e176c4f23155ac6 85fc17f7069acd39
867d78976655050c 886d51e97ad7931d 9320f7d84c0c5076 94a877e2ce63725e 94c6d2e10a76c313 986c99004163a6c5 98b52c4b6b7d1f48 9915ba2d822280f2
a76d588d0047e3b0 a7bf072c97a0779f acc96930e3a69737 ad64e56f214e89dd ad6cacf3af98d07b bb209d506bb8b178 bcd1642bca163da3 bd331fb1d24298f5
c1b4ed05397df5ee c22f315f1b330bfd c51162900556ec9f ca5941f91508c0d1 ce094c5d6238d04e d751137f9b2fa20d da88439262778df6 daec0c235d3135fc
dbc94000da7c17f7 e78429d19cd5a4b5 e7b98c6aa5b944e0 e9e8b6c5afa7794f ed6bf432aec21f9a ee5a869b5ace6905 f59e28f8bb6499dd f5bb7bbf78f24c61
f64c6fad9c3c8b57 f9d0d9b18ae9033a fda6539b84e7df94
""".split()
)  # a word of its own, or its plural: other words hold it by chance

SHORTEST, LONGEST = 4, 11  # letters of those in INSIDE
_WORD = re.compile(r"[^\W\d_]+")


def digest(word: str) -> str:
    """How a lower-case word stands in the lists."""
    return hashlib.sha256(word.encode()).hexdigest()[:16]


def is_offensive(text: str) -> bool:
    """Whether a word of `text` is one of them, or holds one; in capitals or not, with a possessive or not."""
    return any(_is_offensive(word) for word in _WORD.findall(text.lower()))


def inoffensive(entries: Iterable[str]) -> Iterator[str]:
    """Those that may be kept, in their order."""
    return (entry for entry in entries if not is_offensive(entry))


def _is_offensive(letters: str) -> bool:
    if digest(letters) in WHOLE or digest(letters.removesuffix("s")) in WHOLE:
        return True
    return any(
        digest(letters[start : start + length]) in INSIDE
        for length in range(SHORTEST, LONGEST + 1)
        for start in range(len(letters) - length + 1)
    )
