"""The testbed as one file: guest kernel, Debian's programs and Python libraries.

`builder` makes an image, `store` keeps those at hand, `container` is an image as one file,
`manifest` what it says about itself. A runtime takes one instead of the host's programs.
"""
