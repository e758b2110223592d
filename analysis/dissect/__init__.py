"""Application and routing protocols: what is behind the transport header, one module each."""
