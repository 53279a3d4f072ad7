"""Text for a terminal."""


def one_line(text: str, most: int = 400) -> str:
    """Return ``text`` without line breaks, shortened to about ``most`` characters.

    The middle is left out: the beginning says what failed, and the end says why.
    """
    joined = " ".join(text.split())
    return joined if len(joined) <= most else f"{joined[: most // 3]} … {joined[-most // 2 :]}"
