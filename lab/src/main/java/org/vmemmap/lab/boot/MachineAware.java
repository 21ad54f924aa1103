// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.boot;

import org.vmemmap.types.Mm;

/**
 * A {@link org.vmemmap.pagealloc.Placement} that has to see the machine: which blocks are still
 * free is in the ledger, and the boot allocator asks for placements before the kernel is up.
 */
public interface MachineAware {
  /** Called once, as soon as the machine exists and before anything is allocated on it. */
  void attach(Mm mm);
}
