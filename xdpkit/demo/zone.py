"""What the demo serves: a configuration with all services enabled, and a zone of ten names."""

CONFIGURATION = """\
[interface]
name = "server0"
queues = [2]

[ntp]
stratum = 10

[dns]
zones = "zones"

[echo]
"""

NAME = "www.example"
ADDRESS = "192.0.2.80"

ZONE = """\
$ORIGIN example.
$TTL 3600
@      SOA   ns1 hostmaster 1 7200 3600 1209600 300
@      NS    ns1
@      NS    ns2
@      MX    10 mail
ns1    A     192.0.2.1
ns1    AAAA  2001:db8::1
ns2    A     192.0.2.53
mail   A     192.0.2.25
www    A     192.0.2.80
www    AAAA  2001:db8::80
ftp    CNAME www
time   A     192.0.2.123
_ntp._udp SRV 0 0 123 time
text   TXT   "answered from the NIC's receive queue"
*.wild A     192.0.2.99
"""
