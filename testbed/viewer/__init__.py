"""A recorded run, or any capture, as one HTML page that plays it back (`testbed view`).

What the page shows is collected here, as columns of numbers and lists of texts; the page itself
is in the project's folder `viewer`, in TypeScript.
"""
