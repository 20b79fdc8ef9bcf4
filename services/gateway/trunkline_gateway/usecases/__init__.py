"""The verbs that every dialect shares, one file per thing they are about."""

from trunkline_gateway.usecases.approvals import Approvals
from trunkline_gateway.usecases.events import Events
from trunkline_gateway.usecases.steering import Steering
from trunkline_gateway.usecases.tasks import Tasks
from trunkline_gateway.usecases.traces import Traces

__all__ = ["Approvals", "Events", "Steering", "Tasks", "Traces"]
