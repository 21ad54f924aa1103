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
 *   a word of memory   shared when two CPUs touched it, one of them wrote, and no lock that one left
 *                      and the other took lies between the two
 *   a lock             shared when two CPUs take it
 * </pre>
 *
 * Only a step on what is shared can be noticed by others, so only there a switch is worth trying. What
 * locks order is covered by the choices at the locks. The order is kept in vector clocks: a CPU's own
 * time goes on when it leaves a lock, and who takes the lock has seen all that its last holder had.
 */
final class Sharing {
  private static final int WORD_SHIFT = 3;
  private static final int WRITER = 0;
  private static final int WRITTEN = 1;
  private static final int READ = 2;

  private final Set<Long> sharedWords = new HashSet<>();
  private final Map<String, Integer> lockCpus = new HashMap<>();
  private int sharedLocks;

  private final Map<Long, int[]> words = new HashMap<>();
  private final Map<String, int[]> left = new HashMap<>();
  private int[][] clocks = new int[0][];

  /** How many shared words and locks are known: grows only. */
  int found() {
    return sharedWords.size() + sharedLocks;
  }

  /** A new run with {@code cpus} CPUs begins. */
  void begin(int cpus) {
    words.clear();
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
      sharedLocks++;
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

  /** CPU {@code cpu} touches memory. True when one of the words is shared. */
  boolean access(long paddr, long bytes, boolean write, int cpu) {
    boolean any = false;
    long last = (paddr + bytes - 1) >>> WORD_SHIFT;
    for (long word = paddr >>> WORD_SHIFT; word <= last; word++) {
      if (races(word, write, cpu)) {
        sharedWords.add(word);
      }
      any |= sharedWords.contains(word);
    }
    return any;
  }

  /** Enters the access, and tells whether it and an earlier one have no order. */
  private boolean races(long word, boolean write, int cpu) {
    int[] seen = clocks[cpu];
    int[] use = words.computeIfAbsent(word, w -> new int[READ + seen.length]);
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
