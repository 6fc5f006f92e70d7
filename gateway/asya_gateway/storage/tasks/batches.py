"""The batched writes, each kind with its limits."""

import asyncio
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from operator import attrgetter
from typing import TypeVar

from asya_gateway.domain.budget import Budget
from asya_gateway.domain.ports import NewTask
from asya_gateway.storage.coalescer import Coalescer, Flush, Limits
from asya_gateway.storage.retrying import Settle, within
from asya_gateway.storage.tasks.admitting import Admitter, Applicant, Verdict, applicant_size
from asya_gateway.storage.tasks.creating import TaskCreator, create_size
from asya_gateway.storage.tasks.finishing import TaskFinisher, final_size
from asya_gateway.storage.tasks.hops import HopAnswer, HopReport, HopWriter, hop_rows, hop_size
from asya_gateway.storage.tasks.reporting import ProgressReporter, report_size

CREATING_AT_ONCE = 2
"""Batches of creates that are written at the same time, each on its own connection."""
ENDING_AT_ONCE = 2
"""The same for large ends. They leave a connection to everything else."""
Item = TypeVar("Item")
Reply = TypeVar("Reply")


class Batches:
    """Each attempt at a batch is given up after `longest` seconds. `connections`: how many there are for batches."""

    def __init__(
        self,
        creator: TaskCreator,
        admitter: Admitter,
        reporter: ProgressReporter,
        finisher: TaskFinisher,
        hops: HopWriter,
        *,
        limits: Limits,
        budget: Budget,
        longest: float,
        connections: int,
        settle: Settle,
    ) -> None:
        def bounded(flush: Flush[Item, Reply]) -> Flush[Item, Reply]:
            return lambda batch: within(longest, flush(batch), write=True)

        # Reports and ends are never refused because too much waits, because existing sidecars send them only once. They
        # were read when there was room, and beyond the limit of waiting rows they hold that room until their turn.
        patient = replace(limits, waiting_bytes=sys.maxsize, refuses=False)

        def unrefused(
            name: str,
            flush: Flush[Item, Reply],
            size: Callable[[Item], int],
            rows: Callable[[Item], int] | None = None,
            limits: Limits = patient,
            concurrency: int = 2,
        ) -> Coalescer[Item, Reply]:
            return Coalescer(
                name,
                bounded(flush),
                key=attrgetter("task_id"),
                size=size,
                rows=rows,
                limits=limits,
                budget=budget,
                concurrency=concurrency,
                settle=settle,
            )

        self.creates = Coalescer[NewTask, datetime](
            "creates",
            bounded(creator.flush),
            # Each has an id of its own.
            key=lambda _: None,
            size=create_size,
            limits=limits,
            budget=budget,
            concurrency=CREATING_AT_ONCE,
            settle=settle,
        )
        self.admissions = Coalescer[Applicant, Verdict](
            "admissions",
            bounded(admitter.flush),
            key=attrgetter("order"),
            size=applicant_size,
            limits=limits,
            budget=budget,
            # Two concurrent batches would count open tasks at the same time, and both could exceed a cap.
            concurrency=1,
            settle=settle,
        )
        self.reports = unrefused("reports", reporter.flush, report_size)
        self.finals = unrefused("finals", finisher.flush, final_size)
        # The end of one hop and the beginning of the next come together, as two rows.
        both = replace(patient, whole_rows=2 * patient.whole_rows)
        self.hops: Coalescer[HopReport, HopAnswer] = unrefused("hops", hops.flush, hop_size, hop_rows, both)
        ending = min(ENDING_AT_ONCE, max(1, connections - 1))
        self.ends: Coalescer[HopReport, HopAnswer] = unrefused(
            "ends", hops.flush, hop_size, hop_rows, concurrency=ending
        )
        self._all = (self.creates, self.admissions, self.reports, self.finals, self.hops, self.ends)

    def waiting(self) -> dict[str, int]:
        """The number of writes of each kind that wait for a batch."""
        return {each.name: each.waiting for each in self._all}

    async def close(self) -> None:
        """Complete the accepted writes."""
        await asyncio.gather(*(each.close() for each in self._all))
