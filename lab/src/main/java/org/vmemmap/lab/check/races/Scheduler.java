// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.check.races;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Semaphore;
import org.jspecify.annotations.Nullable;
import org.vmemmap.lab.check.RuleBook;
import org.vmemmap.lab.check.Tracer;
import org.vmemmap.machine.Machine;
import org.vmemmap.machine.StoreBuffers;
import org.vmemmap.machine.StoreBuffers.Drain;
import org.vmemmap.machine.YieldPoints;

/**
 * Runs one task on each CPU of a machine, one at a time, in the order that a {@link Strategy} wants.
 *
 * <p>Each task has a thread, and there is one baton: a thread runs only while it has it, and hands it
 * on in the yield points. So a run is as deterministic as one thread would be.
 *
 * <p>A task that fails ends the run: all others are woken once more to leave.
 */
final class Scheduler implements YieldPoints.Listener, Moment {
  /** A run with more steps than this makes no progress. */
  private static final int MOST_STEPS = 2_000_000;

  /** Steps on what is no memory of the machine, at which the order of CPUs matters. */
  private static final List<String> CHOICES =
      List.of("flush", "cmpxchg zone", "cond_resched", "READ_ONCE", "kfree_rcu");

  private final Machine machine;
  private final Strategy strategy;
  private final Sharing sharing;
  private final @Nullable StoreBuffers buffers;
  private final @Nullable Trail trail;
  private final List<Task> tasks = new ArrayList<>();
  private final Map<String, Task> holders = new HashMap<>();

  /** Who had a lock last: whoever gets it next sees what that CPU stored before it left. */
  private final Map<String, Task> leavers = new HashMap<>();

  private final Semaphore ended = new Semaphore(0);
  private @Nullable Task running;
  private @Nullable Throwable failure;
  private @Nullable Task resting;
  private boolean leaving;
  private boolean shared;
  private boolean storedShared;
  private int step;

  /**
   * Takes the yield points of {@code machine}.
   *
   * @param buffers the machine's store buffers; null for CPUs that store straight to memory
   * @param trail hears of each step that others could notice; null for nobody
   */
  Scheduler(
      Machine machine,
      Strategy strategy,
      Sharing sharing,
      @Nullable StoreBuffers buffers,
      @Nullable Trail trail) {
    this.machine = machine;
    this.strategy = strategy;
    this.sharing = sharing;
    this.buffers = buffers;
    this.trail = trail;
  }

  /** Thrown in a task that is to leave. */
  private static final class Leave extends RuntimeException {
    private static final long serialVersionUID = 1L;

    Leave() {
      super("the run has ended", null, false, false);
    }
  }

  /** What one CPU does. */
  private final class Task {
    final int cpu;
    final Semaphore baton = new Semaphore(0);
    final Thread thread;
    final List<String> held = new ArrayList<>();
    @Nullable String wanted;
    boolean throughShared;
    boolean done;

    Task(int cpu, Runnable body) {
      this.cpu = cpu;
      this.thread = Thread.ofVirtual().unstarted(() -> live(this, body));
    }

    boolean ready() {
      return !done && this != resting && (wanted == null || !holders.containsKey(wanted));
    }
  }

  /**
   * Runs {@code bodies}, the first on CPU 0, until all have ended or one has failed.
   *
   * @return what the task that failed threw; null when all have ended
   */
  @Nullable Throwable run(List<Runnable> bodies) {
    for (int cpu = 0; cpu < bodies.size(); cpu++) {
      tasks.add(new Task(cpu, bodies.get(cpu)));
    }
    sharing.begin(tasks.size());
    tasks.forEach(task -> task.thread.start());
    machine.yields().listen(this);
    Turn first = strategy.next(this);
    step = 1;
    wake(tasks.get(first.cpu()));
    ended.acquireUninterruptibly();
    machine.yields().listen(null);
    leaving = true;
    for (Task task : tasks) {
      task.baton.release();
      join(task.thread);
    }
    machine.runOn(0);
    return failure;
  }

  private static void join(Thread thread) {
    boolean joined = false;
    while (!joined) {
      try {
        thread.join();
        joined = true;
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        throw new IllegalStateException(e);
      }
    }
  }

  private void live(Task me, Runnable body) {
    me.baton.acquireUninterruptibly();
    if (leaving) {
      return;
    }
    try {
      body.run();
      machine.drainStores();
      end(me);
    } catch (Leave e) {
      // Another task has failed, and its failure is what counts.
    } catch (RuntimeException | StackOverflowError e) {
      fail(e);
    }
  }

  private void end(Task me) {
    me.done = true;
    running = null;
    shared = true;
    if (!me.held.isEmpty()) {
      fail(new RuleBroken(RuleBook.LOCKS, "CPU " + me.cpu + " ends with " + me.held));
    } else if (tasks.stream().allMatch(task -> task.done)) {
      ended.release();
    } else if (ready().isEmpty()) {
      fail(deadlock());
    } else {
      note(me.cpu, "ends");
      Turn turn = strategy.next(this);
      step++;
      wake(tasks.get(turn.cpu()));
    }
  }

  private void fail(Throwable e) {
    failure = failure == null ? e : failure;
    ended.release();
  }

