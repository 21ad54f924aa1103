// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.types.planted;

import org.vmemmap.machine.Machine;

/** Planted: reads bytes at a physical address, which no kernel code can. */
final class BypassesTheMmu {
  long peek(Machine machine) {
    return machine.memory().getLong(0);
  }
}
