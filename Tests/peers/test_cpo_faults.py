"""A fleet with injected faults, whose billed energy equals the cars' own sum to the watt-hour.

`FAULT_SEED=N` runs another seed; one that fails prints itself. `Tests/long` runs many, on both engines.
"""
import asyncio
import os

import fleet_visit

SEED = int(os.environ.get("FAULT_SEED", "20261128"))
STATIONS, CHARGES = 8, 6


def test_what_a_fleet_with_faults_is_billed_is_what_its_cars_took_in(tmp_path):
    outcome = asyncio.run(fleet_visit.visit(tmp_path, SEED, STATIONS, CHARGES))
    print(outcome)
    # The seed is known, so that a fleet without faults would be seen.
    assert outcome["charges"] > 80 and outcome["odd"] > 20 and outcome["faults"] > 60, outcome


def test_a_line_that_loses_and_repeats_leaves_nothing_to_a_person(tmp_path):
    """Lost acks, repetitions, half-open sockets and deaths of the server alone change no bill and raise no flag."""
    outcome = asyncio.run(fleet_visit.visit(tmp_path, SEED, STATIONS, CHARGES, allowed=frozenset()))
    print(outcome)
    assert outcome["charges"] == STATIONS * 2 * CHARGES and outcome["faults"] > 60, outcome
    assert outcome["odd"] == outcome["decided"] == outcome["corrected"] == 0, outcome
