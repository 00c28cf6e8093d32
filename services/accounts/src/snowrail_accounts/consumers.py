"""Subscribers of accounts."""

from snowrail_accounts.parts import Parts
from snowrail_accounts.usecases import devices, people
from snowrail_events import DeviceApproveV1, DeviceDenyV1, UserSetTimeZoneV1
from snowrail_kit.consumer import Consumers

consumers: Consumers[Parts] = Consumers()

consumers.on(DeviceApproveV1)(devices.follow_approvals)
consumers.on(DeviceDenyV1)(devices.follow_denials)
consumers.on(UserSetTimeZoneV1)(people.follow_time_zones)
