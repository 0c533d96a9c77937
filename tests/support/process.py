"""Child processes that never outlive the test: free ports, start, wait, end, log files."""

import atexit
import concurrent.futures
import ctypes
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time

PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)
# The kernel's "parent" of PR_SET_PDEATHSIG is the thread that forked: one that lives as long as the test starts them all.
_starter = concurrent.futures.ThreadPoolExecutor(1)
_children = []
_folders = []


def free_port():
    """A port of 127.0.0.1 that is free now, below those that the kernel gives to outgoing connections: a server that is
    restarted finds it free again, and a client that tries it meanwhile cannot connect to itself."""
    while True:
        port = random.randrange(10000, 32000)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def temp_folder(prefix):
    """A folder that goes away at exit, unless LEPTON_TEST_KEEP is set."""
    path = tempfile.mkdtemp(prefix="lepton-%s-" % prefix)
    _folders.append(path)
    return path


def die_with_parent():
    # ctest ends a test that is too slow with SIGKILL: no handler of ours would run.
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Child:
    """One process with its output in a file. `usage` (getrusage) is known once it has ended."""

    def __init__(self, argv, log_path, env=None, cwd=None, before_exec=None):
        def setup():
            die_with_parent()
            if before_exec:
                before_exec()

        self.argv = argv
        self.log_path = log_path
        self.usage = None
        self.returncode = None
        self._log = open(log_path, "ab")
        self._process = _starter.submit(subprocess.Popen, argv, stdout=self._log, stderr=subprocess.STDOUT,
                                        stdin=subprocess.DEVNULL, env=env, cwd=cwd, preexec_fn=setup).result()
        self.pid = self._process.pid
        _children.append(self)

    def poll(self):
        """Exit code (negative: signal), None while it runs."""
        if self.returncode is None:
            pid, status, usage = os.wait4(self.pid, os.WNOHANG)
            if pid:
                self._ended(status, usage)
        return self.returncode

    def wait(self, timeout_s):
        deadline = time.monotonic() + timeout_s
        while self.poll() is None:
            if time.monotonic() > deadline:
                raise TimeoutError("%s (pid %d) did not end within %s s\n%s"
                                   % (self.argv[0], self.pid, timeout_s, self.log_tail()))
            time.sleep(0.005)
        return self.returncode

    def signal(self, number):
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self):
        """SIGKILL and reap."""
        self.signal(signal.SIGKILL)
        return self.wait(30)

    def log(self):
        with open(self.log_path, "rb") as file:
            return file.read().decode("utf-8", "replace")

    def log_tail(self, lines=30):
        return "\n".join(self.log().splitlines()[-lines:])

    def _ended(self, status, usage):
        self.returncode = os.waitstatus_to_exitcode(status)
        self._process.returncode = self.returncode
        self.usage = usage
        self._log.close()
        if self in _children:
            _children.remove(self)


def copy_tail(path, folder, most_bytes):
    """The last bytes of a file, under its name, into a folder."""
    with open(path, "rb") as source, open(os.path.join(folder, os.path.basename(path)), "wb") as target:
        source.seek(max(0, os.path.getsize(path) - most_bytes))
        target.write(source.read(most_bytes))


def resident_bytes(pid, peak=False):
    """RSS (or its peak) from /proc."""
    key = "VmHWM:" if peak else "VmRSS:"
    with open("/proc/%d/status" % pid, encoding="ascii") as file:
        for line in file:
            if line.startswith(key):
                return int(line.split()[1]) * 1024
    return 0


def cpu_seconds(pid):
    """User and system time of a running process so far."""
    with open("/proc/%d/stat" % pid, encoding="ascii") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def wait_for(condition, timeout_s, what, interval_s=0.02):
    """Poll `condition` until it is true (its value is returned); TimeoutError names `what`."""
    deadline = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise TimeoutError("waited %s s for %s" % (timeout_s, what))
        time.sleep(interval_s)


def port_open(port):
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


@atexit.register
def _cleanup():
    for child in list(_children):
        try:
            child.kill()
        except (OSError, TimeoutError):
            pass
    for folder in _folders:
        if os.environ.get("LEPTON_TEST_KEEP"):
            print("kept: %s" % folder)
        else:
            shutil.rmtree(folder, ignore_errors=True)
