"""Whether a word was meant as another one."""


def is_slip(word: str, meant: str) -> bool:
    """Whether `word` is `meant` in other capitals, with a letter too many or too few, or with two neighbours exchanged.
    The first letter is right, and one wrong letter is no slip: both make other words (`ask` and `tank` for `task`,
    `map` for `mcp`)."""
    word, meant = word.casefold(), meant.casefold()
    if word[:1] != meant[:1]:
        return False
    if abs(len(word) - len(meant)) == 1:
        longer, shorter = sorted((word, meant), key=len, reverse=True)
        return any(longer[:place] + longer[place + 1 :] == shorter for place in range(len(longer)))
    return word == meant or any(_exchanged(word, place) == meant for place in range(len(word) - 1))


def _exchanged(word: str, place: int) -> str:
    return word[:place] + word[place + 1] + word[place] + word[place + 2 :]
