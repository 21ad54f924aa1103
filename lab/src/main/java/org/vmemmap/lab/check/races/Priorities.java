// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.check.races;

import java.util.ArrayList;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import org.vmemmap.machine.StoreBuffers.Drain;

/**
 * Random priorities: the ready CPU with the highest one runs, and at a few random steps that others
 * can notice the one that runs falls behind. A bug that needs d such falls in k steps of n CPUs is found
 * by a seed with a probability of at least 1 / (n k^(d-1)) (Burckhardt et al., "A randomized
 * scheduler with probabilistic guarantees of finding bugs", 2010).
 */
final class Priorities implements Strategy {
  private static final List<Drain> DRAINS = List.of(Drain.values());

  private final Random random;
  private final List<Integer> order = new ArrayList<>();
  private final Set<Integer> falls = new HashSet<>();
  private int noticed;
  private Schedule taken = new Schedule(new TreeMap<>());

  /**
   * Draws from {@code seed}.
   *
   * @param cpus number of CPUs
   * @param depth how often a CPU falls behind
   * @param steps how many steps of a run others can notice, about
   */
  Priorities(long seed, int cpus, int depth, int steps) {
    this.random = new Random(seed);
    for (int cpu = 0; cpu < cpus; cpu++) {
      order.add(cpu);
    }
    Collections.shuffle(order, random);
    for (int i = 0; i < depth; i++) {
      falls.add(1 + random.nextInt(Math.max(1, steps)));
    }
  }

  @Override
  public Turn next(Moment moment) {
    int running = moment.cpu();
    if (running >= 0 && moment.shared() && falls.contains(++noticed)) {
      order.removeIf(cpu -> cpu == running);
      order.add(running);
    }
    List<Integer> ready = moment.ready();
    int first = order.stream().filter(ready::contains).findFirst().orElse(ready.getFirst());
    boolean hides = moment.cpu() >= 0 && first != moment.cpu() && moment.stores();
    Drain drain = hides ? DRAINS.get(random.nextInt(DRAINS.size())) : Drain.ALL;
    Turn turn = new Turn(first, drain);
    if (moment.step() == 0 || !turn.equals(Strategy.byDefault(moment))) {
      taken = taken.with(moment.step(), turn);
    }
    return turn;
  }

  /** What was done, as a schedule. */
  Schedule taken() {
    return taken;
  }
}
