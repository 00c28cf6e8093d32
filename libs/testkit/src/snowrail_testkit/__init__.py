"""What tests of every room share: real servers, set time, known ids, faulty connections, built events."""

from snowrail_testkit.broker import Broker, Identities, Probe
from snowrail_testkit.builders import Builder, build
from snowrail_testkit.chain import DevChain
from snowrail_testkit.databases import CreateDatabase, TestDatabase
from snowrail_testkit.fault_proxy import Direction, FaultProxy
from snowrail_testkit.fixed import FakeClock, SequentialIds
from snowrail_testkit.processes import RunningService, running_service
from snowrail_testkit.waiting import eventually

__all__ = [
    "Broker",
    "Builder",
    "CreateDatabase",
    "DevChain",
    "Direction",
    "FakeClock",
    "FaultProxy",
    "Identities",
    "Probe",
    "RunningService",
    "SequentialIds",
    "TestDatabase",
    "build",
    "eventually",
    "running_service",
]
