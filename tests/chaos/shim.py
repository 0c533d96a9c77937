"""The preloaded library (shim.c): a full disk and a clock that jumps, for one process and without privileges."""

import mmap
import os
import struct

from process import temp_folder

STATE = struct.Struct("qi")  # nanoseconds that the wall clock is ahead, what the disk does
TAKES, CUTS_NEXT, READ_ONLY = 0, 1, 3  # as in shim.c


class Shim:
    """The state that one process's library reads."""

    _folder = None

    def __init__(self, name):
        Shim._folder = Shim._folder or temp_folder("shim")
        self.path = os.path.join(Shim._folder, name)
        if not os.path.exists(self.path):
            with open(self.path, "wb") as file:
                file.write(STATE.pack(0, 0))
        with open(self.path, "r+b") as file:
            self._map = mmap.mmap(file.fileno(), STATE.size)

    def _set(self, ahead_ns=None, full=None):
        was_ahead, was_full = STATE.unpack(self._map)
        self._map[:] = STATE.pack(was_ahead if ahead_ns is None else ahead_ns, was_full if full is None else full)

    def jump(self, seconds):
        """Set the wall clock that far from the real one."""
        self._set(ahead_ns=int(seconds * 1e9))

    def ahead(self):
        """Seconds that the wall clock is ahead."""
        return STATE.unpack(self._map)[0] / 1e9

    def full(self, yes):
        self._set(full=CUTS_NEXT if yes else TAKES)

    def read_only(self, yes):
        self._set(full=READ_ONLY if yes else TAKES)

    @staticmethod
    def environment_of(options, name):
        """What a process needs to run under the shim; None without one."""
        if not options.shim:
            return None
        return {"LD_PRELOAD": options.shim, "LEPTON_CHAOS_STATE": Shim(name).path}
