// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.types;

import org.vmemmap.machine.Machine;

/** The global counters of /proc/vmstat that concern the memmap, in base pages. */
@Kernel(file = "mm/vmstat.c", symbol = "memmap_pages_add")
public final class VmStat {
  private final Machine machine;
  private long nrMemmapPages;
  private long nrMemmapBootPages;

  VmStat(Machine machine) {
    this.machine = machine;
  }

  /** Adds {@code delta}, which may be negative, to nr_memmap_pages. */
  @Kernel(file = "mm/vmstat.c", symbol = "memmap_pages_add")
  public void memmapPagesAdd(long delta) {
    nrMemmapPages = machine.add("nr_memmap_pages", nrMemmapPages, delta);
  }

  /** Adds {@code delta}, which may be negative, to nr_memmap_boot_pages. */
  @Kernel(file = "mm/vmstat.c", symbol = "memmap_boot_pages_add")
  public void memmapBootPagesAdd(long delta) {
    nrMemmapBootPages = machine.add("nr_memmap_boot_pages", nrMemmapBootPages, delta);
  }

  /** Memmap pages made at run time. May be negative where the kernel's own counter wraps. */
  public long nrMemmapPages() {
    return nrMemmapPages;
  }

  /** Memmap pages made at boot. */
  public long nrMemmapBootPages() {
    return nrMemmapBootPages;
  }
}
