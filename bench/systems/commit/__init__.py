"""Systems of the benchmark `commit`, a module each: `create`, `Writer` (open, then `append`), and `found`.

`create(directory)` makes an empty table, `Writer(directory).append(id)` adds the row of that id and returns once the system
says it is there, `found(directory)` gives the ids of all rows, repeats included. `Writer.recover()` follows an append that raised.
`create` of a system whose tables have properties takes them as further arguments, NAME=VALUE.
"""
