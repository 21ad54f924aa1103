// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.check.races;

import org.vmemmap.machine.StoreBuffers.Drain;

/**
 * Who is next.
 *
 * @param cpu the CPU that runs
 * @param drain which stores of the CPU that stops become visible
 */
record Turn(int cpu, Drain drain) {
  static Turn to(int cpu) {
    return new Turn(cpu, Drain.ALL);
  }
}
