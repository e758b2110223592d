"""The testbed as one file: guest kernel, Debian's programs and Python libraries.

`builder` makes an image, `store` keeps imported ones, `container` is an image as one file,
`manifest` describes its content. A runtime can use one instead of the host's programs.
"""
