"""For Mininet's own command: ``mn --custom .../testbed/net/mn.py --host tb --switch tb --link tb``.

`mn` reads the tables below; ``tb`` names our classes (``ovstb``: Open vSwitch).
"""

from testbed.net import measure, mininet_api
from testbed.net.link import Link
from testbed.net.node import Host, Router
from testbed.net.ovs import OVSSwitch
from testbed.net.switch import Switch

hosts = {"tb": Host, "tbrouter": Router}
switches = {"tb": Switch, "ovstb": OVSSwitch}

# A missing comma in mn keeps it from merging a table `links`, but it accepts a whole one.
LINKS = {
    "default": mininet_api.link.Link,
    "tc": mininet_api.link.TCLink,
    "tcu": mininet_api.link.TCULink,
    "ovs": mininet_api.link.OVSLink,
    "tb": Link,
}

# Mininet's own waits forever with iperf 2.1 (Debian 12).
mininet_api.net.Mininet.iperf = measure.iperf
