// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.observe;

import org.vmemmap.lab.boot.LabKernel;
import org.vmemmap.machine.PageTableFormat;
import org.vmemmap.machine.PhysicalMemory;
import org.vmemmap.types.Mm;

/** Page tables of processes: where init_mm reaches the memmap, they do. */
final class RootRules {
  static final String REACH = "memmap-in-every-root";
  static final String USERS = "root-of-process-empty";

  private final Mm mm;
  private final LabKernel kernel;
  private final PhysicalMemory memory;
  private final PageTableFormat format;
  private final Invariants found;

  RootRules(LabKernel kernel, Invariants found) {
    this.kernel = kernel;
    this.mm = kernel.mm();
    this.memory = mm.machine().memory();
    this.format = mm.machine().format();
    this.found = found;
  }

  /** Compares top-level entries: the tables behind them are the same for all. */
  void check() {
    int top = format.levels() - 1;
    long init = mm.model().pa(mm.pgtable().initMmPgd());
    int first = format.index(mm.model().vmemmapBase(), top);
    int last = format.index(MemmapWalk.areaEnd(mm) - 1, top);
    for (long root : kernel.processPageTables()) {
      users(mm.model().pa(root));
      for (int index = first; index <= last; index++) {
        long wanted = entry(init, index);
        boolean populated = format.present(wanted, top);
        found.checked(REACH, populated ? 1 : 0);
        if (populated && target(entry(mm.model().pa(root), index)) != target(wanted)) {
          long frame = mm.model().pa(root) >>> mm.model().pageShift();
          String entry = "entry " + index + " of a process's top-level table";
          found.violated(REACH, "frame", frame, entry + " does not lead where init_mm's does");
        }
      }
    }
  }

  /** No process has memory here, so the lower half of its table is empty. */
  private void users(long root) {
    int top = format.levels() - 1;
    found.checked(USERS, 1);
    for (int index = 0; index < format.entries(top) / 2; index++) {
      if (entry(root, index) != 0) {
        found.violated(
            USERS, "frame", root >>> mm.model().pageShift(),
            "entry %d of a process's top-level table is 0x%x".formatted(index, entry(root, index)));
        return;
      }
    }
  }

  private long entry(long table, int index) {
    return format.fromMemory(memory.getLong(table + (long) Long.BYTES * index));
  }

  private long target(long entry) {
    int top = format.levels() - 1;
    return format.present(entry, top) ? format.address(entry, top) : -1;
  }
}
