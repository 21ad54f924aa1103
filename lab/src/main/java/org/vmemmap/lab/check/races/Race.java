// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.check.races;

import java.util.List;

/**
 * What runs at the same time.
 *
 * @param cpus what each CPU does
 * @param atRest what must hold when all have ended, beyond the rules of any machine at rest
 */
record Race(List<Runnable> cpus, Runnable atRest) {
  Race {
    cpus = List.copyOf(cpus);
  }

  static Race of(Runnable... cpus) {
    return new Race(List.of(cpus), () -> {});
  }
}
