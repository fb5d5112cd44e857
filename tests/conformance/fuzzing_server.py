"""Autobahn's fuzzing server, on loopback alone: its verdicts go to stdout, a line of JSON a case.

In Python 2.7, for the suite is. Arguments: where its packages were installed; patterns of cases, as
JSON; which share of these, from 0 on; and how many shares there are.
"""

import json
import os
import site
import sys

packages, patterns, share, shares = sys.argv[1], json.loads(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
site.addsitedir(packages)  # PYTHONPATH would not heed the .pth file that puts `zope` together

from autobahntestsuite.fuzzing import FuzzingServerFactory  # noqa: E402
from twisted.internet import reactor  # noqa: E402

TOLD = ("id", "behavior", "behaviorClose", "result", "resultClose", "remoteCloseCode")


class Server(FuzzingServerFactory):
    """The suite's, but for what becomes of a verdict: it would make a page of it in the end."""

    def logCase(self, verdict):
        tell({key: verdict[key] for key in TOLD})


def tell(what):
    """To whoever started this."""
    os.write(stdout, json.dumps(what).encode() + b"\n")


stdout = os.dup(1)
os.dup2(2, 1)  # for the suite prints

server = Server({"url": "ws://127.0.0.1:80", "cases": patterns})
server.specCases = server.specCases[share::shares]
port = reactor.listenTCP(0, server, interface="127.0.0.1").getHost().port
server.setSessionParameters(url="ws://127.0.0.1:" + str(port))
tell({"port": port, "cases": server.specCases})
reactor.run()
