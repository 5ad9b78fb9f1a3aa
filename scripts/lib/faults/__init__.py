"""Faults on purpose: real processes under load, broken on purpose, then judged from outside.

This package knows the folder protocol only from its description. It shares no code with the
product, neither the Rust crates nor the Python module, so that both cannot be wrong in the same
way.

In reading order:

- `main`, `report`: what may be asked for, and what is told at the end.
- `campaigns`: one module for each kind of fault.
- `rounds`: what all campaigns share: seeds, counts, time, a site under load, its end.
- `site`, `program`, `claimer`, `apps`: a folder of its own with API servers, workers and third
  parties that can be killed and stopped.
- `load`, `client`: clients that submit, look and cancel.
- `ledger`: what was promised to those clients, on the disk before anything else happens.
- `watch`: looks at the shared folder all the time, without a lock, as anybody may.
- `verdict`, `job_checks`: the checks that are made once everything has come to rest.
- `findings`: the names of all checks, how often each was made, and what did not hold.
- `folder`: the shared folder by its description, for reading and for edits under the lock.
- `volume`: small file systems that can be filled or lose their power.
- `patch`: takes a protection out of a copy of the sources.
"""
