"""The faults: each happens to a world that goes on, heals, and says in a line what it was. Times are drawn from `rng`."""

import signal
import threading
import time

from kafka import START_S
from process import wait_for

SESSION_S = 6


def some_worker(rig, rng):
    return rng.choice(rig.running())


def some_node(rig, rng):
    return rng.randrange(rig.options.brokers)


# --- workers ----------------------------------------------------------------------------------------------------------

def kill_worker(rig, rng):
    member, pause = some_worker(rig, rng), rng.choice([0, 0, rng.uniform(0, 2)])
    rig.kill(member)
    time.sleep(pause)
    member.up()
    return "%s (%s), started again after %.1f s" % (member.name, "static" if member.static else "dynamic", pause)


def kill_all_workers(rig, rng):
    members = rig.running()
    for member in members:
        rig.kill(member)
    for member in members:
        member.up()
    return "%d workers at once" % len(members)


def expel_worker(rig, rng):
    member, pause = some_worker(rig, rng), SESSION_S + rng.uniform(0.5, 2.5)
    with member.lock:
        rig.event("%s stopped for %.1f s" % (member.name, pause))
        member.child.signal(signal.SIGSTOP)
        time.sleep(pause)
        member.child.signal(signal.SIGCONT)
    return "%s stood still for %.1f s, session %d s" % (member.name, pause, SESSION_S)


def pause_worker(rig, rng):
    member, pause = some_worker(rig, rng), rng.uniform(0.5, 3.5)
    with member.lock:
        member.child.signal(signal.SIGSTOP)
        time.sleep(pause)
        member.child.signal(signal.SIGCONT)
    return "%s stood still for %.1f s, within its session" % (member.name, pause)


def restart_worker(rig, rng):
    member, pause = some_worker(rig, rng), rng.choice([0, rng.uniform(0, 2)])
    rig.restart_cleanly(member, pause)
    return "%s by SIGTERM, %.1f s away" % (member.name, pause)


def scale(rig, rng):
    members = list(rig.members)
    rng.shuffle(members)
    pauses = [rng.uniform(0.3, 2) for _ in range(2)]
    for member in members[1:]:
        rig.terminate(member)
    members[0].up()
    time.sleep(pauses[0])
    for member in members:
        member.up()
    time.sleep(pauses[1])
    for member in members[2:]:
        rig.terminate(member)
    time.sleep(0.5)
    rig.restore()
    return "1 worker, 4, 2, 3"


# --- brokers ----------------------------------------------------------------------------------------------------------

def wait_cluster(rig):
    wait_for(rig.broker.answers, START_S, "the cluster", 0.1)


def kill_broker(rig, rng):
    """For a moment, or for longer than a session with the time that it takes to be let in again."""
    node, pause = some_node(rig, rng), rng.choice([0, rng.uniform(0, 2), rng.uniform(SESSION_S - 2, SESSION_S + 2)])
    rig.broker.stop_node(node, signal.SIGKILL)
    time.sleep(pause)
    rig.broker.start(node)
    wait_cluster(rig)
    return "node %d, %.1f s away" % (node + 1, pause)


def restart_broker(rig, rng):
    node = some_node(rig, rng)
    rig.broker.stop_node(node, signal.SIGTERM)
    rig.broker.start(node)
    wait_cluster(rig)
    return "node %d by SIGTERM" % (node + 1)


def freeze_broker(rig, rng):
    node, pause = some_node(rig, rng), rng.uniform(1, 5)
    rig.broker.freeze(node)
    time.sleep(pause)
    rig.broker.thaw(node)
    return "node %d stood still for %.1f s" % (node + 1, pause)


def move_leaders(rig, rng):
    times = rng.randint(1, 3)
    for _ in range(times):
        rig.broker.move_leaders([rig.names[key] for key in ("input", "predictions", "dead")], rng)
        time.sleep(rng.uniform(0, 0.5))
    return "of the data topics, %d times" % times


# --- the network between workers and brokers --------------------------------------------------------------------------

def _proxies(rig, rng):
    return rng.choice([rig.broker.proxies, [rng.choice(rig.broker.proxies)]])


def latency(rig, rng):
    delay, pause = rng.uniform(0.05, 0.5), rng.uniform(2, 5)
    proxies = _proxies(rig, rng)
    for proxy in proxies:
        proxy.delay(delay, delay / 2)
    time.sleep(pause)
    for proxy in proxies:
        proxy.heal()
    return "%.0f ms and up to half more, for %.1f s" % (delay * 1000, pause)


