"""Bugs to plant in the streams: each a slip that a maintainer could make."""

from tests.support.stream_mutants import acknowledgement, latest_order, log

MUTANTS = (*acknowledgement.MUTANTS, *latest_order.MUTANTS, *log.MUTANTS)
