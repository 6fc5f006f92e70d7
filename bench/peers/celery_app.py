"""Celery as its documentation shows it, durable: late acknowledgements, persistent messages, no results.

`python celery_app.py COUNT` sends so many tasks; `celery -A celery_app worker` does them. Each writes the time of its
end to the file ENDS, as 8 bytes.
"""

import os
import struct
import sys
import time

from celery import Celery

app = Celery("celery_app", broker=os.environ["BROKER"])
app.conf.update(task_acks_late=True, task_ignore_result=True, broker_connection_retry_on_startup=True)
ENDS = os.open(os.environ["ENDS"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)


@app.task  # type: ignore[untyped-decorator] # the peers have an environment of their own
def echo(payload: object) -> object:
    """Returns what it gets."""
    os.write(ENDS, struct.pack("<d", time.time()))
    return payload


if __name__ == "__main__":
    arguments = {"text": "The quick brown fox jumps over the lazy dog. " * 4, "count": 7}
    with app.connection_for_write() as connection:
        producer = app.amqp.Producer(connection)
        for _ in range(int(sys.argv[1])):
            echo.apply_async((arguments,), producer=producer)
