// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.check.races;

/** Decides which CPU runs. */
@FunctionalInterface
interface Strategy {
  /** Who makes the next step. */
  Turn next(Moment moment);

  /** The CPU that runs goes on; when it cannot, the next by number does. */
  static Turn byDefault(Moment moment) {
    return Turn.to(moment.cpu() >= 0 ? moment.cpu() : moment.ready().getFirst());
  }
}
