"""The loggers of the drivers of queue systems."""

import logging

from asya_transports.known import DESCRIPTIONS


def quiet_drivers() -> None:
    """Leave out the debug lines of all drivers, which contain whole messages and signatures. To be called when the
    level of the root logger is set."""
    least = max(logging.getLogger().level, logging.INFO)
    for description in DESCRIPTIONS.values():
        for driver in description.drivers:
            logging.getLogger(driver.partition(".")[0]).setLevel(least)
