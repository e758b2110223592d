"""The firewall experiment with one rule too many."""

from collections.abc import Mapping

from ..experiment import FILE, RULES, SdnFirewall


class Strict(SdnFirewall):
    """A denial that nobody asked for stands in front of the rules."""

    def inputs(self) -> Mapping[str, str]:
        """The rules, and the denial."""
        return {FILE: f"deny tcp from 10.0.0.1\n{RULES}"}
