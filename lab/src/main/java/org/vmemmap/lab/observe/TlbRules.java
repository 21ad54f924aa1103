// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.observe;

import org.vmemmap.machine.Cpu;
import org.vmemmap.machine.FrameOwner;
import org.vmemmap.types.Mm;
import org.vmemmap.types.Owner;

/** The translation caches: none leads into a frame that is free. */
final class TlbRules {
  static final String FREED = "tlb-reaches-freed-frame";

  private final Mm mm;
  private final Invariants found;

  TlbRules(Mm mm, Invariants found) {
    this.mm = mm;
    this.found = found;
  }

  void check() {
    for (Cpu cpu : mm.machine().cpus()) {
      found.checked(FREED, 1);
      cpu.tlb().forEachFrame(frame -> frame(cpu, frame));
    }
  }

  private void frame(Cpu cpu, long frame) {
    boolean inBook = frame < mm.machine().ledger().frames();
    FrameOwner owner = inBook ? mm.machine().ledger().ownerOf(frame) : Owner.NONE;
    if (owner == Owner.BUDDY || owner == Owner.MEMBLOCK) {
      found.violated(FREED, "frame", frame, "is free and in the cache of CPU " + cpu.number());
    }
  }
}
