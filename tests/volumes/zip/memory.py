"""Memory that a call takes."""

import tracemalloc


def peak_of(call):
    """Bytes that Python and numpy held at most."""
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
