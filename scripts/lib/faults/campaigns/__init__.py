"""One module for each kind of fault, in the order in which they are played."""

from faults.campaigns.damage import Damage
from faults.campaigns.diskfull import DiskFull
from faults.campaigns.edits import Edits
from faults.campaigns.kills import Kills
from faults.campaigns.lockholder import LockHolder
from faults.campaigns.mutants import Mutants
from faults.campaigns.powercut import PowerCut
from faults.campaigns.retention import Retention
from faults.campaigns.stops import Stops

ALL = (Kills, Stops, LockHolder, DiskFull, Edits, Damage, Retention, PowerCut, Mutants)
BY_NAME = {campaign.name: campaign for campaign in ALL}
