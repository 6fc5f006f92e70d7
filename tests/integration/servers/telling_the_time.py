"""A program that sleeps a moment and tells the time of its clocks, for each line that it reads."""

import time

from tests.support.waiting import lasts_blocking

if __name__ == "__main__":
    while input():
        lasts_blocking(0.01)
        print(time.time(), time.monotonic(), flush=True)