  private RuleBroken deadlock() {
    List<String> waits = new ArrayList<>();
    for (Task task : tasks) {
      if (!task.done) {
        waits.add("CPU " + task.cpu + " holds " + task.held + " and wants " + task.wanted);
      }
    }
    return new RuleBroken(RuleBook.DEADLOCK, String.join("; ", waits));
  }

  private void wake(Task task) {
    running = task;
    machine.runOn(task.cpu);
    task.baton.release();
  }

  // ---------------------------------------------------------------- the moment

  @Override
  public int step() {
    return step;
  }

  @Override
  public int cpu() {
    Task task = running;
    return task != null && task.ready() ? task.cpu : -1;
  }

  @Override
  public List<Integer> ready() {
    return tasks.stream().filter(Task::ready).map(task -> task.cpu).toList();
  }

  @Override
  public boolean shared() {
    return shared;
  }

  @Override
  public boolean stores() {
    Task task = running;
    return buffers != null && task != null && buffers.pending(task.cpu);
  }

  // ---------------------------------------------------------------- the machine's points

  @Override
  public void reached(String what, long where) {
    Task me = me();
    if (what.equals(RaceWorld.RELAX)) {
      rest(me);
      return;
    }
    if (CHOICES.stream().anyMatch(what::startsWith)) {
      point(me, true);
    }
    if (!what.equals(Tracer.WALK)) {
      note(me.cpu, what + " 0x" + Long.toHexString(where));
    }
  }

  @Override
  public void access(long paddr, long bytes, boolean write) {
    Task me = me();
    boolean noticed = sharing.access(paddr, bytes, write, me.cpu);
    noticed |= me.throughShared;
    me.throughShared = false;
    point(me, noticed);
    if (noticed) {
      int shift = machine.format().pageShift();
      note(
          me.cpu,
          (write ? "write " : "read ")
              + machine.ledger().ownerOf(paddr >>> shift).name()
              + " paddr=0x"
              + Long.toHexString(paddr));
    }
    storedShared = noticed && write && buffers != null;
  }

  @Override
  public void translated(long frame) {
    Task me = me();
    me.throughShared = sharing.translated(frame, me.cpu);
  }

  @Override
  public void moved(long frame, long n) {
    Task me = me();
    boolean noticed = sharing.moved(frame, n, me.cpu);
    point(me, noticed);
    if (noticed) {
      note(me.cpu, "new owner or mapping of frame=0x" + Long.toHexString(frame));
    }
  }

  @Override
  public void lock(String name, long number) {
    Task me = me();
    String lock = name + " " + number;
    boolean noticed = sharing.wants(lock, me.cpu);
    point(me, noticed);
    if (me.held.contains(lock)) {
      throw new RuleBroken(RuleBook.DEADLOCK, "CPU " + me.cpu + " takes " + name + " twice");
    }
    me.wanted = lock;
    while (holders.containsKey(lock)) {
      note(me.cpu, "waits for " + name);
      if (ready().isEmpty()) {
        throw deadlock();
      }
      shared = true;
      Turn turn = strategy.next(this);
      step++;
      handTo(me, turn);
    }
    me.wanted = null;
    Task before = leavers.put(lock, me);
    if (buffers != null && before != null && before != me) {
      buffers.drain(before.cpu, Drain.ALL);
    }
    holders.put(lock, me);
    me.held.add(lock);
    sharing.takes(lock, me.cpu);
    if (noticed) {
      note(me.cpu, "lock " + name);
    }
  }

  @Override
  public void unlock(String name, long number) {
    String lock = name + " " + number;
    Task me = running;
    if (leaving || me == null || !me.held.remove(lock)) {
      return;
    }
    holders.remove(lock);
    sharing.leaves(lock, me.cpu);
  }

  /** The CPU lets others go first, if there are any. */
  private void rest(Task me) {
    resting = me;
    if (ready().isEmpty()) {
      resting = null;
      return;
    }
    shared = true;
    Turn turn = strategy.next(this);
    step++;
    resting = null;
    handTo(me, turn);
  }

  private Task me() {
    Task me = running;
    if (leaving || me == null) {
      throw new Leave();
    }
    return me;
  }

  private void point(Task me, boolean noticed) {
    shared = noticed || storedShared;
    storedShared = false;
    Turn turn = strategy.next(this);
    step++;
    if (step > MOST_STEPS) {
      throw new RuleBroken(RuleBook.DEADLOCK, "no end after " + MOST_STEPS + " steps");
    }
    if (turn.cpu() != me.cpu) {
      handTo(me, turn);
    }
  }

  private void handTo(Task me, Turn turn) {
    if (buffers != null) {
      buffers.drain(me.cpu, turn.drain());
    }
    if (turn.drain() != Drain.ALL) {
      note(me.cpu, turn.drain() == Drain.NONE ? "stores unseen" : "only the newest store seen");
    }
    wake(tasks.get(turn.cpu()));
    me.baton.acquireUninterruptibly();
    if (leaving) {
      throw new Leave();
    }
  }

  private void note(int cpu, String what) {
    if (trail != null) {
      trail.note(step, cpu, what);
    }
  }
}
