"""Conversions that are killed, and what is in stores afterwards."""

import os
import signal
import warnings

import lmdb
import safetensors.numpy

from geoseg.convert.convert import convert
from geoseg.convert.running import encode
from geoseg.sources.store.environments import close_stores
from tests.convert.making import by_bytes


def raw(uri):
    close_stores()
    with lmdb.open(str(uri), readonly=True, lock=False) as env, env.begin() as transaction:
        return {bytes(key).decode(): bytes(value) for key, value in transaction.cursor()}


def expected(*folders):
    found = {}
    for folder in folders:
        found |= {key: safetensors.numpy.save(a) for key, a in by_bytes(folder).items()}
    return found


def in_child(call):
    """Run something in a forked process; its exit status, negative for a signal."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forks beside threads
        child = os.fork()
    if not child:
        try:
            call()
        finally:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def killed(sources, target, *, after=19, **options):
    """A run that is killed when so many patches are read."""

    def kill(progress):
        if progress.done == after:
            os.kill(os.getpid(), signal.SIGKILL)

    sources = {"s1": sources} if isinstance(sources, str) else sources
    call = {"workers": 0, "progress": kill, **options}
    assert in_child(lambda: convert("bigearthnet", sources, str(target), **call)) == -signal.SIGKILL


def resumed(source, target, **options):
    sources = {"s1": source} if isinstance(source, str) else source
    return convert("bigearthnet", sources, str(target), resume=True, workers=0, **options)


def noted_reads(monkeypatch):
    """The keys of patches that are read from now on."""
    found = []
    read = encode.read_patch

    def noting(group, patch):
        found.append(patch.key)
        return read(group, patch)

    monkeypatch.setattr(encode, "read_patch", noting)
    return found
