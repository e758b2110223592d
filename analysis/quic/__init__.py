"""QUIC (RFC 9000, RFC 9001): headers, protection, frames and connections of a capture."""
