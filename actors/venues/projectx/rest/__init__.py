"""The gateway's REST part, sans-I/O: `api` is all of it.

`asking` carries on a conversation and judges envelopes; `codes` names the refusals of each endpoint. Reads:
`contracts`, `bars`, `account`, and `holdings` of what an account has in a contract. Mutations: `terms` before
they are sent, `mutations` their request and its answer, `settling` what came of those without an answer.
"""

from actors.venues.projectx.rest.account import Listing as Listing
from actors.venues.projectx.rest.api import ProjectXApi as ProjectXApi
from actors.venues.projectx.rest.bars import BarUnit as BarUnit
