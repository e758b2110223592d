"""The book: a page per experiment, from code, handout and latest run, in two languages."""