def reset_connections(rig, rng):
    times, fraction = rng.randint(1, 6), rng.choice([0.3, 0.6, 1])
    for _ in range(times):
        for proxy in rig.broker.proxies:
            proxy.reset(fraction, rng)
        time.sleep(rng.uniform(0.05, 0.8))
    return "%d times, %d %% of the connections" % (times, fraction * 100)


def cut_connections(rig, rng):
    times, fraction = rng.randint(1, 4), rng.choice([0.3, 1])
    for _ in range(times):
        for proxy in rig.broker.proxies:
            proxy.cut(rng.randrange(1, 20000), fraction, rng)
        time.sleep(rng.uniform(0.2, 1))
    for proxy in rig.broker.proxies:
        proxy.heal()
    return "%d times in the middle of their bytes, %d %% of the connections" % (times, fraction * 100)


def black_hole(rig, rng):
    directions, fraction = rng.choice([("up", "down"), ("up",), ("down",)]), rng.choice([0.3, 0.5, 1])
    pause = rng.uniform(1, 9)
    for proxy in _proxies(rig, rng):
        proxy.hole(directions, fraction, rng)
    time.sleep(pause)
    for proxy in rig.broker.proxies:
        proxy.heal()
    return "%s for %.1f s, %d %% of the connections" % (" and ".join(directions), pause, fraction * 100)


def black_hole_and_kill(rig, rng):
    """What was read and not acknowledged is gone with the worker: its offset must not be committed."""
    member, pause = some_worker(rig, rng), rng.uniform(0.5, 2)
    for proxy in rig.broker.proxies:
        proxy.hole(("up", "down"), 0.5, rng)
    time.sleep(pause)
    rig.kill(member)
    for proxy in rig.broker.proxies:
        proxy.reset(rng.choice([0, 0.5]), rng)
        proxy.heal()
    member.up()
    return "half of the connections for %.1f s, then kill -9 of %s" % (pause, member.name)


# --- registry, control, disk, clock -----------------------------------------------------------------------------------

def registry_down(rig, rng):
    how, pause = rng.choice(["refuses", "answers 500", "is slow"]), rng.uniform(1, 4)
    if how == "refuses":
        rig.registry.stop()
    elif how == "answers 500":
        rig.registry.fail_status = 500
    else:
        rig.registry.delay_s = 1.5
    rig.pool.new_framing()  # a schema that every worker must now ask for
    time.sleep(pause)
    if how == "refuses":
        rig.registry.start()
    rig.registry.fail_status, rig.registry.delay_s = None, 0
    return "%s for %.1f s under a new schema id" % (how, pause)


def swap_model(rig, rng):
    versions = [rng.choice(sorted(rig.pool.models)) for _ in range(rng.randint(1, 3))]
    for version in versions:
        rig.deploy(version)
        time.sleep(rng.uniform(0.1, 0.8))
    return "to version " + ", ".join(versions)


def pause_slot(rig, rng):
    version, pause = rng.choice(sorted(rig.pool.models)), rng.uniform(0.5, 2)
    rig.deploy(version, paused=True)
    time.sleep(pause)
    rig.deploy(version)
    return "for %.1f s" % pause


def hostile_control(rig, rng):
    values = rig.hostile_values(rng)
    chosen = rng.sample(sorted(values), 4)
    for name in chosen:
        rig.control.send(values[name])
        time.sleep(rng.uniform(0, 0.3))
    return ", ".join(chosen)


def _break_disks(rig, rng, spoil):
    """The shim refuses the brokers' writes to files; Kafka gives up its log folder and ends."""
    pause = rng.uniform(0.5, 2)
    spoil(True)
    try:
        wait_for(lambda: any(rig.broker.ended(i) for i in range(rig.options.brokers)), 10, "a broker to notice", 0.05)
        time.sleep(pause)
        note = "brokers ended"
    except TimeoutError:
        note = "brokers went on"
    spoil(False)
    for node in range(rig.options.brokers):
        if rig.broker.ended(node):
            rig.broker.start(node)
    wait_cluster(rig)
    return "of the brokers: " + note


def disk_full_broker(rig, rng):
    return _break_disks(rig, rng, rig.shims["broker"].full)


def read_only_broker(rig, rng):
    return _break_disks(rig, rng, rig.shims["broker"].read_only)


def _spoil_disk(rig, rng, member, spoil):
    pause, restart = rng.uniform(1, 3), rng.random() < 0.5
    spoil(True)
    if restart:
        rig.restart_cleanly(member)
    time.sleep(pause)
    spoil(False)
    return "%s for %.1f s%s" % (member.name, pause, ", restarted under it" if restart else "")


