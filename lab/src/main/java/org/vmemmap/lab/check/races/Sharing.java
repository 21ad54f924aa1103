// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.check.races;

import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;

/**
 * What has been seen to be shared between CPUs in all runs of a scenario so far.
 *
 * <pre>
 *   64 bytes of memory   shared when two CPUs touched them, one of them wrote, and no lock that one
 *                        left and the other took lies between the two
 *   a frame's owner      the same, where to free or to allocate it is to write
 *   a lock               shared when two CPUs take it
 * </pre>
 *
 * Only a step on what is shared can be noticed by others, so only there a switch is worth trying: at
 * a write to what others touch, at a read of what others write. What locks order is covered by the choices at the locks. The order is kept in vector clocks: a CPU's own
 * time goes on when it leaves a lock, and who takes the lock has seen all that its last holder had.
 */
final class Sharing {
  private static final int LINE_SHIFT = 6;

  /** Marks the number of a frame, whose owner is shared like memory, among those of lines. */
  private static final long FRAMES = 1L << 62;

  private static final int WRITER = 0;
  private static final int WRITTEN = 1;
  private static final int READ = 2;

  private final Set<Long> sharedLines = new HashSet<>();
  private final Map<Long, Integer> users = new HashMap<>();
  private final Map<Long, Integer> writers = new HashMap<>();
  private final Map<String, Integer> lockCpus = new HashMap<>();
  private int found;

  private final Map<Long, int[]> lines = new HashMap<>();
  private final Map<String, int[]> left = new HashMap<>();
  private int[][] clocks = new int[0][];

  /** How many shared lines and locks are known: grows only. */
  int found() {
    return found;
  }

  /** A new run with {@code cpus} CPUs begins. */
  void begin(int cpus) {
    lines.clear();
    left.clear();
    clocks = new int[cpus][cpus];
    for (int cpu = 0; cpu < cpus; cpu++) {
      clocks[cpu][cpu] = 1;
    }
  }

  /** CPU {@code cpu} is about to take {@code lock}. True when others do, too. */
  boolean wants(String lock, int cpu) {
    int before = lockCpus.getOrDefault(lock, 0);
    int now = before | 1 << cpu;
    lockCpus.put(lock, now);
    if (Integer.bitCount(before) == 1 && Integer.bitCount(now) == 2) {
      found++;
    }
    return Integer.bitCount(now) > 1;
  }

  /** It has the lock. */
  void takes(String lock, int cpu) {
    int[] seen = left.get(lock);
    for (int i = 0; seen != null && i < seen.length; i++) {
      clocks[cpu][i] = Math.max(clocks[cpu][i], seen[i]);
    }
  }

  /** It leaves the lock. */
  void leaves(String lock, int cpu) {
    left.put(lock, clocks[cpu].clone());
    clocks[cpu][cpu]++;
  }

  /** CPU {@code cpu} touches memory. True when others touch it in a way that has an order. */
  boolean access(long paddr, long bytes, boolean write, int cpu) {
    boolean any = false;
    long last = (paddr + bytes - 1) >>> LINE_SHIFT;
    for (long line = paddr >>> LINE_SHIFT; line <= last; line++) {
      any |= touch(line, write, cpu);
    }
    return any;
  }

  /** CPU {@code cpu} is about to touch a frame that it found through a translation. */
  boolean translated(long frame, int cpu) {
    return touch(FRAMES | frame, false, cpu);
  }

  /** CPU {@code cpu} gives frames a new owner, which who reads or writes in them must not miss. */
  boolean moved(long frame, long n, int cpu) {
    boolean any = false;
    for (long at = frame; at < frame + n; at++) {
      any |= touch(FRAMES | at, true, cpu);
    }
    return any;
  }

  private boolean touch(long line, boolean write, int cpu) {
    boolean races = races(line, write, cpu);
    boolean grown = enter(users, line, cpu);
    grown |= write && enter(writers, line, cpu);
    boolean before = sharedLines.contains(line);
    if (before ? grown : races && sharedLines.add(line)) {
      found++;
    }
    int others = (write ? users : writers).getOrDefault(line, 0) & ~(1 << cpu);
    return others != 0 && sharedLines.contains(line);
  }

  /** True when the CPU is new there. */
  private static boolean enter(Map<Long, Integer> cpus, long line, int cpu) {
    int before = cpus.getOrDefault(line, 0);
    cpus.put(line, before | 1 << cpu);
    return (before & 1 << cpu) == 0;
  }

  /** Enters the access, and tells whether it and an earlier one have no order. */
  private boolean races(long line, boolean write, int cpu) {
    int[] seen = clocks[cpu];
    int[] use = lines.computeIfAbsent(line, w -> new int[READ + seen.length]);
    boolean race = use[WRITER] != cpu && use[WRITTEN] > seen[use[WRITER]];
    if (write) {
      for (int other = 0; other < seen.length; other++) {
        race |= other != cpu && use[READ + other] > seen[other];
      }
      use[WRITER] = cpu;
      use[WRITTEN] = seen[cpu];
    } else {
      use[READ + cpu] = seen[cpu];
    }
    return race;
  }
}
