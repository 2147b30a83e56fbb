"""One look at a host: everything regfleet needs to know, in one command and one round trip.

`look.sh` runs there, `request` writes what it is asked, `parse` turns its lines into an
`ObservedHost`. What should be there is `desired`, the difference is `plan`.
"""
