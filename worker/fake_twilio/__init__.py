"""A stand-in for Twilio's Messages API on loopback: it keeps state, and fails as it is told to.

It knows nothing of Qida's own code, so that what it says about a client is a second opinion. It
ships with Qida: as `qida fake-twilio`, and for tests as `with running(FakeTwilio()) as base_url`.
docs/fake-twilio.md tells how to plan faults, move its clock and read its ledger.
"""

from worker.fake_twilio.account import ACCOUNT, TOKEN, FakeTwilio
from worker.fake_twilio.plan_reading import BadPlan, read_plan
from worker.fake_twilio.plans import Plan
from worker.fake_twilio.serving import NotLoopback, running

__all__ = [
    "ACCOUNT",
    "TOKEN",
    "BadPlan",
    "FakeTwilio",
    "NotLoopback",
    "Plan",
    "read_plan",
    "running",
]
