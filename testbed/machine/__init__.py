"""What a machine needs before anything runs: packages, the guest kernel, images."""
