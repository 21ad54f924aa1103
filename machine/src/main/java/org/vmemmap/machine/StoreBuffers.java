// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.machine;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Stores that a CPU has made and that others do not see yet: what a weakly ordered CPU, or a
 * compiler, may do with plain stores.
 *
 * <pre>
 *   CPU 1   copy page   | smp_wmb | set_pte        memory
 *           group 1     |         | group 2
 *   oldest first, a group only when those before it are whole; inside of a group in any order
 * </pre>
 *
 * A CPU sees its own stores at once. A write barrier begins a new group; an exchange, a lock and a
 * flush drain the buffer. Loads are not reordered. Not thread-safe: one CPU runs at a time.
 */
public final class StoreBuffers {
  /** How much of the buffer of a CPU becomes visible. */
  public enum Drain {
    /** All stores. */
    ALL,
    /** All groups but the last, and of the last only the newest store: it has overtaken the others. */
    NEWEST,
    /** No store. */
    NONE
  }

  private final PhysicalMemory memory;
  private final List<Buffer> buffers = new ArrayList<>();
  private int running;

  /** The stores of one CPU: groups, oldest first, and the newest value of each word. */
  private static final class Buffer {
    final Deque<Map<Long, Long>> groups = new ArrayDeque<>();
    final Map<Long, Long> values = new HashMap<>();
  }

  StoreBuffers(PhysicalMemory memory, int cpus) {
    this.memory = memory;
    for (int i = 0; i < cpus; i++) {
      buffers.add(new Buffer());
    }
  }

  void runOn(int cpu) {
    running = cpu;
  }

  void store(long paddr, long value) {
    Buffer buffer = buffers.get(running);
    if (buffer.groups.isEmpty()) {
      buffer.groups.add(new LinkedHashMap<>());
    }
    Map<Long, Long> group = buffer.groups.getLast();
    group.remove(paddr);
    group.put(paddr, value);
    buffer.values.put(paddr, value);
  }

  /** What the running CPU stored last at {@code paddr} and others do not see; null for nothing. */
  @Nullable Long load(long paddr) {
    return buffers.get(running).values.get(paddr);
  }

  /** Orders the stores of the running CPU: those before the call are seen before those after it. */
  void writeBarrier() {
    Deque<Map<Long, Long>> groups = buffers.get(running).groups;
    if (!groups.isEmpty() && !groups.getLast().isEmpty()) {
      groups.add(new LinkedHashMap<>());
    }
  }

  /** Makes all stores of the running CPU visible. */
  void drain() {
    drain(running, Drain.ALL);
  }

  /** True when CPU {@code cpu} has stores that others do not see. */
  public boolean pending(int cpu) {
    return !buffers.get(cpu).values.isEmpty();
  }

  /** Makes stores of CPU {@code cpu} visible, all or as few as {@code how} says. */
  public void drain(int cpu, Drain how) {
    Buffer buffer = buffers.get(cpu);
    while (how != Drain.NONE && !buffer.groups.isEmpty()) {
      boolean part = how == Drain.NEWEST && buffer.groups.size() == 1;
      Map<Long, Long> group = buffer.groups.getFirst();
      if (part) {
        drainNewest(group);
        break;
      }
      buffer.groups.removeFirst().forEach(memory::commit);
    }
    buffer.values.clear();
    buffer.groups.forEach(buffer.values::putAll);
  }

  private void drainNewest(Map<Long, Long> group) {
    Map.Entry<Long, Long> newest = null;
    for (Map.Entry<Long, Long> store : group.entrySet()) {
      newest = store;
    }
    if (newest != null) {
      memory.commit(newest.getKey(), newest.getValue());
      group.remove(newest.getKey());
    }
  }
}
