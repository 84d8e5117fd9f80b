"""Migrations of Chatwoot's schema: on a machine of their own, through a direct URL, in a window that always closes.

    settings     what a stack file says of them
    journal      what is kept of a run on Fly, and of the last one that succeeded
    deciding     whether one must run and why; what a preview says of it
    one_off      the machine that runs it, as Fly is told of it
    failure      what its last words mean
    schema       a look at the database from here
    lock         one run at a time, and its journal
    window       what stands still meanwhile, and is as it was afterwards
    following    the machine's output, and its end
    trying       what it needs, tried from here
    task         the machine's life: made, followed, ended
    runner       the steps, one after the other
    seams        what a run works with besides Fly; `assembling` makes it out of a stack

The first five do no I/O. What a database URL tells by its text belongs into `hotdash.dsn`.
"""
