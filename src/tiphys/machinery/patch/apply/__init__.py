"""Server-side apply: who owns which fields of an object, and what an applied configuration makes of it.

`field_set.py` sets of fields; `schema.py` what it needs to know of types; `walk.py` fields, merge and comparison of
plain values; `prune.py` removal of what was given up; `managers.py` the entries of metadata.managedFields;
`applying.py` one apply from end to end. Specified in "Server-Side Apply".
"""
