#!/bin/sh
# Called by dhcpcd at each change: keeps the name server a client was given, for its resolver.
mkdir -p /run/dhcp
[ "$new_domain_name_servers" ] && echo "nameserver $new_domain_name_servers" > "/run/dhcp/$interface"
exit 0
