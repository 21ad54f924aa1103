// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.check.races;

import java.util.ArrayList;
import java.util.List;
import org.vmemmap.machine.StoreBuffers.Drain;

/**
 * A step of a run at which something else could have been done.
 *
 * @param step its number
 * @param others what else
 */
record Candidate(int step, List<Turn> others) {
  Candidate {
    others = List.copyOf(others);
  }

  /** All turns at {@code moment} but the default one. */
  static Candidate of(Moment moment) {
    int usual = Strategy.byDefault(moment).cpu();
    List<Turn> others = new ArrayList<>();
    for (int cpu : moment.ready()) {
      if (cpu != usual) {
        others.add(Turn.to(cpu));
        if (moment.stores()) {
          others.add(new Turn(cpu, Drain.NEWEST));
          others.add(new Turn(cpu, Drain.NONE));
        }
      }
    }
    return new Candidate(moment.step(), others);
  }
}