def disk_full_worker(rig, rng):
    member = some_worker(rig, rng)
    return _spoil_disk(rig, rng, member, rig.shims[member.name].full)


def read_only_worker(rig, rng):
    member = some_worker(rig, rng)
    return _spoil_disk(rig, rng, member, rig.shims[member.name].read_only)


def jump_clock(rig, rng):
    """Forward the clock may stay. Set back, librdkafka's timers stand still as long (its waits are for a moment of the wall
    clock), heartbeats among them: past the session the member is expelled and learns of it late."""
    member, pause = some_worker(rig, rng), rng.uniform(1, 8)
    seconds = rng.choice([-1, 1]) * rng.choice([1, 5, 60, 3600, 86400 * 400])
    stays = seconds > 0 and rng.random() < 0.5
    shim = rig.shims[member.name]
    before, after = shim.ahead(), seconds if stays else 0
    if before - seconds >= 5 and pause > SESSION_S - 1:
        rig.event("%s: clock set back for %.1f s" % (member.name, pause))
    shim.jump(seconds)
    time.sleep(pause)
    shim.jump(after)
    if max(before, seconds) - after >= 5:
        # Its timers stand still from now on, for as long as the clock had been ahead: it is expelled and may learn of it in
        # an hour, and its producers try nothing again (README, "Guarantees"). Somebody restarts it within the round.
        rig.event("%s: clock set back by %d s" % (member.name, max(before, seconds) - after))
        time.sleep(SESSION_S + 1)
        rig.kill(member)
        member.up()
    return "%s by %+d s%s" % (member.name, seconds, "" if stays else " and back after %.1f s" % pause)


# --- several at once --------------------------------------------------------------------------------------------------

def mix(rig, rng):
    """Two faults that overlap."""
    names = rng.sample([n for n in possible(rig.options) if n not in ("mix", "scale", "disk_full_broker", "read_only_broker")], 2)
    texts, failed = [None, None], []
    rngs = [type(rng)("%s:%d" % (rng.random(), i)) for i in range(2)]

    def run(turn):
        try:
            time.sleep(turn * rngs[turn].uniform(0, 2))
            texts[turn] = "%s (%s)" % (names[turn], FAULTS[names[turn]][0](rig, rngs[turn]))
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=run, args=(i,), daemon=True) for i in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]
    for proxy in rig.broker.proxies:
        proxy.heal()
    return " with ".join(texts)


# name: (function, brokers it needs, needs the shim, weight)
FAULTS = {
    "kill_worker": (kill_worker, 1, False, 4),
    "kill_all_workers": (kill_all_workers, 1, False, 1),
    "expel_worker": (expel_worker, 1, False, 2),
    "pause_worker": (pause_worker, 1, False, 1),
    "restart_worker": (restart_worker, 1, False, 2),
    "scale": (scale, 1, False, 2),
    "kill_broker": (kill_broker, 1, False, 3),
    "restart_broker": (restart_broker, 1, False, 1),
    "freeze_broker": (freeze_broker, 1, False, 2),
    "move_leaders": (move_leaders, 3, False, 3),
    "latency": (latency, 1, False, 1),
    "reset_connections": (reset_connections, 1, False, 2),
    "cut_connections": (cut_connections, 1, False, 2),
    "black_hole": (black_hole, 1, False, 3),
    "black_hole_and_kill": (black_hole_and_kill, 1, False, 2),
    "registry_down": (registry_down, 1, False, 2),
    "swap_model": (swap_model, 1, False, 1),
    "pause_slot": (pause_slot, 1, False, 1),
    "hostile_control": (hostile_control, 1, False, 1),
    "disk_full_broker": (disk_full_broker, 1, True, 1),
    "disk_full_worker": (disk_full_worker, 1, True, 1),
    "read_only_broker": (read_only_broker, 1, True, 1),
    "read_only_worker": (read_only_worker, 1, True, 1),
    "jump_clock": (jump_clock, 1, True, 2),
    "mix": (mix, 1, False, 4),
}


def possible(options):
    """Names of the faults that this form of a run can inject."""
    return [name for name, (_, brokers, shim, _) in FAULTS.items()
            if options.brokers >= brokers and (options.shim or not shim) and
            (not options.faults or name in options.faults)]


def choose(options, rng):
    names = possible(options)
    return rng.choices(names, [FAULTS[name][3] for name in names])[0]
